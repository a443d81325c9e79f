"""The built-in receiver of notifications: a signed POST to an address that a Connection names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import requests

from airlock.adapters.http_connection import http_connection
from airlock.domain.notification import (
    DELIVERY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Delivery,
    Notification,
    is_receiver,
    signature,
)
from airlock.ports.clock import Clock

#: Seconds until a connection stands, and until the answer begins.
TIMEOUT_S = (5.0, 10.0)
#: Seconds before the second try and the third.
PAUSES_S = (1.0, 4.0)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told.

    Attributes:
        name: Id of the Connection.
        url: Where it listens.
        secret: What signs; empty where the Connection has none, and then nothing is sent.
    """

    name: str
    url: str
    secret: str


def receivers(connection_ids: Sequence[str]) -> Callable[[], list[Receiver]]:
    """The receivers behind Connections, looked up when something is told."""
    return lambda: [_receiver(name) for name in connection_ids]


def _receiver(name: str) -> Receiver:
    found = http_connection(name)
    if found is None:
        # It is told like any other receiver that cannot be reached: in the history.
        return Receiver(name=name, url="", secret="")
    return Receiver(name=name, url=found.url, secret=found.password)


class Webhook:
    """Sends notifications.

    Args:
        look_up: Gives the receivers.
        keep: Takes what became of each delivery.
        clock: For times and pauses.
    """

    def __init__(self, look_up: Callable[[], list[Receiver]], keep: Callable[[Delivery], None], clock: Clock) -> None:
        self._look_up = look_up
        self._keep = keep
        self._clock = clock

    def tell(self, notification: Notification) -> None:
        """Send to every receiver, each with three tries; never fails, because the version's status stands whatever."""
        for receiver in self._look_up():
            delivery = self._deliver(receiver, notification)
            if not delivery.delivered:
                log.warning("Notification not delivered to %s: %s", receiver.name, delivery.problem)
            self._keep(delivery)

    def _deliver(self, receiver: Receiver, notification: Notification) -> Delivery:
        delivery = Delivery(
            receiver=receiver.name,
            model_name=notification.model_name,
            model_version=notification.model_version,
            status=notification.status,
            at=self._clock.now(),
            attempts=0,
            delivered=False,
            answer=None,
            problem="",
        )
        if not is_receiver(receiver.url):
            return replace(delivery, problem="The Connection names no http(s) address without a password in it.")
        if not receiver.secret:
            return replace(delivery, problem="The Connection has no password to sign with.")
        for pause_s in (*PAUSES_S, None):
            answer, problem, again = self._send(receiver, notification)
            delivery = replace(
                delivery, attempts=delivery.attempts + 1, answer=answer, problem=problem, delivered=not problem
            )
            if not again or pause_s is None:
                break
            self._clock.sleep(pause_s)
        return delivery

    def _send(self, receiver: Receiver, notification: Notification) -> tuple[int | None, str, bool]:
        """One try: the answer's status, what is wrong, and whether another try may help."""
        body, timestamp = notification.body(), f"{self._clock.now():.0f}"
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: signature(receiver.secret, timestamp, body),
            # The same for every try: a receiver that has it already may leave it.
            DELIVERY_HEADER: f"{notification.model_name}/{notification.model_version}/{notification.status.value}/"
            f"{notification.at:.3f}".encode().hex(),
        }
        try:
            # A redirect could point to anything inside, and would carry the signature there.
            with requests.post(
                receiver.url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            return None, f"No answer ({type(error).__name__}).", True
        if 200 <= status < 300:
            return status, "", False
        if 300 <= status < 400:
            return status, f"It answers with a redirect (HTTP {status}), which is not followed.", False
        return status, f"It answers with HTTP {status}.", status >= 500 or status in (408, 429)
