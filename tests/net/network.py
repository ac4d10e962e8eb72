"""A network that answers at every address, and notes where it was reached."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import httpcore2

from llmasos.net import is_public

PUBLIC = "93.184.215.14"
Answer = Callable[[str], bytes]


def http(status: str = "200 OK", body: bytes = b"secret", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


class FakeNetwork(httpcore2.AsyncNetworkBackend):
    """Every address answers; names have the addresses of the next of their answers.

    Args:
        names: The answers of a name, of which the last one is repeated.
        answer: What a path is answered with.
        down: Whether public addresses do not answer.
        heard: Told the head of every request.
    """

    def __init__(
        self,
        names: dict[str, Sequence[Sequence[str]]] | None = None,
        answer: Answer | None = None,
        *,
        down: bool = False,
        heard: Callable[[bytes], None] = lambda head: None,
    ) -> None:
        self.down, self.heard = down, heard
        self.names = {name: list(answers) for name, answers in (names or {}).items()}
        self.answer = answer or (lambda path: http())
        self.reached: list[tuple[str, int]] = []
        self.asked: list[str] = []

    async def resolve(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        try:
            # As the resolvers of operating systems read numbers.
            return [socket.inet_ntoa(socket.inet_aton(name))]
        except OSError:
            pass
        answers = self.names.get(name, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        self.reached.append((host, port))
        if self.down and is_public(host):
            raise httpcore2.ConnectError("down")
        return _Stream(self.answer, self.heard)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing has to wait")


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, answer: Answer, heard: Callable[[bytes], None]) -> None:
        self._answer, self._heard = answer, heard
        self._asked = b""
        self._rest = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._asked += buffer
        if self._asked.endswith(b"\r\n\r\n"):
            self._heard(self._asked)
            self._rest += self._answer(self._asked.split(b" ")[1].decode())
            self._asked = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return data

    async def start_tls(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        return self

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None
