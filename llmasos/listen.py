"""Listening: the user's own Unix socket, and a TCP port for other programs."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from pathlib import Path

from llmasos import paths
from llmasos.config import ServiceSettings
from llmasos.errors import ConfigError, KernelError

_LONGEST_SOCKET_PATH = 100  # sockaddr_un.sun_path holds 108 bytes on Linux
_BACKLOG = 128


def unix_listener(path: Path) -> socket.socket:
    """Return a listening Unix socket that only this user can open.

    Raises:
        KernelError: The path is too long.
    """
    paths.private_dir(path.parent)
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise KernelError(
            f"The socket's path is too long: {path}.", hint="Set LLMASOS_RUNTIME_DIR to a shorter one."
        )
    # The kernel's lock is held, so a socket that is there was left behind by a crash.
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    return listener


def tcp_addresses(settings: ServiceSettings) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses to listen on, each with its family.

    Raises:
        ConfigError: The host has no address, or could be reached from outside without TLS.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.tcp_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"The host {settings.host!r} has no address: {error}.", hint="Correct LLMASOS_SERVICE__HOST."
        ) from error
    addresses: list[tuple[socket.AddressFamily, str]] = list(
        dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found)
    )
    if settings.tls_certificate is None and not all(is_loopback(address) for _, address in addresses):
        raise ConfigError(
            f"Without TLS, keys would go over the network in the clear: {settings.host} is not a loopback "
            "address.",
            hint="Set LLMASOS_SERVICE__TLS_CERTIFICATE and LLMASOS_SERVICE__TLS_KEY, "
            "or the host to 127.0.0.1.",
        )
    return addresses


def tcp_listeners(settings: ServiceSettings) -> list[socket.socket]:
    """Return listening sockets on every address of the host.

    Raises:
        ConfigError: The host cannot be used.
        KernelError: The port cannot be used.
    """
    listeners: list[socket.socket] = []
    try:
        for family, address in tcp_addresses(settings):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, settings.tcp_port))
            listener.listen(_BACKLOG)
    except OSError as error:
        for each in listeners:
            each.close()
        raise KernelError(
            f"The kernel cannot listen on {settings.host} port {settings.tcp_port}: {error.strerror}.",
            hint="Choose another one with LLMASOS_SERVICE__PORT, or find what uses it: `ss -ltnp`.",
        ) from error
    return listeners


def tls_context(settings: ServiceSettings) -> ssl.SSLContext | None:
    """Return how TLS is spoken; None without a certificate.

    Raises:
        ConfigError: The certificate or its key cannot be used.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None:
        if key is not None:
            raise ConfigError(
                "There is a key for TLS, and no certificate.", hint="Set LLMASOS_SERVICE__TLS_CERTIFICATE."
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in filter(None, (certificate, key)):
        _check_readable(path)
    asked: list[str] = []

    def password() -> str:
        # OpenSSL would ask for it on the terminal.
        asked.append("the key has a password")
        return ""

    try:
        context.load_cert_chain(certificate, key, password=password)
    except ssl.SSLError as error:
        raise ConfigError(
            f"The certificate {certificate} and its key {key or 'in the same file'} cannot be used: "
            f"{asked[0] if asked else _why(error)}.",
            hint="Both are PEM files, the key without a password, and the key is the certificate's own.",
        ) from error
    return context


def address_of(listener: socket.socket, tls: bool) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(address: str) -> bool:
    """Return whether an address, as numbers, is this machine's own."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Check its name and its permissions."
        ) from error


def _why(error: ssl.SSLError) -> str:
    reasons = {
        "KEY_VALUES_MISMATCH": "the key is of another certificate",
        "NO_START_LINE": "one of them is no PEM file",
    }
    return reasons.get(error.reason or "", "one of them is missing, or no PEM file")
