"""The thread that owns the model: it loads the service and then runs every prediction, one after the other.

Packages keep state on ``self``, and some engines bind what they load to the loading thread (TensorFlow 1's default
graph, SQLite connections). So one thread per worker does both; requests queue for it. With more threads, predictions
run concurrently and only loading stays on the first.

Nobody can stop a running thread. A prediction over its limit is therefore answered for (504) and left running; a
worker that had answered before and stays stuck for twice the limit is replaced. Before the first success nothing is
replaced: the request may well be waiting for a model that loads in the background.
"""

from __future__ import absolute_import

import sys
import threading
import time

try:
    from queue import SimpleQueue as Queue
except ImportError:  # below Python 3.7
    try:
        from queue import Queue
    except ImportError:  # Python 2
        from Queue import Queue

monotonic = getattr(time, "monotonic", time.time)

FINISHED, BUSY, OVERDUE = "finished", "busy", "overdue"


class _Job(object):
    __slots__ = ("answered", "data", "queued_at", "result", "started_at", "state", "thread")

    def __init__(self, data):
        self.data = data
        self.queued_at = monotonic()
        self.started_at = None
        self.thread = None
        self.result = None
        self.state = None
        # A bare lock, not an Event or a timed wait: Python 2 polls for those, up to 50 ms late.
        self.answered = threading.Lock()
        self.answered.acquire()


class ModelThreads(object):
    """Runs ``predict`` for many request threads.

    Args:
        limit_s: Seconds that a request may wait, and again that its prediction may run.
        threads: Predictions at a time.
        on_overdue: Called with the identifier of a thread whose prediction has just passed the limit.
        on_stuck: Called when a running prediction has passed twice the limit in a worker that worked before.
    """

    def __init__(self, limit_s, threads, on_overdue, on_stuck):
        self._limit_s = limit_s
        self._threads = threads
        self._on_overdue = on_overdue
        self._on_stuck = on_stuck
        self._jobs = Queue()
        # Taking a job out of here is the right to answer it; dict.pop is atomic.
        self._open = {}
        self._running = {}
        self._has_worked = False
        self._predict = None
        self._failure = None
        # What the last prediction took; until the first one nobody knows.
        self.last_s = float("inf")
        self.loaded = threading.Event()

    def start(self, load):
        """Start loading: ``load()`` runs on the model thread and returns ``predict(data) -> (result, success)``."""
        _start_thread(self._load_and_serve, (load,), "model")

    def check_loaded(self):
        """Raise what ``load`` raised, once ``loaded`` is set."""
        if self._failure is not None:
            raise self._failure

    def call(self, data):
        """Return (state, result): ``FINISHED`` with ``predict``'s result, or ``BUSY`` or ``OVERDUE`` with ``None``."""
        job = _Job(data)
        self._open[id(job)] = job
        self._jobs.put(job)
        job.answered.acquire()
        return job.state, job.result

    def _load_and_serve(self, load):
        try:
            self._predict = load()
        except BaseException as failure:
            self._failure = failure
            return
        finally:
            self.loaded.set()
        for _ in range(self._threads - 1):
            _start_thread(self._serve, (), "model")
        _start_thread(self._watch, (), "watch")
        self._serve()

    def _serve(self):
        identifier = threading.current_thread().ident
        while True:
            job = self._jobs.get()
            if id(job) in self._open:
                job.thread = identifier
                job.started_at = monotonic()
                self._running[id(job)] = job
                result, success = self._predict(job.data)
                self._running.pop(id(job), None)
                self.last_s = monotonic() - job.started_at
                if success:
                    self._has_worked = True
                self._answer(job, FINISHED, result)
            # Not kept until the next request: a body may be large.
            job = result = None

    def _answer(self, job, state, result=None):
        if self._open.pop(id(job), None) is None:
            return False
        job.state = state
        job.result = result
        job.answered.release()
        return True

    def _watch(self):
        while True:
            time.sleep(min(1.0, self._limit_s / 4.0))
            now = monotonic()
            for job in list(self._open.values()):
                if job.started_at is None:
                    if now - job.queued_at > self._limit_s:
                        self._answer(job, BUSY)
                elif now - job.started_at > self._limit_s and self._answer(job, OVERDUE):
                    self._on_overdue(job.thread)
            if self._has_worked and any(
                now - job.started_at > 2 * self._limit_s for job in list(self._running.values())
            ):
                for job in list(self._open.values()):
                    self._answer(job, BUSY)
                self._on_stuck()


def frame_of(identifier):
    """Return the running frame of a thread, or ``None``."""
    return sys._current_frames().get(identifier)


def _start_thread(target, arguments, name):
    thread = threading.Thread(target=target, args=arguments, name=name)
    # A prediction that never ends must not keep a stopped worker alive.
    thread.daemon = True
    thread.start()
