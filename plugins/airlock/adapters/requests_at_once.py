"""The same request many times, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from airlock.domain.smoke import HttpResponse, NoResponse
from airlock.ports.running_service import AtOnce

Answer = HttpResponse | NoResponse


def send_at_once(send: Callable[[], Answer], plan: AtOnce) -> Sequence[Answer]:
    """Send until there are enough answers, the time is over and there are the fewest, or one does not come.

    Args:
        send: Sends once; called by several threads.
        plan: How often.

    Returns:
        The answers, in the order in which they came.
    """
    until = time.monotonic() + plan.seconds
    answers: list[Answer] = []
    turns = iter(range(plan.most))

    def work() -> None:
        # Taking a turn is one step of the interpreter: no two threads get the same.
        for turn in turns:
            if turn >= plan.fewest and time.monotonic() >= until:
                return
            answers.append(send())
            if isinstance(answers[-1], NoResponse):
                return

    pool = ThreadPoolExecutor(plan.concurrency, thread_name_prefix="at-once")
    try:
        for worker in [pool.submit(work) for _ in range(plan.concurrency)]:
            worker.result()
    finally:
        # Not waited for: whoever ends the test ends the service, and with it every request under way.
        pool.shutdown(wait=False, cancel_futures=True)
    return answers
