"""The process of an engine, as the kernel holds it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import anyio

from llmasos.errors import ModelError
from llmasos.models.engines.wire import Wire
from llmasos.secrets import bare_environment

WORKER = ("-P", "-m", "llmasos.models.engines.worker")
# Nothing of the environment is the engine's but what it needs to run; settings and keys are not.
_PREFIXES = ("OMP_", "MKL_", "KMP_", "GGML_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH_", "PYTORCH_")
_LAST_WORDS_SECONDS = 5.0

log = logging.getLogger(__name__)


class Child(asyncio.SubprocessProtocol):
    """The process: what it says goes to the log, and its end is noticed.

    Args:
        name: The model's name.
        on_exit: Told when it has ended and all that it said was read.
    """

    def __init__(self, name: str, on_exit: Callable[[], None]) -> None:
        self._name = name
        self._on_exit = on_exit
        self._rest = b""
        self._handle: int | None = None
        self.exited = anyio.Event()
        self.transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self.transport = transport
        # Asyncio waits for it in a thread: what ended meanwhile has no number any more.
        with contextlib.suppress(ProcessLookupError):
            self._handle = os.pidfd_open(transport.get_pid())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if text := line.decode("utf-8", "replace").strip():
                log.info("%s: %s", self._name, text)

    def process_exited(self) -> None:
        assert self.transport is not None
        # What it started itself may hold the pipe, and say nothing for ever.
        asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self.transport is not None:
            self.transport.close()
        self.exited.set()
        self._on_exit()

    async def spawn(self, worker: Sequence[str], wire: Wire) -> None:
        """Start it, with the other end of the wire.

        Args:
            worker: Arguments for Python, before the number of the socket.
            wire: The kernel's end.

        Raises:
            ModelError: The system has no room for another process.
        """
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: wire, sock=ours)
            # Spawned on the loop's own thread: the process ends with the thread that started it.
            await loop.subprocess_exec(
                lambda: self,
                sys.executable,
                *worker,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise ModelError(
                f"The engine's process cannot be started: {error.strerror}.", hint="Close other programs."
            ) from error
        finally:
            theirs.close()

    async def end(self) -> None:
        """End it for sure, and wait until it is gone."""
        self.kill()
        if self.transport is not None:
            await self.exited.wait()

    def kill(self) -> None:
        """End it for sure."""
        if self._handle is not None:
            # The transport's own way takes the process's status from asyncio, which waits for it.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def ending(self) -> str:
        """Say how it ended."""
        code = self.transport.get_returncode() if self.transport is not None else None
        if code is None:
            return "it does not answer"
        if code >= 0:
            return f"it ended with status {code}"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"


def _environment() -> dict[str, str]:
    # Threads that wait for work by spinning take the cores from those that have some.
    return {**bare_environment(*_PREFIXES), "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
