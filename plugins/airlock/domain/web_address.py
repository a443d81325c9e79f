"""The addresses of documents: which of them a page may link to.

Whoever opens a link does so from where the page is read: on their own machine and inside their own network, where the
uploader of a model has nothing to ask. An address is judged as a browser reads it, and a name is never looked up: what
it stands for may change after any look.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote, urlsplit

MAX_URL_CHARACTERS = 1024
#: Domains of the machine itself and of the network around it. A cloud machine's secrets are handed out by
#: `metadata.google.internal` and such. Source: RFC 6761, 6762, 8375; ICANN's reservation of `internal` (2024).
_INSIDE = ("localhost", "localdomain", "local", "home.arpa", "internal")
# A name without a dot is completed by the network that it is looked up in.
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
# Browsers read what ends in a number as an IPv4 address, also `127.1` and `0x7f000001`. Source: the URL standard.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
#: The first 96 bits of IPv6 addresses that hold an IPv4 address: compatible, mapped, and translated (RFC 6052).
_HOLDS_IPV4 = frozenset({0, 0xFFFF, 0x64_FF9B << 64})


def is_web_address(url: str) -> bool:
    """Whether a text is an http or https address outside, without a user's name or password."""
    if len(url) > MAX_URL_CHARACTERS or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or points_inside(host):
        return False
    return parts.scheme in ("http", "https") and parts.username is None and parts.password is None


def points_inside(host: str) -> bool:
    """Whether a host is the machine or the network of whoever opens it, or nothing that can be told to be outside.

    Args:
        host: As it stands in a URL; an IPv6 address without its brackets.
    """
    try:
        # As browsers do: `%31` and `①` are the digit, `。` is a dot.
        name = unquote(host).encode("idna").decode("ascii").lower().rstrip(".")
    except UnicodeError:
        return True
    try:
        return not _is_outside(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        pass
    if _ENDS_IN_NUMBER.fullmatch(name) or not _NAME.fullmatch(name):
        return True
    return any(name == domain or name.endswith(f".{domain}") for domain in _INSIDE)


def _is_outside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local:
            return False
        if int(address) >> 32 in _HOLDS_IPV4:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address.sixtofour is not None:
            address = address.sixtofour
    return address.is_global and not address.is_multicast
