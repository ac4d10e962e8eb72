"""A process that tasks run in, as the executor holds it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pickle
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import spawn
from pathlib import Path
from typing import Any

import anyio

from llmasos.cluster._child import LENGTH_BYTES
from llmasos.cluster._environment import own_environment
from llmasos.cluster._job import Job, Task
from llmasos.cluster._task import Output, Reply
from llmasos.cluster._tree import end_tree, gone
from llmasos.cluster.port import ClusterError

_READ_BYTES = 1 << 18
_START_SECONDS = 60.0


class Process:
    """One worker process; tasks sent to it run in their order.

    Args:
        folder: Where it keeps large results.
        gpus: The GPUs that it sees; None is all.
    """

    def __init__(self, folder: Path, gpus: tuple[int, ...] | None = None) -> None:
        self.gpus = gpus
        self.under_way: deque[Task] = deque()
        self.since = 0.0
        self.ended = anyio.Event()
        self._folder = folder
        self._job: Job | None = None
        self._function: bytes | None = None
        self._changed = anyio.Event()
        self._began = anyio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._buffer = bytearray()
        self._output = Output(os.memfd_create("output"))
        fcntl.fcntl(self._output.file, fcntl.F_SETFL, os.O_APPEND)
        try:
            self._popen, self._wire, self._handle = started("_child", gpus, self._output.file)
        except BaseException:
            os.close(self._output.file)
            raise
        self._wire.setblocking(False)
        self.pid = self._popen.pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._wire, self._readable)
        self._loop.add_reader(self._handle, self._exited)

    async def begin(self) -> None:
        """Wait until it is ready.

        Raises:
            ClusterError: It ended, or does not answer.
        """
        with anyio.move_on_after(_START_SECONDS):
            self._send(("begin", str(self._folder), preparation()))
            await self._began.wait()
        if self.ended.is_set() or not self._began.is_set():
            said = self.printed().strip().rpartition("\n")[2]
            raise ClusterError(
                f"A worker process does not start: {said or self.ending()}.",
                hint=f"Try `{sys.executable} -c pass`; the machine may be out of memory.",
            )

    def send(self, job: Job, tasks: Sequence[Task]) -> None:
        """Have it run tasks after those that it has; `wait` returns no sooner than they are sent."""
        function = None if self._function is job.function else job.function
        if not self.under_way:
            # It says when it has loaded the function: only then does a task's time begin.
            self.since = time.monotonic() + (_START_SECONDS if function else 0)
        self.under_way.extend(tasks)
        self._job, self._function = job, job.function
        self._send(("run", function, job.work.inline, [task.payload for task in tasks]))

    async def wait(self, low: int, timeout: float | None) -> bool:
        """Wait until all is sent and few tasks are left, or it has ended; False when one outlived its time.

        Args:
            low: How many tasks.
            timeout: Seconds for each.
        """
        while (self._is_sending() or len(self.under_way) > low) and not self.ended.is_set():
            left = None if timeout is None else self.since + timeout - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._changed = anyio.Event()
            with anyio.move_on_after(left):
                await self._changed.wait()
        return True

    def printed(self) -> str:
        """Return what it printed since its last reply."""
        return self._output.take()

    def trim(self) -> None:
        """Keep what it prints small."""
        self._output.trim()

    def ending(self) -> str:
        """Say how it ended."""
        code = self._popen.returncode
        if code is None:
            return "its worker does not answer"
        return (
            f"its worker was ended by signal {-code}" if code < 0 else f"its worker ended with status {code}"
        )

    async def end(self) -> None:
        """End it with all that it has started, and wait until it is gone."""
        if not self.ended.is_set():
            below = end_tree([self.pid])
            await self.ended.wait()
            await gone(below)

    def close(self) -> None:
        """Let go of it after its end."""
        os.close(self._output.file)

    def _send(self, message: Any) -> None:
        data = pickle.dumps(message, 5)
        self._sending = asyncio.ensure_future(self._write(len(data).to_bytes(LENGTH_BYTES, "big") + data))
        self._sending.add_done_callback(lambda _: self._changed.set())

    def _is_sending(self) -> bool:
        return self._sending is not None and not self._sending.done()

    async def _write(self, data: bytes) -> None:
        # Its end is noticed elsewhere.
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(self._wire, data)

    def _readable(self) -> bool:
        """Take in what came; return whether anything did."""
        try:
            data = self._wire.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._wire)
            return False
        self._buffer += data
        self._changed.set()
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                break
            frame = self._buffer[LENGTH_BYTES:end]
            # Whatever comes of it, it is taken once.
            del self._buffer[:end]
            self._take(pickle.loads(frame))
        return True

    def _take(self, message: Any) -> None:
        if message is None:
            # It is ready: at first for work, then for the tasks whose function it has loaded.
            self._began.set()
            self.since = time.monotonic()
            return
        assert self._job is not None
        reply = Reply(*message)
        task = self.under_way.popleft()
        self.since = time.monotonic()
        load = _Kept(Path(reply.kept)) if reply.kept else None
        self._job.ended(task, reply, f"process {self.pid}", load)

    def _exited(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        self._popen.wait()
        if self._sending is not None:
            self._sending.cancel()
            self._loop.remove_writer(self._wire)
        # What it said before its end counts.
        while self._readable():
            pass
        self._loop.remove_reader(self._wire)
        self._wire.close()
        # What it has started may hold on to its session.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, 9)
        self.ended.set()
        self._began.set()
        self._changed.set()


class _Kept:
    """A result in a file, which goes when nobody can ask for it any more."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Any:
        try:
            return pickle.loads(self._path.read_bytes())
        except FileNotFoundError:
            raise ClusterError(
                "The result is gone with the executor that kept it.", hint="Ask for it before closing."
            ) from None

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._path.unlink(missing_ok=True)


def started(
    module: str, gpus: tuple[int, ...] | None, output: int | None = None
) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """Start a worker; return its process, this end of its wire, and a descriptor that tells its end.

    Args:
        module: What it runs, beside this module; it is given the number of its end of the wire.
        gpus: The GPUs that it sees; None is all.
        output: Where it prints to; None is where this process does.

    Raises:
        ClusterError: It cannot be started.
    """
    with contextlib.ExitStack() as opened:
        try:
            wire, theirs = map(opened.enter_context, socket.socketpair())
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"llmasos.cluster.{module}", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=environment(gpus),
            )
            handle = os.pidfd_open(process.pid)
        except OSError as error:
            raise ClusterError(
                f"A worker process cannot be started: {error.strerror}.", hint="Close other programs."
            ) from error
        theirs.close()
        opened.pop_all()
    return process, wire, handle


def preparation() -> dict[str, Any]:
    """Return what makes modules be found in a child as they are here."""
    found = spawn.get_preparation_data("task")
    # It is for sockets of multiprocessing's own, and refuses to be sent.
    del found["authkey"]
    return found


def environment(gpus: tuple[int, ...] | None) -> dict[str, str]:
    """Return the environment of a worker.

    Args:
        gpus: The GPUs that it sees; None is all.
    """
    visible = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}
    return {**own_environment(), **visible}
