"""An object in a process of its own on this machine: both ends of the wire."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio

from llmasos.cluster._child import LENGTH_BYTES, adopt_orphans, prepared
from llmasos.cluster._failure import Failure
from llmasos.cluster._host import Host
from llmasos.cluster._process import preparation, started
from llmasos.cluster._tree import end_tree, gone
from llmasos.cluster.port import ClusterError, WorkerDied

_BUFFER = 64
_STOP_SECONDS = 10.0


class HostedWorker:
    """An object in a child process.

    Args:
        gpus: The GPUs that it sees; None is all.
        on_end: Told when the process has ended.
    """

    def __init__(self, gpus: tuple[int, ...] | None, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Queue[Any]] = {}
        self._ended = anyio.Event()
        self._popen, self._wire, self._handle = started("_hosted", gpus)
        self.pid = self._popen.pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._exited)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None] | None = None

    async def make(self, make: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
        """Make the object.

        Raises:
            ClusterError: What makes it cannot be sent.
            WorkerDied: The process ended.
        """
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._wire)
        self._reading = asyncio.ensure_future(self._read())
        await self._asked("make", preparation(), _sendable((make, arguments)))

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method."""
        return await self._asked("call", method, _sendable(arguments))

    async def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what an asynchronous generator method yields."""
        number = next(self._numbers)
        answers = self._ask(number, "stream", method, _sendable(arguments))
        ended, taken = False, 0
        try:
            while True:
                data, ended = await self._answer(answers)
                value = _read(data)
                if ended:
                    return
                yield value
                taken += 1
                if taken % (_BUFFER // 2) == 0:
                    self._send((number, "more"))
        finally:
            if not ended:
                await self._stop(number, answers)
            del self._answers[number]

    async def died(self) -> str:
        """Wait until the process has ended."""
        await self._ended.wait()
        return self._reason()

    async def stop(self) -> None:
        """End the process with all that it has started."""
        if not self._ended.is_set():
            below = end_tree([self.pid])
            await self._ended.wait()
            await gone(below)
        if self._reading is not None:
            self._reading.cancel()
            self._writer.close()

    async def _asked(self, *message: Any) -> Any:
        number = next(self._numbers)
        answers = self._ask(number, *message)
        try:
            data, _ = await self._answer(answers)
        except anyio.get_cancelled_exc_class():
            await self._stop(number, answers)
            raise
        finally:
            del self._answers[number]
        return _read(data)

    def _ask(self, number: int, *message: Any) -> asyncio.Queue[Any]:
        self._answers[number] = answers = asyncio.Queue[Any]()
        if self._ended.is_set():
            answers.put_nowait(None)
        else:
            self._send((number, *message))
        return answers

    async def _answer(self, answers: asyncio.Queue[Any]) -> tuple[bytes, bool]:
        if (answer := await answers.get()) is None:
            raise WorkerDied(f"The worker ended: {self._reason()}.", hint="Try again.")
        data, ended = answer
        return data, ended

    async def _stop(self, number: int, answers: asyncio.Queue[Any]) -> None:
        if self._ended.is_set():
            return
        self._send((number, "stop"))
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            while (answer := await answers.get()) is not None and not answer[1]:
                pass

    def _send(self, message: Any) -> None:
        if not self._ended.is_set():
            _write(self._writer, message)

    async def _read(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                number, *answer = await _frame(self._reader)
                if number in self._answers:
                    self._answers[number].put_nowait(answer)
        # Its end is told by the process.
        await self._ended.wait()
        for answers in self._answers.values():
            answers.put_nowait(None)
        self._writer.close()

    def _exited(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        self._popen.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._ended.set()
        self._on_end()

    def _reason(self) -> str:
        code = self._popen.returncode
        return f"signal {-code}" if code < 0 else f"status {code}"


async def serve(number: int) -> None:
    """Hold the object, for as long as the parent is there.

    Args:
        number: The socket's.
    """
    wire = socket.socket(fileno=number)
    wire.set_inheritable(False)
    reader, writer = await asyncio.open_unix_connection(sock=wire)
    host = Host()
    tasks: dict[int, asyncio.Task[None]] = {}
    rooms: dict[int, asyncio.Semaphore] = {}

    def tell(number: int, value: Any = None, failure: Failure | None = None, ended: bool = True) -> None:
        # The frame can be read, whatever is in it.
        _write(writer, (number, pickle.dumps((value, failure), 5), ended))

    async def answer(number: int, kind: str, *rest: Any) -> None:
        value, failure = None, None
        try:
            if kind == "make":
                prepared(rest[0])
                make, arguments = pickle.loads(rest[1])
                value, failure = await host.make(make, arguments)
            elif kind == "call":
                value, failure = await host.call(number, rest[0], pickle.loads(rest[1]))
            else:
                room = rooms[number]
                async with aclosing(host.stream(number, rest[0], pickle.loads(rest[1]))) as answers:
                    async for value, failure in answers:
                        if failure is not None:
                            break
                        await room.acquire()
                        tell(number, value, ended=False)
                        await writer.drain()
                    value = None
            tell(number, value, failure)
        except Exception as error:
            tell(number, failure=Failure.of(error))

    def ended(number: int, task: asyncio.Task[None]) -> None:
        tasks.pop(number)
        rooms.pop(number, None)
        if task.cancelled():
            tell(number)

    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            number, kind, *rest = await _frame(reader)
            if kind == "more":
                if number in rooms:
                    for _ in range(_BUFFER // 2):
                        rooms[number].release()
                continue
            if kind == "stop":
                if number in tasks:
                    tasks[number].cancel()
                continue
            if kind == "stream":
                rooms[number] = asyncio.Semaphore(_BUFFER)
            tasks[number] = task = asyncio.ensure_future(answer(number, kind, *rest))
            task.add_done_callback(partial(ended, number))
    os.killpg(0, signal.SIGKILL)


def _sendable(value: Any) -> bytes:
    try:
        return pickle.dumps(value, 5)
    except Exception as error:
        raise ClusterError(f"It cannot be sent to a worker: {error}.") from error


def _read(data: bytes) -> Any:
    """Return what was answered, or raise it."""
    try:
        value, failure = pickle.loads(data)
        error = None if failure is None else failure.error()
    except Exception as unread:
        raise ClusterError(
            f"The worker's answer cannot be read here: {type(unread).__name__}: {unread}.",
            hint="Return what can be pickled, of classes that can be imported here, too.",
        ) from unread
    if error is not None:
        raise error
    return value


def _write(writer: asyncio.StreamWriter, message: Any) -> None:
    data = pickle.dumps(message, 5)
    writer.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)


async def _frame(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    return pickle.loads(await reader.readexactly(size))


if __name__ == "__main__":
    adopt_orphans()
    asyncio.run(serve(int(sys.argv[1])))
