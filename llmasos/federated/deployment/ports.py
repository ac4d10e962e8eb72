"""Ports of this machine: taken at once or not at all, and who has them."""

from __future__ import annotations

import socket
from pathlib import Path

from llmasos.federated.port import FederatedError

_LISTENS = "0A"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine, and on no other.

    Args:
        host: A name or an address of this machine.
        port: The port; 0 for any that is free.

    Raises:
        FederatedError: The port is taken, or the host is not this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        if who := holder(port):
            raise FederatedError(
                f"Port {port} is taken by {who}.",
                hint="End that, such as a training or a question of the federation, or make one with "
                "another port: llmasos federated init NAME --port PORT",
            ) from None
        raise FederatedError(
            f"Nothing can listen on {host}, port {port}: {error.strerror or error}.",
            hint="Name an address of this machine: llmasos federated init NAME --host ADDRESS",
        ) from None
    return found


def holder(port: int) -> str:
    """Return which program listens on a port, or nothing when none does."""
    sockets = _listening(port)
    if not sockets:
        return ""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (place / "fd").iterdir()):
                name = (place / "comm").read_text().strip()
                return f"{name} (process {place.name})"
        except OSError:
            continue
    return "a program of another user"


def _listening(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            parts = line.split()
            if parts[3] == _LISTENS and int(parts[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{parts[9]}]")
    return found
