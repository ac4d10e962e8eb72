"""The kernel process: one kernel behind HTTP on a Unix socket that only its user can open."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

import anyio
import uvicorn

from llmasos import paths
from llmasos.config import Settings, load_settings
from llmasos.errors import KernelError, LLMasOSError
from llmasos.kernel import Kernel
from llmasos.service.app import make_app

_LONGEST_SOCKET_PATH = 100  # sockaddr_un.sun_path holds 108 bytes on Linux
_LOG_BYTES = 2_000_000


async def serve(settings: Settings) -> None:
    """Run a kernel behind its socket until it is asked to stop.

    Raises:
        KernelError: Another kernel uses the data folder, or the socket's path is too long.
    """

    # Whoever asked the kernel to stop takes it to be gone when its socket is.
    def gone() -> None:
        settings.socket.unlink(missing_ok=True)

    async with Kernel(settings, progress=_say, ended=gone) as kernel:
        with _listen(settings.socket) as listener:
            stopping = anyio.Event()
            app = make_app(kernel, stopping.set)
            server = _Server(
                uvicorn.Config(
                    app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
                )
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_when, stopping, server)
                tasks.start_soon(_stop_on_signals, stopping)
                _say(f"The kernel listens on {settings.socket}.")
                await server.serve(sockets=[listener])
                tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """A server that leaves signals to us, so that the kernel behind it ends in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _stop_on_signals(stopping: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stopping.set()


async def _stop_when(stopping: anyio.Event, server: uvicorn.Server) -> None:
    await stopping.wait()
    server.should_exit = True


def _listen(path: Path) -> socket.socket:
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
    listener.listen(64)
    return listener


def main() -> int:
    """Run the kernel process; its exit code is 0 after a stop and 1 when it could not start."""
    try:
        settings = load_settings()
        _log_to(paths.private_dir(settings.data_dir) / "kernel.log")
        anyio.run(serve, settings)
    except LLMasOSError as error:
        print(f"llmasos: {error}", file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:
        logging.getLogger(__name__).exception("the kernel ended", exc_info=group)
        print(f"llmasos: {_first(group)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("httpx2", "httpcore2", "urllib3", "alembic", "web3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
