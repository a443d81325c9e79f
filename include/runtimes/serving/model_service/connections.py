"""The connections of a worker, and who looks after them.

A connection that can be read is taken by one thread, which takes its request and gives the connection back with the
answer (``EPOLLONESHOT``, and a dict whose ``pop`` is atomic). Two threads may do so:

- the model's first thread, as long as predictions are short: it reads, predicts and answers, without a change of
  threads, which would take longer than all of that;
- the main thread, whenever the model's is at a longer prediction: it reads, queues the job, and answers what needs no
  model. It looks after the model's thread, too, and takes the connections over from one that does not come back.

What may take long without the model has threads of its own: a long body, and ``health()`` of a package. A request that
waits for the model holds no thread, unless its body is long: so many of those are in memory as there are threads.
"""

from __future__ import absolute_import

import collections
import errno
import os
import sys
import threading
import time
from select import EPOLLIN, EPOLLONESHOT, EPOLLOUT, POLLIN, epoll, poll
from select import error as SelectError

from gunicorn import util
from gunicorn.http.errors import NoMoreData

from model_service import failures
from model_service.connection import OTHER, PARTIAL, Closed, Connection
from model_service.exchange import Exchange
from model_service.model_threads import OVERDUE, Job, Queue, monotonic, start_thread

# Long bodies that are read at a time.
REQUEST_THREADS = 16
HEALTH_THREADS = 2
# Requests for ``health()`` that may wait for a thread; those of a service whose ``health()`` hangs would fill the memory.
MOST_WAIT_FOR_HEALTH = 100
# How long the model's thread may be at one request before the main thread looks after the others, and how often it asks.
PATIENCE_S = 0.02
TICK_S = 0.01
# How long the model's thread may take with all that could be read at once before the main thread looks after the rest:
# health checks and new connections wait behind them.
ROUND_S = 0.1
# After so long without a request the main thread looks around less often.
IDLE_S = 1.0
# How long a client may go on sending after an answer that ends its connection.
LINGER_S = 2.0
# How long a worker at work leaves a new connection to the others: an idle one wakes up within it, and predictions that
# take less are not worth the wait.
LET_OTHERS_S = 0.01


