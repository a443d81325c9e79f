"""The gunicorn worker that holds one service."""

from __future__ import absolute_import

import atexit
import mmap
import os
import select
import sys
import threading
import time

from gunicorn.workers.gthread import ThreadWorker

from model_service import failures, loading
from model_service.application import Application
from model_service.model_threads import ModelThreads

# Neither 3 nor 4: gunicorn's master stops itself at these, and fails when a second worker ends so while it stops.
FAILED_EXIT_STATUS = 1
# How long a thread waits for the next request of its connection, as long as no other connection waits for a thread.
STAY_MS = 5
# How long a worker at work leaves a new connection to the others: an idle one wakes up within it, and predictions that
# take less are not worth the wait.
LET_OTHERS_S = 0.01
STUCK_EXIT_STATUS = 70
# Where a worker is in its life; the master reads it when the worker has died.
STAGES = (None, "import", "select", "construct", "reported", "ready")


class ServiceWorker(ThreadWorker):
    """Loads the service after the fork, on the thread that will run it, and serves it."""

    def __init__(self, *args, **kwargs):
        ThreadWorker.__init__(self, *args, **kwargs)
        # One shared byte between this object's two lives, in the master and in the forked worker.
        self._stage = mmap.mmap(-1, 1)
        self._counting = threading.Lock()
        self._at_work = 0
        # Connections that sent nothing yet.
        self._new = 0
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
            settings.threads if settings.concurrent else 1,
            lambda identifier: application[0].overdue(identifier),
            self._stuck,
        )

        def load():
            try:
                application.append(self._load(settings, threads))
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

    def _load(self, settings, threads):
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
        return Application(service, text_engine, inputs, threads.call, settings, self.app.config.methods, loaders)

    def accept(self, *arguments):
        """Take a connection; with no turn free, let an idle worker be quicker: it stays with who took it."""
        settings = self.app.settings
        turns = settings.threads if settings.concurrent else 1
        if settings.workers > 1 and self._at_work + self._new >= turns and self._model_threads.last_s >= LET_OTHERS_S:
            time.sleep(LET_OTHERS_S)
        before = self.nr_conns
        ThreadWorker.accept(self, *arguments)
        self._new += self.nr_conns - before

    def enqueue_req(self, conn):
        """Give a connection with a request to a thread."""
        # Some versions of gunicorn do so within accept(), others when the connection can be read.
        if not getattr(conn, "airlock_known", False):
            conn.airlock_known = True
            self._new -= 1
        self._count(1)
        return ThreadWorker.enqueue_req(self, conn)

    def _count(self, difference):
        with self._counting:
            self._at_work += difference

    def _stuck(self):
        self.log.critical("a prediction is stuck: this worker (pid %s) is replaced", self.pid)
        leave(STUCK_EXIT_STATUS, grace_s=0.5)

    def handle(self, conn):
        """Serve the requests of a connection that a thread was given for."""
        try:
            return self._handle(conn)
        finally:
            self._count(-1)

    def _handle(self, conn):
        # A client that stops sending may hold a thread for the time limit only.
        # gunicorn makes the socket blocking again in init(), in some versions within handle() and in some before.
        original = conn.init

        def init():
            original()
            conn.sock.settimeout(self.app.settings.request_timeout_s)

        if "init" not in vars(conn):
            conn.init = init
        conn.sock.settimeout(self.app.settings.request_timeout_s)
        result = ThreadWorker.handle(self, conn)
        # A client that asks again at once is answered by the thread that has its connection: giving it back to the
        # main loop and taking it again would cost three changes of threads, more than many a prediction.
        while self._goes_on(conn, result):
            result = ThreadWorker.handle(self, conn)
        return result

    def _goes_on(self, conn, result):
        # What handle() returned is whether the connection stays open; older gunicorn gives the connection with it.
        stays_open = result[0] if isinstance(result, tuple) else result is True
        if not stays_open or not self.alive or self.tpool._work_queue.qsize():
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(STAY_MS))
        except (EnvironmentError, ValueError, select.error):  # a broken connection is the main loop's to close
            return False


def leave(status, grace_s=0):
    """End this process at once: threads that a package left running must not keep it."""
    if grace_s:
        time.sleep(grace_s)
    try:
        if not grace_s:
            atexit._run_exitfuncs()
    except BaseException:
        failures.write_error(failures.trace_text(sys.exc_info()))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # replaced or closed by the package
            pass
    os._exit(status)
