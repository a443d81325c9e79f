"""Lets a test reach a service that listens on TCP ports of a network namespace without any network.

It is the program of a container of its own, whose namespace the service joins. For each port it listens on a Unix
socket in a folder that is shared with the host, and passes bytes on. A connection begins with one byte from here: `+`
where the service took it, `-` where nothing listens on the port.

    python relay.py FOLDER PORT...

Standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import AbstractServer, StreamReader, StreamWriter

CHUNK_BYTES = 64 * 1024
ADDRESSES = ("127.0.0.1", "::1")


async def connect(port: int) -> tuple[StreamReader, StreamWriter] | None:
    """A connection to the service, None where nothing listens."""
    for address in ADDRESSES:
        try:
            return await asyncio.open_connection(address, port)
        except OSError:
            continue
    return None


async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
    """Everything from one side to the other, its end included."""
    try:
        while True:
            data = await reader.read(CHUNK_BYTES)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # One side is gone; the other one learns of it when its connection is closed.
        writer.transport.abort()


async def relay(reader: StreamReader, writer: StreamWriter, port: int) -> None:
    """One connection, from its beginning to its end."""
    try:
        service = await connect(port)
        if service is None:
            writer.write(b"-")
            return
        writer.write(b"+")
        try:
            await asyncio.gather(pass_on(reader, service[1]), pass_on(service[0], writer))
        finally:
            service[1].close()
    finally:
        writer.close()


async def listen(folder: str, port: int) -> AbstractServer:
    """The socket of a port."""
    path = os.path.join(folder, f"{port}.sock")

    async def take(reader: StreamReader, writer: StreamWriter) -> None:
        await relay(reader, writer, port)

    server = await asyncio.start_unix_server(take, path)
    # The host's user is another one than this program's; nobody else gets into the folder.
    os.chmod(path, 0o666)  # noqa: S103
    return server


async def main(folder: str, ports: list[int]) -> None:
    """Relay until the end."""
    servers = [await listen(folder, port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], [int(port) for port in sys.argv[2:]]))
