"""The command that asks a service for its health from inside its container, for platforms that ask no other way."""

from __future__ import annotations

import math
import shlex

from airlock.domain.health import COMMAND_CHECK, Health

SHELL = ("/bin/sh", "-c")
#: A program that ends with status 0 where a path is answered with 200; takes port, path and seconds. Every Python from
#: 2.7 on reads it, and no proxy of the environment comes between.
_CONNECT = 'import socket, sys; s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), float(sys.argv[3])); '
# The name that every Python has; certificates are not checked.
_ENCRYPT = "import ssl; s = ssl.SSLContext(ssl.PROTOCOL_SSLv23).wrap_socket(s); "
_ASK = (
    r's.sendall(("GET " + sys.argv[2] + " HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").encode("ascii")); '
    'sys.exit(s.makefile("rb").readline().split()[1:2] != [b"200"])'
)


def check_command(health: Health, port: int, *, own_image: bool) -> tuple[str, ...]:
    """A command that ends with status 0 where the service is healthy.

    An image of the user's own is asked with what it has. One that has nothing to ask with counts as healthy while it
    runs: nobody has found it unfit.

    Args:
        health: How the service tells that it is ready.
        port: Where it listens, for a question by HTTP.
        own_image: Whether nothing is known of the image's programs; otherwise it has a Python.
    """
    if health.method == COMMAND_CHECK:
        return *SHELL, health.command
    is_https = health.protocol == "https"
    program = _CONNECT + (_ENCRYPT if is_https else "") + _ASK
    wait = f"{health.timeout_s:g}"
    arguments = ("-E", "-S", "-c", program, str(port), health.url, wait)
    if not own_image:
        return "python", *arguments
    url = shlex.quote(f"{health.protocol}://127.0.0.1:{port}{health.url}")
    unchecked = " --no-check-certificate" if is_https else ""
    tools = {
        "curl": f"test \"$(curl -ks --noproxy '*' -m {wait} -o /dev/null -w '%{{http_code}}' {url})\" = 200",
        "python3": shlex.join(("python3", *arguments)),
        "python": shlex.join(("python", *arguments)),
        "wget": f"http_proxy= https_proxy= wget -q{unchecked} -T {math.ceil(health.timeout_s)} -O /dev/null {url}",
    }
    asked = [f"if command -v {tool} >/dev/null; then {command}; exit; fi" for tool, command in tools.items()]
    return *SHELL, "; ".join(asked)
