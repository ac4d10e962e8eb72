"""The host's end of a worker's channel: requests, their answers, and nothing believed.

A worker runs next to hostile code. Each frame's size, kind and fields are checked, what a request may send is
bounded, and whatever does not fit ends the connection.
"""

from __future__ import annotations

import asyncio
import codecs
import contextvars
import json
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox.port import LARGEST_ARTIFACT, MOST_ARTIFACTS, OnCall, OnOutput, Status
from llmasos.sandbox.worker.channel import Decoder, Frame, encode

_MOST_CALLS = 64
_MOST_STRAY = 1000
_SLACK = 65_536  # bytes of output beyond the cap: the worker's marker, and what is cut at characters

# Whether this code runs on behalf of a cell, whose session is busy until it returns.
within_cell: contextvars.ContextVar[object] = contextvars.ContextVar("within_cell", default=None)


class Request:
    """A request under way, with all that it may still bring.

    Args:
        on_output: Gets output as it comes.
        on_call: Carries out calls.
        room: Bytes of output that it may bring.
    """

    def __init__(
        self, on_output: OnOutput | None = None, on_call: OnCall | None = None, room: int = 0
    ) -> None:
        self.on_output = on_output
        self.on_call = on_call
        self.output: list[str] = []
        self.artifacts: list[tuple[str, bytes]] = []
        self.answer: Frame | None = None
        self.data = b""
        self.answered = anyio.Event()
        self.forced: Status | None = None
        self.overdue = False
        self._room = room + _SLACK
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self.calls: set[asyncio.Task[None]] = set()
        self._called = 0.0
        self._called_since = 0.0

    def take_output(self, stream: str, data: bytes) -> None:
        """Pass a piece of output on.

        Raises:
            ValueError: There is more than the worker was told to send.
        """
        self._room -= len(data)
        if self._room < 0:
            raise ValueError("more output than it may send")
        decoder = self._decoders.setdefault(stream, codecs.getincrementaldecoder("utf-8")("replace"))
        self._say(stream, decoder.decode(data))

    def _say(self, stream: str, text: str) -> None:
        if text:
            self.output.append(text)
            if self.on_output is not None:
                self.on_output(stream, text)

    def finish(self, answer: Frame | None, data: bytes = b"") -> None:
        """Take the answer, or learn that there will be none."""
        if not self.answered.is_set():
            self.answer, self.data = answer, data
            for stream, decoder in self._decoders.items():
                self._say(stream, decoder.decode(b"", final=True))
            for call in self.calls:
                call.cancel()
            self.answered.set()

    def call(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out a call in a task of its own; the time that calls take is counted apart."""
        if not self.calls:
            self._called_since = time.monotonic()
        task = asyncio.create_task(work)
        self.calls.add(task)
        task.add_done_callback(self._call_ended)

    def _call_ended(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        if not self.calls:
            self._called += time.monotonic() - self._called_since

    def called(self) -> float:
        """Return how many seconds calls have taken so far."""
        return self._called + (time.monotonic() - self._called_since if self.calls else 0.0)


class Connection(asyncio.Protocol):
    """A connection to a worker.

    Args:
        on_broken: Told once why it cannot be used any more.
    """

    def __init__(self, on_broken: Callable[[str], None]) -> None:
        self._on_broken = on_broken
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._requests: dict[int, Request] = {}
        self._next = 0
        self._stray = 0
        self.ready = anyio.Event()
        self.broken = ""

    async def open(self, sock: socket.socket, timeout: float) -> None:
        """Use a socket, and wait until the worker says that it is ready.

        Raises:
            SandboxError: It did not within `timeout` seconds.
        """
        try:
            with anyio.fail_after(timeout):
                await asyncio.get_running_loop().create_connection(lambda: self, sock=sock)
                await self.ready.wait()
        except (TimeoutError, OSError) as error:
            self.fail(f"{error or 'it does not answer'}")
        if self.broken:
            raise SandboxError(self.broken)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.broken:
            return
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
                if self.broken:
                    return
        except (ValueError, KeyError, TypeError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            self.fail(f"The sandbox's worker cannot be trusted any more: it sent {said}.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("The sandbox has died.")

    def fail(self, why: str) -> None:
        """Use the connection no more, and let every request know."""
        if not self.broken:
            self.broken = why
            self.ready.set()
            if self._transport is not None:
                self._transport.abort()
            for request in list(self._requests.values()):
                request.finish(None)
            self._on_broken(why)

    def ask(self, frame: Frame, request: Request, data: bytes = b"") -> int:
        """Send a request, and return its number.

        Raises:
            SandboxError: The connection is broken.
        """
        self._next += 1
        self._requests[self._next] = request
        self.send({**frame, "id": self._next}, data)
        return self._next

    def forget(self, number: int) -> None:
        """Let what still comes for a request go by."""
        self._requests.pop(number, None)

    def interrupt(self, number: int) -> None:
        """Have the worker stop a request; its answer still comes."""
        self.send({"op": "interrupt", "id": number})

    def running(self) -> list[tuple[int, Request]]:
        """Return the requests that have no answer yet."""
        return [item for item in self._requests.items() if not item[1].answered.is_set()]

    def send(self, frame: Frame, data: bytes = b"") -> None:
        """Send a frame.

        Raises:
            SandboxError: The connection is broken.
        """
        if self.broken or self._transport is None:
            raise SandboxError(
                self.broken or "The sandbox is not open.", hint="The next action gets a fresh sandbox."
            )
        self._transport.write(encode(frame, data))

    def _take(self, frame: Frame) -> None:
        if not self.ready.is_set():
            if "ready" not in frame:
                raise ValueError("a frame before it was ready")
            self.ready.set()
            return
        number = frame["id"]
        request = self._requests.get(number) if isinstance(number, int) else None
        if request is None or request.answered.is_set():
            self._stray += 1
            if self._stray > _MOST_STRAY:
                raise ValueError("frames that nobody asked for")
        elif "done" in frame:
            request.finish(_object(frame["done"]), frame["data"])
        elif "stream" in frame:
            stream = frame["stream"]
            request.take_output(stream if stream == "stderr" else "stdout", frame["data"])
        elif "artifact" in frame:
            if len(request.artifacts) < MOST_ARTIFACTS and len(frame["data"]) <= LARGEST_ARTIFACT:
                request.artifacts.append((str(frame["artifact"])[:200], frame["data"]))
        elif "call" in frame:
            self._call(number, request, frame)
        else:
            raise ValueError("a frame of no known kind")

    def _call(self, number: int, request: Request, frame: Frame) -> None:
        call, name, arguments = frame["call"], frame["name"], _object(frame["arguments"])
        if not isinstance(call, int) or not isinstance(name, str):
            raise ValueError("a call without a number or a name")
        if request.on_call is None or len(request.calls) >= _MOST_CALLS:
            raise ValueError("a call that it may not make")
        request.call(self._carry_out(request.on_call, number, call, name, arguments))

    async def _carry_out(
        self, on_call: OnCall, number: int, call: int, name: str, arguments: dict[str, Any]
    ) -> None:
        within_cell.set(self)
        reply: Frame = {"op": "reply", "id": number, "call": call}
        try:
            value = await on_call(name, arguments)
            reply["value"] = json.loads(json.dumps(value, default=str))
        except Exception as error:
            # Whatever went wrong is raised inside the cell, where the model's code can see it.
            message = error.message if isinstance(error, ToolError) else str(error)
            reply["error"] = message or type(error).__name__
        try:
            self.send(reply)
        except SandboxError:
            return


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("something that is not an object")
    return value
