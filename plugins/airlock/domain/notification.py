"""Notifications: what is told of a version whose status changed, and how its receiver knows who tells it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from airlock.domain.version import Status

#: Statuses that somebody waits for.
TOLD = frozenset({Status.NORMAL, Status.FAILED, Status.ABNORMAL})
TIMESTAMP_HEADER = "X-Airlock-Timestamp"
SIGNATURE_HEADER = "X-Airlock-Signature"
DELIVERY_HEADER = "X-Airlock-Delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A version's new status.

    Attributes:
        model_name: The model.
        model_version: The version.
        status: Normal, Failed or Abnormal.
        reason: Why it is Failed or Abnormal, code first; else empty.
        run: The DAG run in which it changed.
        at: When, seconds since 1970.
        summary: The record of a Normal version; else empty.
    """

    model_name: str
    model_version: str
    status: Status
    reason: str
    run: str
    at: float
    summary: Mapping[str, Any]

    def body(self) -> bytes:
        """The notification as JSON; the same notification gives the same bytes."""
        return json.dumps(
            {
                "event": f"model.{self.status.value.lower()}",
                "model_name": self.model_name,
                "model_version": self.model_version,
                "model_status": self.status.value,
                "reason": self.reason,
                "run": self.run,
                "at": self.at,
                "summary": dict(self.summary),
            },
            ensure_ascii=False,
            sort_keys=True,
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notification on its way to one receiver.

    Attributes:
        receiver: Id of the Connection.
        model_name: The model.
        model_version: The version.
        status: What is told.
        at: When it began, seconds since 1970.
        attempts: How often it was tried.
        delivered: Whether a receiver took it.
        answer: HTTP status of the last answer, None where there was none.
        problem: What went wrong at last, without the address's secrets; empty where it was delivered.
    """

    receiver: str
    model_name: str
    model_version: str
    status: Status
    at: float
    attempts: int
    delivered: bool
    answer: int | None
    problem: str


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What proves that a body comes from here and now: HMAC-SHA256 over time stamp, dot and body.

    Args:
        secret: What both sides know.
        timestamp: Seconds since 1970 as text, as the header has it.
        body: The body's bytes.

    Returns:
        `sha256=` and the hexadecimal digest.
    """
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def is_receiver(url: str) -> bool:
    """Whether an address can be told anything: http or https, with a host, and without a password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and url.isprintable()
