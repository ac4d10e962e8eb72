"""The way out of a sandbox: a port inside that leads to the host's proxy.

It runs inside, on Python 3.9 or newer with nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from .channel import Channel

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
