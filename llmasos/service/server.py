"""The kernel process: one kernel behind HTTP, on a Unix socket that only its user can open, and on TCP."""

from __future__ import annotations

import logging
import os
import signal
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp

from llmasos import paths
from llmasos.config import ServiceSettings, Settings, load_settings
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel, redactor_of
from llmasos.language import translated
from llmasos.listen import (
    address_of,
    tcp_addresses,
    tcp_listeners,
    tls_context,
    unix_listener,
)
from llmasos.secrets import RedactingFormatter, Redactor, forget_secrets
from llmasos.service.access import Keys, Logins, guarded, prices_of
from llmasos.service.app import make_app
from llmasos.service.connection import Connection
from llmasos.service.drain import Drain
from llmasos.service.telemetry import start_telemetry

_LOG_BYTES = 2_000_000
_LARGEST_HEAD = 64 * 1024
_CLOSING_SECONDS = 2


async def serve(settings: Settings, redactor: Redactor | None = None) -> None:
    """Run a kernel behind its socket, and behind TCP where a port is set, until it is asked to stop.

    Raises:
        KernelError: Another kernel uses the data folder, the socket's path is too long, or the port is taken.
        ConfigError: The service cannot be reached in the way that the settings want.
    """
    tls = tls_context(settings.service)
    if settings.service.tcp_port:
        tcp_addresses(settings.service)

    # Whoever asked the kernel to stop takes it to be gone when its socket is.
    def gone() -> None:
        settings.socket.unlink(missing_ok=True)

    async with Kernel(settings, redactor=redactor, progress=_say, ended=gone) as kernel:
        stopping = _Stopping()
        keys = Keys(kernel.store, kernel.ledger, prices_of(settings.models))
        drain = Drain(settings.service.drain_seconds)
        logins = Logins(keys, settings.service.tcp_port) if settings.service.console else None
        app = make_app(kernel, stopping.ask, keys=keys, drain=drain, logins=logins)
        with unix_listener(settings.socket) as listener:
            listening = [(make_server(app), [listener])]
            if settings.service.tcp_port:
                tcp = _tcp_server(app, keys, settings.service, tls, logins)
                listening.append((tcp, tcp_listeners(settings.service)))
            async with keys.charges.written(), anyio.create_task_group() as tasks:
                tasks.start_soon(_on_signals, stopping)
                servers = [server for server, _ in listening]
                tasks.start_soon(_stop, stopping, kernel, drain, keys, servers)
                async with anyio.create_task_group() as serving:
                    for server, listeners in listening:
                        serving.start_soon(server.serve, listeners)
                    _say(f"The kernel listens on {settings.socket}.")
                    for each in (each for _, listeners in listening[1:] for each in listeners):
                        _say(f"Other programs reach it at {address_of(each, tls is not None)}, with a key.")
                    if logins is not None:
                        _say("The console is on; `llmasos console` prints a link that opens it.")
                tasks.cancel_scope.cancel()


class _Stopping:
    """Whether the kernel is to stop, and whether it is to hurry."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.again = anyio.Event()

    def ask(self) -> None:
        """Ask for a stop; a second time, for one without waiting."""
        (self.again if self.asked.is_set() else self.asked).set()


class _Server(uvicorn.Server):
    """A server that leaves signals to us, so that the kernel behind it ends in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def make_server(app: ASGIApp, **options: Any) -> uvicorn.Server:
    """Return a server for an application, with limits on heads and no signals of its own.

    Args:
        app: The application.
        options: Other settings of uvicorn.
    """
    # Another parser may be installed, which knows no limit for heads.
    options = {"http": "h11", **options}
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_CLOSING_SECONDS,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            **options,
        )
    )


def _tcp_server(
    app: ASGIApp,
    keys: Keys,
    settings: ServiceSettings,
    tls: ssl.SSLContext | None,
    logins: Logins | None,
) -> uvicorn.Server:
    # Behind TLS a page of somebody else's cannot pass for this host, as it has no certificate for it.
    names = (settings.host, *settings.names) if tls is None else None
    front = guarded(app, keys, origins=settings.origins, names=names, logins=logins)
    options: dict[str, Any] = {} if tls is None else {"ssl_context_factory": lambda *_: tls}
    return make_server(front, http=Connection, proxy_headers=False, server_header=False, **options)


def _say(text: str) -> None:
    # A file that it goes to is a log, which the shell reads when it starts a kernel.
    said = translated(text) if sys.stderr.isatty() else text
    print(display(said, keep_newlines=True), file=sys.stderr, flush=True)


async def _on_signals(stopping: _Stopping) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stopping.ask()


async def _stop(
    stopping: _Stopping, kernel: Kernel, drain: Drain, keys: Keys, servers: list[uvicorn.Server]
) -> None:
    """When asked to, let what runs end, then end it, then close the servers."""
    await stopping.asked.wait()
    drain.begin()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_hurry, stopping, drain)
        await drain.wait(lambda: kernel.sessions.running)
        tasks.cancel_scope.cancel()
    # Whoever follows a session, or a reply, is told its end before the connection is closed.
    await kernel.sessions.close()
    await kernel.models.drain(0)
    kernel.models.end()
    # Replies of models that run elsewhere are not the scheduler's to end.
    drain.end()
    try:
        await keys.settle()
    finally:
        for server in servers:
            server.should_exit = True


async def _hurry(stopping: _Stopping, drain: Drain) -> None:
    await stopping.again.wait()
    drain.hurry()


def main() -> int:
    """Run the kernel process; its exit code is 0 after a stop and 1 when it could not start."""
    redactor = Redactor()
    try:
        settings = load_settings()
        redactor = redactor_of(settings)
        forget_secrets(os.environ)
        _log_to(paths.private_dir(settings.data_dir) / "kernel.log", redactor)
        start_telemetry()
        anyio.run(serve, settings, redactor)
    except LLMasOSError as error:
        _say(redactor.text(f"llmasos: {error}"))
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException as error:
        first = _first(error)
        said = str(first)
        if not isinstance(first, LLMasOSError):
            logging.getLogger(__name__).exception("the kernel ended", exc_info=error)
            said = f"The kernel failed: {type(first).__name__}: {first}\nIts log, kernel.log, says where."
        _say(redactor.text(f"llmasos: {said}"))
        return 1
    return 0


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Lines(logging.Formatter):
    """Keeps foreign text from adding lines to the log, or from acting where it is read."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return display(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return display(super().formatException(ei), keep_newlines=True)


def _log_to(path: Path, redactor: Redactor) -> None:
    handler = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1)
    plain = _Lines("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(RedactingFormatter(plain, redactor))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("httpx2", "httpcore2", "urllib3", "alembic", "web3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