class Connections(object):
    """Accepts connections, takes requests from them, and sees that each gets its answer.

    Args:
        worker: The gunicorn worker: its listeners (``sockets``), configuration, log, and whether it is ``alive``.
        application: Says what a request asks for.
        model: The model's threads.
        limit_s: Seconds that a client may take to send a request, or to go on taking an answer.
        turns: Predictions at a time.
    """

    def __init__(self, worker, application, model, limit_s, turns):
        self._worker = worker
        self.application = application
        self._model = model
        self._limit_s = limit_s
        self._keep_alive_s = worker.cfg.keepalive
        self._most = worker.cfg.worker_connections
        self._turns = turns
        self._listeners = dict((listener.fileno(), listener) for listener in worker.sockets)
        self._names = dict((number, listener.getsockname()) for number, listener in self._listeners.items())
        self._epoll = epoll()
        self._all = set()
        # Those that wait for their client. Taking one out is the right to it.
        self._waiting = {}
        # Numbers of connections that can be read and were not looked at, and when that was asked.
        self._ready = collections.deque()
        self._polled_at = 0.0
        self._accepting = False
        self._accepting_lock = threading.Lock()
        self._readers = _Threads(REQUEST_THREADS, "request")
        self._healthers = _Threads(HEALTH_THREADS, "health")
        # Those that wait for health(), and since when. Taking one out is the right to answer it.
        self._asking = {}
        self._model_bell = _Bell(_new_pipe())
        # gunicorn's own pipe: signals ring it, too.
        self._main_bell = _Bell(worker.PIPE)
        self._model_waits = False
        # Whether the model's thread looks after connections, and since when it is at its present one.
        self._model_attends = False
        self._model_since = None
        self._last_active = 0.0
        self._wait_for_model = _Waiting(self._model_bell, self._epoll)
        self._wait_for_main = _Waiting(self._main_bell, self._epoll)
        self._wait_for_bell = _Waiting(self._main_bell)
        util.close_on_exec(self._epoll.fileno())
        for listener in worker.sockets:
            listener.setblocking(False)
        self._accept(True)

    def __len__(self):
        return len(self._all)

    # The model's first thread.

    def attend_with_model(self):
        """Take one request, run its prediction and answer; wait for one, or for ``wake_model()``."""
        if not self._model_attends:
            # The main thread waits for connections; from now on it is to look after this one.
            self._model_attends = True
            self._last_active = monotonic()
            self._main_bell.ring()
        number = self._next()
        if number is not None:
            self._last_active = self._model_since = monotonic()
            self._look(number, self._model.run)
            self._model_since = None
            return
        self._model_waits = True
        if not self._model.has_jobs and not self._ready:
            self._wait_for_model.wait(None)
        self._model_waits = False
        now = monotonic()
        if now - self._last_active > IDLE_S / 2:
            # The main thread may have gone to sleep meanwhile.
            self._last_active = now
            self._main_bell.ring()

    def wake_model(self):
        """Let the model's thread return where it waits in ``attend_with_model()``."""
        if self._model_waits:
            self._model_bell.ring()

    def leave_to_main(self):
        """Let the main thread look after the connections."""
        if self._model_attends:
            self._model_attends = False
            self._main_bell.ring()

    # The main thread.

    def attend_with_main(self, most_s):
        """Look after the connections, or after the model's thread that does; return within ``most_s`` seconds."""
        if self._model_is_there():
            if self._ready:
                # This thread has polled for them after the model's had: nothing else would wake that one.
                self.wake_model()
            is_active = monotonic() - self._last_active < IDLE_S
            self._wait_for_bell.wait(min(TICK_S, most_s) if is_active else most_s)
            return
        number = self._next()
        if number is None:
            self._wait_for_main.wait(most_s)
        else:
            self._look(number, self._model.submit)

    def end_overdue(self, idle_until=None):
        """Close connections whose client was silent for too long, and answer a request that broke off.

        Args:
            idle_until: When the last ones end that wait for a request: the worker stops.
        """
        now = monotonic()
        for seen in list(self._waiting.values()):
            ends_at = seen.ends_at
            if idle_until is not None and seen.is_between:
                ends_at = min(ends_at, idle_until)
            connection = self._waiting.pop(seen.number, None) if now > ends_at else None
            if connection is None:
                continue
            if connection is not seen:  # closed meanwhile, and its number is another one's now
                self._wait_on(connection)
            elif connection.is_between or connection.exchange is not None:
                self._close(connection)
            else:
                self._readers.start(self._read, (connection, 0.0))
        for exchange, since in list(self._asking.items()):
            if now - since > self._limit_s and self._asking.pop(exchange, None) is not None:
                exchange.answer(*self.application.gave_up(OVERDUE))

    def stop(self):
        """Accept no more."""
        self._accept(False)

    def _model_is_there(self):
        now = monotonic()
        since = self._model_since
        is_quick = since is None or now - since < PATIENCE_S
        return self._model_attends and is_quick and (not self._ready or now - self._polled_at < ROUND_S)

    # Either.

    def _next(self):
        """Return the number of a connection, or of a listener, that can be read."""
        if not self._ready:
            try:
                self._polled_at = monotonic()
                self._ready.extend(number for number, _ in self._epoll.poll(0))
            except (EnvironmentError, SelectError) as error:
                if error.args[0] != errno.EINTR:
                    raise
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def _look(self, number, predict):
        """Take what came on a listener or a connection; ``predict`` takes a job."""
        connection = None
        try:
            if number in self._listeners:
                self._take_new(number)
                return
            connection = self._waiting.pop(number, None)
            if connection is None:
                return
            if connection.exchange is not None:
                self.finished(connection.exchange)
                return
            # What came with an earlier request is taken before more is: a client may send without end.
            state = connection.state() if connection.received else PARTIAL
            if state == PARTIAL:
                if not connection.receive() and not connection.received:
                    self._wait_on(connection)
                    return
                state = connection.state()
            if state == PARTIAL:
                self._wait_for_rest(connection)
            elif state == OTHER:
                self._readers.start(self._read, (connection, self._limit_s))
            else:
                self._open(connection, predict)
        except Closed:
            self._close(connection)
        except Exception:  # the server's own mistake: the thread goes on
            self._drop(connection)

    def _open(self, connection, predict):
        """Take a request that is there as a whole."""
        try:
            exchange = Exchange(self, connection, *connection.open_whole())
        except Exception as error:  # gunicorn's own errors, which it turns into an answer itself
            self._refuse(connection, error)
            return
        self._answer(exchange, predict)

    def _ask(self, exchange):
        """Let the package's ``health()`` answer."""
        if self._healthers.waiting >= MOST_WAIT_FOR_HEALTH:
            exchange.answer(*self.application.health_hangs())
        else:
            self._asking[exchange] = monotonic()
            self._healthers.start(self._answer_health, (exchange,))

    def _answer_health(self, exchange):
        if exchange in self._asking:
            answer = self.application.open(exchange.environ, exchange.headers)[0]
            if self._asking.pop(exchange, None) is not None:
                exchange.answer(*answer)

    def _answer(self, exchange, predict):
        if self.application.has_own_health and self.application.is_health(exchange.environ):
            self._ask(exchange)
            return
        answer, data = self.application.open(exchange.environ, exchange.headers)
        if answer is not None:
            if exchange.reading:
                # Its body may have broken in the middle, which gunicorn's reader then takes for the end.
                exchange.must_close = True
            exchange.answer(*answer)
        else:
            predict(Job(data, exchange.finish))

    def _read(self, connection, patience_s):
        """Take a request, reading on as its parser asks for it, and see it to its end; on a thread of its own."""
        try:
            parser, request, response, environ = connection.wait_for_request(patience_s)
        except (StopIteration, EnvironmentError, NoMoreData):
            self._close(connection)
            return
        except Exception as error:  # gunicorn's own errors, which it turns into an answer itself
            self._refuse(connection, error)
            return
        exchange = Exchange(self, connection, response, environ, (parser, request))
        exchange.must_close = not connection.has_clear_end
        self._answer(exchange, self._model.submit)
        exchange.wait()
        self.finished(exchange)

    def finished(self, exchange):
        """Send an answer, as far as the client takes it, and wait for the next request when that was all."""
        connection = exchange.connection
        try:
            if connection.flush():
                connection.exchange = None
                self._go_on(exchange)
            else:
                connection.exchange = exchange
                connection.is_between = False
                connection.ends_at = monotonic() + self._limit_s
                self._wait_on(connection)
        except Closed:
            self._close(connection)
        except Exception:  # the server's own mistake: the thread goes on
            self._drop(connection)

    def _go_on(self, exchange):
        connection = exchange.connection
        if exchange.must_close or (exchange.reading and not connection.finish_reading(*exchange.reading)):
            self._linger(connection)
        elif exchange.response.should_close():
            self._close(connection)
        else:
            self._wait_for(connection)

    def _refuse(self, connection, error):
        """Answer what is no request."""
        self._worker.handle_error(None, connection, connection.client, error)
        try:
            connection.flush()
        except Closed:
            pass
        self._linger(connection)

    def _wait_for(self, connection, most_s=None):
        """Wait for the next request of a client."""
        connection.ends_at = monotonic() + (self._keep_alive_s if most_s is None else most_s)
        connection.is_between = True
        self._wait_on(connection)

    def _wait_for_rest(self, connection):
        """Wait for more of a request that has begun, no longer than a request may take."""
        if connection.is_between:
            connection.is_between = False
            connection.ends_at = monotonic() + self._limit_s
        self._wait_on(connection)

    def _wait_on(self, connection):
        """Wait as long as before.

        A connection that has something to send, or the next request already, has its turn once the client takes answers.
        """
        waits_to_send = connection.exchange is not None or (connection.received and connection.is_between)
        self._waiting[connection.number] = connection
        self._epoll.modify(connection.number, (EPOLLOUT if waits_to_send else EPOLLIN) | EPOLLONESHOT)

    def _take_new(self, number):
        """Accept a connection; with no turn free, let an idle worker be quicker: it stays with who took it."""
        if self._worker.cfg.workers > 1 and self._model.last_s >= LET_OTHERS_S:
            new = sum(connection.is_new for connection in list(self._waiting.values()))
            if self._model.busy + new >= self._turns:
                time.sleep(LET_OTHERS_S)
        try:
            sock, client = self._listeners[number].accept()
        except EnvironmentError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(TICK_S)  # until the system has a number for it
            return
        util.close_on_exec(sock.fileno())
        connection = Connection(sock, client, self._names[number], self._worker.cfg)
        connection.ends_at = monotonic() + self._keep_alive_s
        self._all.add(connection)
        self._waiting[connection.number] = connection
        self._epoll.register(connection.number, EPOLLIN | EPOLLONESHOT)
        if len(self._all) >= self._most:
            self._accept(False)

    def _drop(self, connection):
        """End a connection after a mistake of the server's own, which costs no more than that."""
        failures.write_error(failures.trace_text(sys.exc_info()))
        if connection is not None:
            self._close(connection)

    def _close(self, connection):
        try:
            self._all.remove(connection)
        except KeyError:  # closed before, and its number may be another one's now
            return
        try:
            self._epoll.unregister(connection.number)
        except EnvironmentError:
            pass
        connection.close()
        if self._worker.alive and not self._accepting and len(self._all) < self._most:
            self._accept(True)

    def _linger(self, connection):
        """End a connection whose client may still be sending: it is closed when that has ended, or taken too long."""
        connection.end_sending()
        self._wait_for(connection, LINGER_S)

    def _accept(self, accepting):
        with self._accepting_lock:
            if accepting == self._accepting:
                return
            self._accepting = accepting
            for number in self._listeners:
                if accepting:
                    self._epoll.register(number, EPOLLIN)
                else:
                    self._epoll.unregister(number)

    @property
    def stopping(self):
        """Whether the worker stops: answers then end their connection."""
        return not self._worker.alive


