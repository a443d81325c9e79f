"""``from mms.log import get_logger``."""

from __future__ import absolute_import

from model_service.log import get_logger, getLogger

__all__ = ["getLogger", "get_logger"]
