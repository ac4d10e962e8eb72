"""The way out of a sandbox: a port inside that leads to the host's proxy.

It runs inside, on Python 3.9 or newer with nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from .channel import Channel, Frame

if TYPE_CHECKING:
    from .supervisor import Supervisor

PIECE = 65536


def listen(port: int) -> socket.socket:
    """Return a socket that listens on the sandbox's own loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def forward(socket_path: str, listener: socket.socket) -> None:
    """Pass every connection on to the Unix socket of the host's proxy, for ever."""
    asyncio.run(_forward(socket_path, listener))


def serve(channel: Channel, socket_path: str, port: int) -> None:
    """Listen on a port, say so, and pass every connection on to the Unix socket of the host's proxy."""
    listener = listen(port)
    channel.send({"listening": port})
    forward(socket_path, listener)


async def _forward(socket_path: str, listener: socket.socket) -> None:
    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(socket_path)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            writer.close()
            back.close()

    server = await asyncio.start_server(serve_one, sock=listener)
    async with server:
        await server.serve_forever()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = await source.read(PIECE)
            if not data:
                break
            target.write(data)
            await target.drain()
        target.write_eof()


class WayOut:
    """The forwarder to the host's proxy; work can begin when it listens."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def frame(self, frame: Frame) -> None:
        """Learn that it listens."""
        self._supervisor.ready()

    def output(self, stream: str, data: bytes) -> None:
        """Leave what is printed."""

    def exited(self, code: int, usage: Any) -> None:
        """Leave programs without a way out."""