class _Bell(object):
    """Ends the waiting of one thread.

    Args:
        pipe: (reading end, writing end), neither of which blocks.
    """

    def __init__(self, pipe):
        self._reading, self._writing = pipe

    def fileno(self):
        """What to wait for."""
        return self._reading

    def ring(self):
        """Let the thread return, now or from the next time that it waits; may be called in a signal handler."""
        try:
            os.write(self._writing, b"1")
        except EnvironmentError:  # full: it rings already
            pass

    def clear(self):
        """Have heard it."""
        try:
            os.read(self._reading, 4096)
        except EnvironmentError:
            pass


class _Waiting(object):
    """Waits for a bell, and for others."""

    def __init__(self, bell, *others):
        self._bell = bell
        self._poll = poll()
        for one in (bell,) + others:
            self._poll.register(one.fileno(), POLLIN)

    def wait(self, seconds):
        """Return when something came or the time is over; the bell is clear then."""
        try:
            came = self._poll.poll(None if seconds is None else seconds * 1000)
        except (EnvironmentError, SelectError) as error:
            if error.args[0] != errno.EINTR:
                raise
            return
        if any(number == self._bell.fileno() for number, _ in came):
            self._bell.clear()


def _new_pipe():
    pipe = os.pipe()
    for end in pipe:
        util.set_non_blocking(end)
        util.close_on_exec(end)
    return pipe


class _Threads(object):
    """Up to so many threads that run what they are given; none of them keeps a stopped worker alive."""

    def __init__(self, most, name):
        self._left = most
        self._name = name
        self._calls = Queue()
        self._idle = 0
        self._lock = threading.Lock()

    def start(self, function, arguments):
        """Run a function on a thread, as soon as one is free."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._left:
                start_thread(self._run, (), self._name)
                self._left -= 1
            self._calls.put((function, arguments))

    @property
    def waiting(self):
        """How many calls wait for a thread."""
        return self._calls.qsize()

    def _run(self):
        while True:
            function, arguments = self._calls.get()
            try:
                function(*arguments)
            except Exception:  # the server's own mistake: the thread goes on
                failures.write_error(failures.trace_text(sys.exc_info()))
            function = arguments = None
            with self._lock:
                self._idle += 1
