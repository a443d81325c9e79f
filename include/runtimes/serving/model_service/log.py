"""The loggers that inference code asks for: ``getLogger(name)``, written to standard error.

Kept here and not in the top-level ``log``: a package may bring its own ``log.py``, which then wins for its code,
and must not take this one away from the base classes.
"""

from __future__ import absolute_import

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def getLogger(name=None):
    """Return the standard logger of that name; one stream handler at INFO exists from the first call on."""
    if not logging.getLogger().handlers:
        logging.basicConfig(format=FORMAT, level=logging.INFO)
    return logging.getLogger(name)


get_logger = getLogger
