"""The gunicorn worker that holds one service."""

from __future__ import absolute_import

import atexit
import mmap
import os
import sys
import threading
import time

from gunicorn.workers.base import Worker

from model_service import failures, loading
from model_service.application import Application
from model_service.connections import Connections
from model_service.model_threads import ModelThreads, monotonic

# Neither 3 nor 4: gunicorn's master stops itself at these, and fails when a second worker ends so while it stops.
FAILED_EXIT_STATUS = 1
STUCK_EXIT_STATUS = 70
# How often the main thread looks for connections that have waited too long, and for its parent.
LOOK_EVERY_S = 1.0
STOP_LOOK_EVERY_S = 0.05
# How long a stopping worker leaves connections open that wait for a request: one may be on its way.
STOP_WAIT_S = 2.0
# Where a worker is in its life; the master reads it when the worker has died.
STAGES = (None, "import", "select", "construct", "reported", "ready")


class ServiceWorker(Worker):
    """Loads the service after the fork, on the thread that will run it, and serves it."""

    def __init__(self, *args, **kwargs):
        Worker.__init__(self, *args, **kwargs)
        # One shared byte between this object's two lives, in the master and in the forked worker.
        self._stage = mmap.mmap(-1, 1)
        self._model_threads = None

    @property
    def stage(self):
        """The stage that the worker has reached, read from the master too."""
        return STAGES[ord(self._stage[0:1])]

    def _reach(self, stage):
        self._stage[0:1] = bytes(bytearray([STAGES.index(stage)]))

    def load_wsgi(self):
        """Load the service; a failure is reported and ends this worker, and the master then ends the server."""
        settings = self.app.settings
        loading.prepare_imports(settings.home)
        application = []
        threads = ModelThreads(
            settings.request_timeout_s,
            self._turns,
            lambda identifier: application[0].overdue(identifier),
            self._stuck,
        )

        def load():
            try:
                application.append(self._load(settings))
            except failures.StartupFailure:
                raise
            except BaseException as error:  # a class that breaks what the server reads from it
                raise failures.StartupFailure("construct", failures.describe(error), sys.exc_info())
            return application[0].predict

        self._model_threads = threads
        threads.start(load)
        while not threads.loaded.wait(0.02):
            # Stopped while loading, or left behind by the master: nobody waits for this service any more.
            if not self.alive or os.getppid() != self.ppid:
                leave(0)
        try:
            threads.check_loaded()
        except failures.StartupFailure as failure:
            failures.report_startup(failure, settings.package_folders)
            self._reach("reported")
            leave(FAILED_EXIT_STATUS)
        self._reach("ready")
        self.wsgi = application[0]

    def _load(self, settings):
        before = set(threading.enumerate())
        self._reach("select")
        engine_base = loading.base_class(settings.base_class)
        self._reach("import")
        cls = loading.service_class(settings.model_folder, engine_base)
        self._reach("construct")
        default = loading.relies_on(cls, engine_base)
        service = loading.construct(cls, engine_base, settings.model_name, settings.model_path, default)
        inputs = None
        if engine_base.airlock_reads == "inputs":
            inputs = engine_base.airlock_inputs(service, settings.model_path)
        # Threads that the package started are taken for its loading, until they end.
        loaders = [thread for thread in threading.enumerate() if thread not in before]
        text_engine = engine_base.airlock_reads == "text"
        return Application(service, text_engine, inputs, settings, self.app.config.methods, loaders)

    @property
    def _turns(self):
        settings = self.app.settings
        return settings.threads if settings.concurrent else 1

    def run(self):
        """Serve until the worker is told to stop, then end what has begun."""
        limit_s = self.app.settings.request_timeout_s
        connections = Connections(self, self.wsgi, self._model_threads, limit_s, self._turns)
        self._model_threads.look_after(connections)
        every_s = min(LOOK_EVERY_S, limit_s / 4.0)
        looked_at = monotonic()
        while self.alive:
            connections.attend_with_main(every_s)
            if monotonic() - looked_at < every_s:
                continue
            looked_at = monotonic()
            self.notify()
            connections.end_overdue()
            if os.getppid() != self.ppid:
                self.log.info("Parent changed, shutting down: %s", self)
                self.alive = False
        connections.stop()
        idle_until = monotonic() + STOP_WAIT_S
        ends_at = monotonic() + self.cfg.graceful_timeout
        while len(connections) and monotonic() < ends_at:
            self.notify()
            connections.attend_with_main(STOP_LOOK_EVERY_S)
            connections.end_overdue(idle_until)

    def _stuck(self):
        self.log.critical("a prediction is stuck: this worker (pid %s) is replaced", self.pid)
        leave(STUCK_EXIT_STATUS, grace_s=0.5)


def leave(status, grace_s=0):
    """End this process at once: threads that a package left running must not keep it."""
    if grace_s:
        time.sleep(grace_s)
    try:
        if not grace_s:
            atexit._run_exitfuncs()
    except BaseException:
        failures.write_error(failures.trace_text(sys.exc_info()))
    failures.end_process(status)
