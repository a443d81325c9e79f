"""The server's settings, read once from the environment."""

from __future__ import absolute_import

import os

from model_service.engines import ENGINES, OTHER
from model_service.failures import StartupFailure


class Settings(object):
    """Values of the ``AIRLOCK_*`` variables.

    ``engine``, ``base_class`` and ``model_path_rule`` are ``None`` where the variable is unset; ``complete`` then fills
    them from the package's ``config.json``.
    """

    def __init__(self, environment):
        self.engine = environment.get("AIRLOCK_ENGINE") or None
        self.base_class = environment.get("AIRLOCK_BASE_CLASS") or None
        self.model_path_rule = environment.get("AIRLOCK_MODEL_PATH") or None
        # Set by the server once the home is laid out.
        self.model_path = None
        self.package_dir = environment.get("AIRLOCK_PACKAGE_DIR") or None
        self.home = os.path.abspath(environment.get("AIRLOCK_HOME") or "/home/mind")
        self.model_name = environment.get("AIRLOCK_MODEL_NAME") or "model"
        self.model_one = _flag(environment, "AIRLOCK_MODEL_ONE")
        self.bind = [part.strip() for part in (environment.get("AIRLOCK_BIND") or "0.0.0.0:8080").split(",")]
        self.workers = _number(environment, "AIRLOCK_WORKERS", 1)
        self.threads = _number(environment, "AIRLOCK_THREADS", 4)
        self.concurrent = _flag(environment, "AIRLOCK_CONCURRENT_INFERENCE")
        self.request_timeout_s = _number(environment, "AIRLOCK_REQUEST_TIMEOUT_S", 40, float)
        self.max_body_bytes = _number(environment, "AIRLOCK_MAX_BODY_BYTES", 100 * 1024 * 1024)

    def complete(self, config):
        """Fill in what the environment left open, from the package's configuration."""
        if self.engine is None and isinstance(config.engine, str):
            self.engine = config.engine
        base_class, rule = ENGINES.get(self.engine, OTHER)
        self.base_class = self.base_class or base_class
        self.model_path_rule = self.model_path_rule or rule

    @property
    def model_folder(self):
        """The folder that the package's code calls its own."""
        return os.path.join(self.home, "model")

    @property
    def package_folders(self):
        """Every spelling of the model folder that a traceback may show."""
        folders = [self.model_folder, os.path.realpath(self.model_folder)]
        if self.package_dir:
            folders.append(os.path.join(os.path.abspath(self.package_dir), "model"))
        return folders


def _number(environment, name, default, kind=int):
    text = environment.get(name)
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if value <= 0 or value != value:
        raise StartupFailure("layout", "%s must be a number above 0, not %r" % (name, text))
    return value


def _flag(environment, name):
    text = environment.get(name) or "0"
    if text not in ("0", "1"):
        raise StartupFailure("layout", "%s must be 0 or 1, not %r" % (name, text))
    return text == "1"
