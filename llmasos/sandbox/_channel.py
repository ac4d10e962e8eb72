"""The host's end of a worker's channel: requests with streamed output, and nothing believed.

A worker runs next to hostile code, so each frame's size and fields are checked; what does not fit
ends the sandbox.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel

from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox.port import (
    FileContent,
    Listing,
    Matches,
    OnCall,
    OnOutput,
    Outcome,
)

_LARGEST_FRAME = 64_000_000
_LARGEST_KEPT = 8_000_000
_STATUSES = ("ok", "failed", "timeout", "memory", "lost")


class _Request:
    """A request under way."""

    def __init__(self, on_output: OnOutput | None, on_call: OnCall | None) -> None:
        self.on_output = on_output
        self.on_call = on_call
        self.output: list[str] = []
        self.kept = 0
        self.answer: dict[str, Any] | None = None
        self.answered = anyio.Event()


class WorkerSandbox:
    """A sandbox whose worker is reached over a socket.

    Args:
        backend: The backend's name, for outcomes.
        sock: The connected socket.
        on_close: Ends the sandbox's processes; called once.
    """

    def __init__(self, backend: str, sock: socket.socket, on_close: Callable[[], Awaitable[None]]) -> None:
        self.backend = backend
        self._socket = sock
        self._writer: asyncio.StreamWriter | None = None
        self._on_close = on_close
        self._requests: dict[int, _Request] = {}
        self._next = 0
        self._lost = ""
        self._closed = False
        self._calls: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._sending = anyio.Lock()

    async def start(self, timeout: float) -> None:
        """Wait until the worker says that it is ready.

        Raises:
            SandboxError: It did not within `timeout` seconds.
        """
        self._socket.setblocking(False)
        try:
            self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
            with anyio.fail_after(timeout):
                frame = await self._receive()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise SandboxError(
                f"The {self.backend} sandbox did not start: {error or 'it ended at once'}.",
                hint="`llmasos doctor` shows what is missing.",
            ) from error
        assert "ready" in frame
        self._reading = asyncio.create_task(self._read())

    async def attach(self) -> None:
        """Have a worker that was started without its workspace look at what is mounted there now.

        Raises:
            SandboxError: It cannot.
        """
        done = await self._ask({"op": "attach"}, _Request(None, None))
        if "error" in done:
            raise SandboxError(f"The workspace cannot be opened: {done['error']}.")

    async def run_command(
        self, command: str, *, timeout: float, on_output: OnOutput | None = None
    ) -> Outcome:
        return await self._run({"op": "command", "command": command, "timeout": timeout}, on_output)

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Outcome:
        names = {name: list(parameters) for name, parameters in (functions or {}).items()}
        frame = {"op": "python", "code": code, "timeout": timeout, "functions": names}
        return await self._run(frame, on_output, on_call)

    async def read(self, path: str, *, offset: int = 0, limit: int = 1_000_000) -> FileContent:
        done = await self._file("read", path=path, offset=offset, limit=limit)
        return FileContent(data=base64.b64decode(done["data"]), size=int(done["size"]), offset=offset)

    async def write(self, path: str, data: bytes) -> None:
        await self._file("write", path=path, data=base64.b64encode(data).decode())

    async def list(
        self, path: str = ".", *, pattern: str = "*", depth: int | None = None, limit: int = 1000
    ) -> Listing:
        return Listing.model_validate(
            await self._file("list", path=path, pattern=pattern, depth=depth, limit=limit)
        )

    async def search(self, pattern: str, *, path: str = ".", glob: str = "*", limit: int = 200) -> Matches:
        return Matches.model_validate(
            await self._file("search", pattern=pattern, path=path, glob=glob, limit=limit)
        )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            for task in (*self._calls, *([self._reading] if self._reading else [])):
                task.cancel()
            if self._writer is not None:
                # The transport owns the socket, and lets go of it in the loop's next round.
                self._writer.transport.abort()
                await anyio.lowlevel.checkpoint()
            self._socket.close()
            await self._on_close()
            self._fail("The sandbox was closed.")

    async def _run(
        self, frame: dict[str, Any], on_output: OnOutput | None, on_call: OnCall | None = None
    ) -> Outcome:
        began = time.monotonic()
        request = _Request(on_output, on_call)
        done = await self._ask(frame, request)
        if "error" in done:
            raise SandboxError(str(done["error"]))
        status = done.get("status")
        exit_code = done.get("exit_code")
        output = "".join(request.output)
        if done.get("restarted"):
            output += "\n[Python was restarted; its variables are gone]"
        return Outcome(
            status=status if status in _STATUSES else "lost",
            exit_code=exit_code if isinstance(exit_code, int) else None,
            output=output,
            result=str(done.get("result") or ""),
            seconds=round(time.monotonic() - began, 3),
            backend=self.backend,
            truncated=bool(done.get("truncated")),
        )

    async def _file(self, op: str, **arguments: object) -> dict[str, Any]:
        done = await self._ask({"op": op, "arguments": arguments}, _Request(None, None))
        if "error" in done:
            raise ToolError(str(done["error"])[:2000])
        inner = done.get("done")
        if not isinstance(inner, dict):
            raise await self._distrust("an answer without a body")
        return inner

    async def _ask(self, frame: dict[str, Any], request: _Request) -> dict[str, Any]:
        if self._lost:
            raise SandboxError(self._lost)
        self._next += 1
        number = self._next
        self._requests[number] = request
        try:
            await self._send({**frame, "id": number})
            await request.answered.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._stop(number, request)
            raise
        finally:
            del self._requests[number]
        if request.answer is None:
            raise SandboxError(self._lost, hint="The next action gets a fresh sandbox.")
        return request.answer

    async def _stop(self, number: int, request: _Request) -> None:
        """Stop a request that nobody waits for any more: interrupt, then end the sandbox."""
        try:
            with anyio.fail_after(1.6):
                await self._send({"op": "interrupt", "id": number})
                await request.answered.wait()
        except (TimeoutError, SandboxError):
            await self.close()

    async def _send(self, frame: dict[str, Any]) -> None:
        data = json.dumps(frame, ensure_ascii=True).encode()
        try:
            if self._writer is None:
                raise RuntimeError("not started")
            async with self._sending:
                self._writer.write(struct.pack(">I", len(data)) + data)
                await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise SandboxError("The sandbox has died.", hint="The next action gets a fresh one.") from error

    async def _receive(self) -> dict[str, Any]:
        (length,) = struct.unpack(">I", await self._reader.readexactly(4))
        if length > _LARGEST_FRAME:
            raise ValueError("a frame is too large")
        frame = json.loads(await self._reader.readexactly(length))
        if not isinstance(frame, dict):
            raise ValueError("a frame is not an object")
        return frame

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._receive())
        except asyncio.IncompleteReadError:
            self._fail("The sandbox has died.")
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._fail(f"The sandbox's worker cannot be trusted any more: {error}.")

    def _take(self, frame: dict[str, Any]) -> None:
        request = self._requests.get(frame["id"])
        if request is None:
            return
        if "done" in frame:
            request.answer = dict(frame["done"])
            request.answered.set()
        elif "text" in frame:
            text = str(frame["text"])
            request.kept += len(text)
            if request.kept <= _LARGEST_KEPT:
                request.output.append(text)
                if request.on_output is not None:
                    request.on_output(str(frame["stream"]), text)
        elif "call" in frame:
            task = asyncio.create_task(self._carry_out(request, frame))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        else:
            raise ValueError("a frame of no known kind")

    async def _carry_out(self, request: _Request, frame: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"op": "reply", "id": frame["id"], "call": frame["call"]}
        try:
            if request.on_call is None:
                raise ToolError("No tool can be called here.")
            value = await request.on_call(str(frame["name"]), dict(frame["arguments"]))
            reply["value"] = json.loads(json.dumps(value, default=str))
        except Exception as error:
            # Whatever went wrong is raised inside the cell, where the model's code can see it.
            reply["error"] = str(error) or type(error).__name__
        try:
            await self._send(reply)
        except SandboxError:
            return

    def _fail(self, why: str) -> None:
        self._lost = self._lost or why
        for request in self._requests.values():
            request.answered.set()

    async def _distrust(self, what: str) -> SandboxError:
        await self.close()
        return SandboxError(
            f"The sandbox's worker sent {what}.", hint="The next action gets a fresh sandbox."
        )

    @property
    def lost(self) -> bool:
        """Whether the sandbox is gone and must be replaced."""
        return bool(self._lost) or self._closed
