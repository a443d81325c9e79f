"""The thread that owns the model: it loads the service and then runs every prediction, one after the other.

Packages keep state on ``self``, and some engines bind what they load to the loading thread (TensorFlow 1's default
graph, SQLite connections). So one thread per worker does both; requests queue for it. With more threads, predictions
run concurrently and only loading stays on the first.

As long as predictions are short, the first thread reads and answers requests as well: handing each one over from
another thread and back would take longer than the prediction.

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
# Predictions up to this long leave the first thread to the connections. Where they run concurrently, one after the
# other has to be as fast as side by side.
SHORT_S = 0.005
SHORT_AMONG_SEVERAL_S = 0.0005


class Job(object):
    """One prediction.

    Args:
        data: What ``predict`` is given.
        finish: Called once, with ``FINISHED`` and what ``predict`` returned, or ``BUSY`` or ``OVERDUE`` and ``None``; on
            any thread.
    """

    __slots__ = ("data", "finish", "queued_at", "started_at", "thread")

    def __init__(self, data, finish):
        self.data = data
        self.finish = finish
        self.queued_at = monotonic()
        self.started_at = None
        self.thread = None


class ModelThreads(object):
    """Runs ``predict``.

    Args:
        limit_s: Seconds that a job may wait, and again that its prediction may run.
        threads: Predictions at a time.
        on_overdue: Called with the identifier of a thread whose prediction has just passed the limit.
        on_stuck: Called when a running prediction has passed twice the limit in a worker that worked before.
    """

    def __init__(self, limit_s, threads, on_overdue, on_stuck):
        self._limit_s = limit_s
        self._threads = threads
        self._short_s = SHORT_S if threads == 1 else SHORT_AMONG_SEVERAL_S
        self._on_overdue = on_overdue
        self._on_stuck = on_stuck
        self._jobs = Queue()
        # Taking a job out of here is the right to finish it; dict.pop is atomic.
        self._open = {}
        self._running = {}
        self._has_worked = False
        self._predict = None
        self._failure = None
        self._front = None
        # What the last prediction took; until the first one nobody knows.
        self.last_s = float("inf")
        self.loaded = threading.Event()

    def start(self, load):
        """Start loading: ``load()`` runs on the model thread and returns ``predict(data) -> (result, success)``."""
        start_thread(self._load_and_serve, (load,), "model")

    def check_loaded(self):
        """Raise what ``load`` raised, once ``loaded`` is set."""
        if self._failure is not None:
            raise self._failure

    def look_after(self, front):
        """Let the first thread look after connections while it has no job and predictions are short.

        Args:
            front: Has ``attend_with_model()``, called again and again, ``wake_model()``, which ends one that waits, and
                ``leave_to_main()``, called when the thread turns to its jobs.
        """
        self._front = front

    def submit(self, job):
        """Queue a job."""
        self._open[id(job)] = job
        self._jobs.put(job)
        if self._front is not None:
            self._front.wake_model()

    def run(self, job):
        """Run a job now, on the model's first thread, which the caller is on."""
        self._open[id(job)] = job
        self._run(job)

    @property
    def has_jobs(self):
        """Whether a job waits for a thread."""
        return not self._jobs.empty()

    @property
    def busy(self):
        """How many jobs wait or run."""
        return len(self._open)

    def _load_and_serve(self, load):
        try:
            self._predict = load()
        except BaseException as failure:
            self._failure = failure
            return
        finally:
            self.loaded.set()
        for _ in range(self._threads - 1):
            start_thread(self._serve, (), "model")
        start_thread(self._watch, (), "watch")
        while True:
            if self._front is not None:
                if self.last_s <= self._short_s and self._jobs.empty():
                    self._front.attend_with_model()
                    continue
                self._front.leave_to_main()
            self._run(self._jobs.get())

    def _serve(self):
        while True:
            self._run(self._jobs.get())

    def _run(self, job):
        if id(job) not in self._open:
            return
        job.thread = threading.current_thread().ident
        job.started_at = monotonic()
        self._running[id(job)] = job
        result, success = self._predict(job.data)
        self._running.pop(id(job), None)
        self.last_s = monotonic() - job.started_at
        if success:
            self._has_worked = True
        self._finish(job, FINISHED, result)

    def _finish(self, job, state, result=None):
        if self._open.pop(id(job), None) is not None:
            job.finish(state, result)

    def _watch(self):
        while True:
            time.sleep(min(1.0, self._limit_s / 4.0))
            now = monotonic()
            for job in list(self._open.values()):
                if job.started_at is None:
                    if now - job.queued_at > self._limit_s:
                        self._finish(job, BUSY)
                elif now - job.started_at > self._limit_s and self._open.pop(id(job), None) is not None:
                    self._on_overdue(job.thread)
                    job.finish(OVERDUE, None)
            if self._has_worked and any(
                now - job.started_at > 2 * self._limit_s for job in list(self._running.values())
            ):
                for job in list(self._open.values()):
                    self._finish(job, BUSY)
                self._on_stuck()


def frame_of(identifier):
    """Return the running frame of a thread, or ``None``."""
    return sys._current_frames().get(identifier)


def start_thread(target, arguments, name):
    """Start a thread that does not keep a stopped worker alive: a prediction may never end."""
    thread = threading.Thread(target=target, args=arguments, name=name)
    thread.daemon = True
    thread.start()
