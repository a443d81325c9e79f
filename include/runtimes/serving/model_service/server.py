"""The server: ``python -m model_service.server``.

Takes its settings from ``AIRLOCK_*`` variables, lays out the home, and runs gunicorn with one service per worker. A
start that fails writes one ``AIRLOCK-STARTUP-ERROR`` line and ends with status 3; nothing is tried again.
"""

from __future__ import absolute_import

import io
import os
import sys

from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer

# Imported before the package's folder comes first on sys.path: a package may have a module of any name.
import model_service.application
import model_service.worker
from model_service import failures, home, loading, package_config
from model_service.settings import Settings

KEEP_ALIVE_S = 60


class Gateway(BaseApplication):
    """gunicorn, set up from ``Settings`` alone: no command line, no configuration file."""

    def __init__(self, settings, config):
        self.settings = settings
        self.config = config
        BaseApplication.__init__(self)

    def load_config(self):
        """Set gunicorn's options; those that this version does not have are left out."""
        options = {
            "bind": self.settings.bind,
            "workers": self.settings.workers,
            "worker_class": "model_service.worker.ServiceWorker",
            # A model may load for minutes, and predictions have their own limit.
            "timeout": 0,
            "graceful_timeout": int(self.settings.request_timeout_s) + 1,
            "keepalive": KEEP_ALIVE_S,
            "proc_name": "airlock",
            "child_exit": _child_exit,
            "worker_exit": _worker_exit,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self):
        """Not used: each worker loads its service by itself."""
        raise NotImplementedError


def main():
    """Run the server until it is told to stop."""
    _text_streams()
    loading.settle_paths()
    folders = []
    try:
        settings = Settings(os.environ)
        folders = settings.package_folders
        if settings.package_dir:
            home.lay_out(settings.package_dir, settings.home, settings.model_one)
            home.keep_at_home(settings.package_dir, settings.home)
        if not os.path.isdir(settings.model_folder):
            raise failures.StartupFailure("layout", "%s is missing" % settings.model_folder)
        config = package_config.read_config(settings.model_folder)
        settings.complete(config)
        settings.model_path = home.find_model(settings.model_folder, settings.model_path_rule)
        os.chdir(settings.home)
    except failures.StartupFailure as failure:
        _give_up(failure, folders)
    except EnvironmentError as error:  # a folder that cannot be read
        _give_up(failures.StartupFailure("layout", failures.describe(error), sys.exc_info()), folders)
    Gateway(settings, config).run()


def _give_up(failure, folders):
    failures.report_startup(failure, folders)
    sys.exit(failures.STARTUP_EXIT_STATUS)


def _child_exit(arbiter, worker):
    """End the server when a worker ended before it was ready: a new try would end the same way."""
    stopping = not arbiter.LISTENERS or getattr(arbiter, "airlock_halted", False)
    if stopping or worker.stage == "ready":
        return
    if worker.stage != "reported":
        message = "the process died while it loaded the model: out of memory, or a crash in a library"
        failures.report(failures.STARTUP_ERROR, worker.stage or "import", "ProcessDied", message, None, None)
    # Raised once: a second one, while the master stops for the first, would end it with a traceback.
    arbiter.airlock_halted = True
    raise HaltServer("The service could not be loaded.", failures.STARTUP_EXIT_STATUS)


def _worker_exit(arbiter, worker):
    """End a stopping worker for good, with the status it is about to take."""
    if os.getpid() == arbiter.pid:
        return  # older gunicorn calls this in the master too, for a worker that it finds dead
    error = sys.exc_info()[1]
    status = error.code if isinstance(error, SystemExit) else 1
    model_service.worker.leave(status if isinstance(status, int) else 0)


class _Utf8Stream(object):
    """A stream of Python 2 that takes byte strings as they are and text as UTF-8, and shows both at once."""

    encoding = "utf-8"

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        self._stream.write(text if isinstance(text, bytes) else text.encode("utf-8"))
        self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _text_streams():
    """Make print() take any text and show at once, whatever the locale: images may run with none."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if sys.version_info[0] == 2:
            setattr(sys, name, _Utf8Stream(stream))
        elif isinstance(stream, io.TextIOWrapper):
            wrapped = io.TextIOWrapper(stream.detach(), "utf-8", "backslashreplace", line_buffering=True)
            setattr(sys, name, wrapped)
            # The interpreter's own reference is detached now, and would fail at exit.
            setattr(sys, "__%s__" % name, wrapped)


if __name__ == "__main__":
    main()
