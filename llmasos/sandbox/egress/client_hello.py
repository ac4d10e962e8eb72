"""Reading the server's name out of the first message of a TLS connection (RFC 8446, RFC 6066)."""

from __future__ import annotations

LARGEST_HELLO = 32_768
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0x0000
_ENCRYPTED_HELLO = 0xFE0D


class HelloError(ValueError):
    """Bytes that are not the start of a TLS connection whose server can be told, with the reason."""


def server_name(data: bytes) -> str | None:
    """Return the name that a ClientHello asks for, empty if it has none, or None while more bytes are needed.

    Args:
        data: All bytes of the connection so far.

    Raises:
        HelloError: It is not a ClientHello, or hides whom it asks for.
    """
    message = b""
    rest = data
    while True:
        if rest[:1] not in (b"", bytes([_HANDSHAKE])):
            raise HelloError("it does not speak TLS")
        if len(rest) >= 2 and rest[1] != 3:
            raise HelloError("it does not speak TLS")
        if len(message) >= 4:
            if message[0] != _CLIENT_HELLO:
                raise HelloError("its TLS does not begin with a ClientHello")
            length = int.from_bytes(message[1:4])
            if length > LARGEST_HELLO:
                raise HelloError("its ClientHello is too large")
            if len(message) >= length + 4:
                if len(message) > length + 4:
                    raise HelloError("its ClientHello is malformed")
                return _name(message[4:])
        if len(data) > LARGEST_HELLO:
            raise HelloError("its ClientHello is too large")
        size = int.from_bytes(rest[3:5])
        if len(rest) < 5 or len(rest) < 5 + size:
            return None
        if size == 0:
            raise HelloError("its ClientHello is malformed")
        message += rest[5 : 5 + size]
        rest = rest[5 + size :]


def _name(body: bytes) -> str:
    hello = _Reader(body)
    hello.take(2 + 32)
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        hello.vector(width)
    extensions = _Reader(hello.vector(2))
    hello.end()
    names: list[bytes] = []
    while extensions.left:
        kind = int.from_bytes(extensions.take(2))
        value = extensions.vector(2)
        if kind == _ENCRYPTED_HELLO:
            raise HelloError("it hides the name of its server (encrypted ClientHello)")
        if kind == _SERVER_NAME:
            listed = _Reader(value)
            entries = _Reader(listed.vector(2))
            listed.end()
            while entries.left:
                if entries.take(1) != b"\0":
                    raise HelloError("its ClientHello is malformed")
                names.append(entries.vector(2))
    if len(names) > 1:
        raise HelloError("its ClientHello names more than one server")
    try:
        return b"".join(names).decode("ascii").lower()
    except UnicodeDecodeError:
        raise HelloError("its ClientHello is malformed") from None


class _Reader:
    """Takes fields off the front of a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if self.left < count:
            raise HelloError("its ClientHello is malformed")
        self._at += count
        return self._data[self._at - count : self._at]

    def vector(self, width: int) -> bytes:
        return self.take(int.from_bytes(self.take(width)))

    def end(self) -> None:
        if self.left:
            raise HelloError("its ClientHello is malformed")
