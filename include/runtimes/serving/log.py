"""``import log`` of the inference contract: the same loggers as ``model_service.log``."""

from __future__ import absolute_import

from model_service.log import get_logger, getLogger

__all__ = ["getLogger", "get_logger"]
