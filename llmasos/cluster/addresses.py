"""Addresses: whether somebody answers there, and which of them this machine can listen on."""

from __future__ import annotations

import socket

from llmasos.cluster.port import ClusterError

_REACH_SECONDS = 5.0
_ANY_PORT = 9


def unreachable(address: str) -> str:
    """Return why nothing answers at an address; Ray would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
        except (OSError, OverflowError) as error:
            return str(getattr(error, "strerror", None) or error)
    return ""


def free_port(host: str, port: int) -> int:
    """Return a port that can be listened on, which is the one named unless that is 0.

    Raises:
        ClusterError: It is taken, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            return int(tried.getsockname()[1])
    except (OSError, UnicodeError, OverflowError) as error:
        raise ClusterError(
            f"The cluster cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}.",
            hint="Name an address of this machine with --host, or another port with --port.",
        ) from error


def way_to(host: str) -> str:
    """Return the address of this machine that packets to a host leave from.

    Raises:
        ClusterError: None do.
    """
    try:
        family = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)[0][0]
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((host, _ANY_PORT))
            return str(way.getsockname()[0])
    except (OSError, UnicodeError) as error:
        raise ClusterError(
            f"No way leads to {host}: {error}.", hint="Name an address of this machine with --host."
        ) from error


def bracketed(host: str) -> str:
    """Return a host as it stands before a port."""
    return f"[{host}]" if ":" in host else host
