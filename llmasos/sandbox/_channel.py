"""A sandbox whose worker is reached over a socket: the port, on top of a connection."""

from __future__ import annotations

import asyncio
import codecs
import errno
import math
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args

import anyio
import anyio.lowlevel
from pydantic import BaseModel, ValidationError

from llmasos.config import SandboxLimits
from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox._artifacts import name_artifacts
from llmasos.sandbox._connection import Connection, Request, within_cell
from llmasos.sandbox.port import (
    FileContent,
    FileError,
    FileInfo,
    Job,
    JobOutput,
    Limit,
    Listing,
    Matches,
    OnCall,
    OnOutput,
    Outcome,
    Status,
)

_STATUSES = frozenset(("ok", "failed", "cancelled", "lost", *get_args(Limit)))
_HINT = "The next action gets a fresh sandbox."
# The worker interrupts, kills and sweeps in this time, or it is not in command any more.
_PATIENCE = 1.4
_FILE_SECONDS = 35.0
_SHORT_SECONDS = 15.0
_PIECE = 4_000_000
_LARGEST_WRITE = 60_000_000
_LONGEST_TEXT = 20_000

_Model = TypeVar("_Model", bound=BaseModel)


class WorkerSandbox:
    """A sandbox whose worker is reached over a socket.

    Args:
        backend: The backend's name, for outcomes.
        sock: The connected socket.
        on_close: Ends the sandbox's processes; called once.
        limits: What the worker was told to keep to.
    """

    def __init__(
        self,
        backend: str,
        sock: socket.socket,
        on_close: Callable[[], Awaitable[None]],
        limits: SandboxLimits | None = None,
    ) -> None:
        self.backend = backend
        self._socket = sock
        self._on_close = on_close
        self._room = (limits or SandboxLimits()).output_bytes
        self._connection = Connection(self._broken)
        self._closing: asyncio.Task[None] | None = None
        self._started = False
        self._artifacts = 0
        # The worker has one of each; who comes second waits here, and its clock does not run.
        self._python = anyio.Lock()
        self._files = anyio.Lock()

    @property
    def lost(self) -> bool:
        """Whether the sandbox is gone and must be replaced."""
        return bool(self._connection.broken)

    async def start(self, timeout: float) -> None:
        """Wait until the worker says that it is ready.

        Raises:
            SandboxError: It did not within `timeout` seconds.
        """
        self._socket.setblocking(False)
        try:
            await self._connection.open(self._socket, timeout)
        except SandboxError as error:
            await self.close()
            raise SandboxError(
                f"The {self.backend} sandbox did not start: {error.message}",
                hint="`llmasos doctor` shows what is missing.",
            ) from error

    async def attach(self) -> None:
        """Have a worker that was started without its workspace look at what is mounted there now.

        Raises:
            SandboxError: It cannot.
        """
        done, _ = await self._short({"op": "attach"})
        if "error" in done:
            raise SandboxError(f"The workspace cannot be opened: {_text(done['error'])}.")

    async def set_environment(self, variables: Mapping[str, str]) -> None:
        await self._short({"op": "environment", "variables": dict(variables)})

    async def furnish(self, files: Mapping[str, str]) -> None:
        await self._short({"op": "furnish", "files": dict(files)})

    def stop_with(self, status: Status) -> None:
        """Stop whatever runs, jobs apart, and have it answered with this status."""
        for number, request in self._connection.running():
            request.forced = request.forced or status
            self._connection.interrupt(number)

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
        keep_background: bool = False,
    ) -> Outcome:
        frame = {
            "op": "command",
            "command": command if isinstance(command, str) else list(command),
            "timeout": timeout,
            "env": dict(env or {}),
            "keep_background": keep_background,
        }
        return await self._run(frame, Request(on_output, None, self._room), timeout)

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
        fresh: bool = False,
    ) -> Outcome:
        names = {name: list(parameters) for name, parameters in (functions or {}).items()}
        frame = {"op": "python", "code": code, "timeout": timeout, "functions": names, "fresh": fresh}
        request = Request(on_output, on_call, self._room)
        if fresh:
            return await self._run(frame, request, timeout)
        self._refuse_within_cell()
        async with self._python:
            return await self._run(frame, request, timeout)

    async def save_state(self, name: str) -> None:
        await self._branch("save", name)

    async def restore_state(self, name: str) -> None:
        await self._branch("restore", name)

    async def _branch(self, op: str, name: str) -> None:
        self._refuse_within_cell()
        async with self._python:
            done, _ = await self._short({"op": op, "name": name})
        if "error" in done:
            verb = "kept" if op == "save" else "restored"
            raise SandboxError(f"The Python session cannot be {verb}: {_text(done['error'])}.")

    def _refuse_within_cell(self) -> None:
        if within_cell.get() is self._connection:
            raise ToolError("Python is busy with the cell that makes this call.")

    async def start_job(self, command: str, *, env: Mapping[str, str] | None = None) -> Job:
        return await self._job({"op": "job_start", "command": command, "env": dict(env or {})})

    async def jobs(self) -> Sequence[Job]:
        done, _ = await self._short({"op": "jobs"})
        found = done.get("jobs")
        return [self._checked(Job, job) for job in found] if isinstance(found, list) else []

    async def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        frame = {"op": "job_output", "job": job, "offset": offset, "wait": wait}
        done, data = await self._short(frame, _SHORT_SECONDS + wait)
        self._raise_tool_error(done)
        found = self._checked(JobOutput, {"text": "", "offset": done.get("offset"), "job": done.get("job")})
        more = found.job.running or found.offset + len(data) < found.job.written
        return found.model_copy(update={"text": _decoded(data, more)})

    async def stop_job(self, job: str) -> Job:
        return await self._job({"op": "job_stop", "job": job})

    async def _job(self, frame: dict[str, Any]) -> Job:
        done, _ = await self._short(frame)
        self._raise_tool_error(done)
        return self._checked(Job, done.get("job"))

    async def read(self, path: str, *, offset: int = 0, limit: int = 1_000_000) -> FileContent:
        pieces: list[bytes] = []
        have = size = 0
        while True:
            wanted = min(_PIECE, limit - have)
            done, data = await self._file("read", path=path, offset=offset + have, limit=wanted)
            size = done.get("size", 0)
            if not isinstance(size, int) or len(data) > wanted:
                raise self._distrust("a file that is none")
            pieces.append(data)
            have += len(data)
            if have >= limit or len(data) < wanted:
                return FileContent(data=b"".join(pieces), size=size, offset=offset)

    async def write(self, path: str, data: bytes) -> None:
        if len(data) > _LARGEST_WRITE:
            raise ToolError(
                f"{path}: {len(data)} bytes are too many to write at once.",
                hint=f"At most {_LARGEST_WRITE} bytes can be written.",
            )
        await self._file("write", data, path=path)

    async def stat(self, path: str) -> FileInfo:
        return self._checked(FileInfo, (await self._file("stat", path=path))[0])

    async def scan(self, path: str) -> Sequence[FileInfo]:
        return self._checked(Listing, (await self._file("scan", path=path))[0]).entries

    async def make_folder(self, path: str) -> None:
        await self._file("make_folder", path=path)

    async def remove(self, path: str) -> None:
        await self._file("remove", path=path)

    async def realpath(self, path: str) -> str:
        return _text((await self._file("realpath", path=path))[0].get("path", ""))

    async def list(
        self, path: str = ".", *, pattern: str = "*", depth: int | None = None, limit: int = 1000
    ) -> Listing:
        done, _ = await self._file("list", path=path, pattern=pattern, depth=depth, limit=limit)
        return self._checked(Listing, done)

    async def search(self, pattern: str, *, path: str = ".", glob: str = "*", limit: int = 200) -> Matches:
        done, _ = await self._file("search", pattern=pattern, path=path, glob=glob, limit=limit)
        return self._checked(Matches, done)

    async def close(self) -> None:
        """End everything that runs in the sandbox; closing twice is harmless."""
        self._connection.fail("The sandbox was closed.")
        with anyio.CancelScope(shield=True):
            await self._end()

    def _broken(self, why: str) -> None:
        # At once, so that nothing hostile goes on; who closes waits for it.
        self._closing = asyncio.ensure_future(self._shut())

    async def _end(self) -> None:
        assert self._closing is not None
        await self._closing

    async def _shut(self) -> None:
        # The transport owns the socket, and lets go of it in the loop's next round.
        await anyio.lowlevel.checkpoint()
        self._socket.close()
        await self._on_close()

    async def _run(self, frame: dict[str, Any], request: Request, timeout: float) -> Outcome:
        began = time.monotonic()
        done, _ = await self._ask(frame, request, timeout + _PATIENCE)
        if done is None and not request.forced and not request.overdue:
            raise SandboxError(self._connection.broken, hint=_HINT)
        answer = done or {"status": "timeout"}
        if "error" in answer:
            raise SandboxError(f"The sandbox failed: {_text(answer['error'])}.")
        status = request.forced or answer.get("status")
        code, output = answer.get("exit_code"), "".join(request.output)
        if answer.get("restarted") is True:
            output += "\n[Python was restarted; its variables are gone]"
        artifacts = name_artifacts(request.artifacts, self._artifacts + 1)
        self._artifacts += len(artifacts)
        return Outcome(
            status=status if isinstance(status, str) and status in _STATUSES else "lost",
            exit_code=code if isinstance(code, int) and abs(code) < 1 << 31 else None,
            output=output,
            result=_text(answer.get("result") or ""),
            seconds=round(time.monotonic() - began, 4),
            backend=self.backend,
            truncated=answer.get("truncated") is True,
            artifacts=artifacts,
        )

    async def _file(self, op: str, body: bytes = b"", **arguments: object) -> tuple[dict[str, Any], bytes]:
        async with self._files:
            done, data = await self._short({"op": op, "arguments": arguments}, _FILE_SECONDS, body)
        if "error" in done:
            number = done.get("errno")
            raise FileError(
                _text(done["error"])[:2000], errno=number if isinstance(number, int) else errno.EIO
            )
        inner = done.get("done")
        if not isinstance(inner, dict):
            raise self._distrust("an answer without a body")
        return inner, data

    async def _short(
        self, frame: dict[str, Any], seconds: float = _SHORT_SECONDS, body: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        """Ask what is answered soon.

        Raises:
            SandboxError: The sandbox has died, or does not answer, and is ended.
        """
        done, data = await self._ask(frame, Request(), seconds, body)
        if done is None:
            raise SandboxError(self._connection.broken, hint=_HINT)
        return done, data

    async def _ask(
        self, frame: dict[str, Any], request: Request, seconds: float, body: bytes = b""
    ) -> tuple[dict[str, Any] | None, bytes]:
        """Return the answer, or None when the sandbox has ended, be it for want of one.

        Args:
            frame: The request.
            request: What takes it in.
            seconds: How long to wait, the time inside calls not counted.
            body: Bytes that go with it.
        """
        number = self._connection.ask(frame, request, body)
        began = time.monotonic()
        try:
            while not request.answered.is_set():
                left = seconds + request.called() - (time.monotonic() - began)
                if left <= 0:
                    request.overdue = True
                    self._connection.fail("The sandbox does not answer any more.")
                    break
                with anyio.move_on_after(left if math.isfinite(left) else None):
                    await request.answered.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._stop(number, request)
            raise
        finally:
            self._connection.forget(number)
        return request.answer, request.data

    async def _stop(self, number: int, request: Request) -> None:
        """Stop a request that nobody waits for any more: interrupt, then end the sandbox."""
        with anyio.move_on_after(_PATIENCE):
            try:
                self._connection.interrupt(number)
            except SandboxError:
                return
            await request.answered.wait()
            return
        self._connection.fail("The sandbox did not stop what it was running.")
        await self._end()

    def _raise_tool_error(self, done: dict[str, Any]) -> None:
        if "error" in done:
            raise ToolError(_text(done["error"])[:2000])

    def _checked(self, model: type[_Model], value: object) -> _Model:
        try:
            # Not strictly: JSON has lists where the models have tuples.
            return model.model_validate(value)
        except ValidationError:
            raise self._distrust(f"a {model.__name__} that is none") from None

    def _distrust(self, what: str) -> SandboxError:
        self._connection.fail(f"The sandbox's worker cannot be trusted any more: it sent {what}.")
        return SandboxError(self._connection.broken, hint=_HINT)


def _text(value: object) -> str:
    return str(value)[:_LONGEST_TEXT]


def _decoded(data: bytes, more: bool) -> str:
    """Return text that takes as many bytes as are used up of `data`, where `more` may follow.

    What is no UTF-8 becomes question marks; a character that is cut comes whole with the next piece.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    return re.sub("[\udc80-\udcff]", "?", decoder.decode(data, final=not more))
