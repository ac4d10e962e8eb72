"""A connection to one MCP server: made when it is needed, and made anew when it was lost."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

import llmasos
from llmasos.config import McpServer
from llmasos.errors import ToolError
from llmasos.net import Reach

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client import Transport
    from mcp.types import CallToolResult

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 30.0
_READ_SECONDS = 300.0
_LARGEST_LOG = 5_000_000
_LONGEST_COMPLAINT = 500


class Connection:
    """A connection to a server.

    Args:
        name: The server's name.
        server: How it is reached.
        log: Where what a program prints to standard error is kept.
        tasks: Where the connection lives.

    Attributes:
        opened: How often it was opened: a server that was started anew may be another one.
    """

    def __init__(self, name: str, server: McpServer, log: Path, tasks: TaskGroup) -> None:
        self._name = name
        self._server = server
        self._log = log
        self._tasks = tasks
        self.opened = 0
        self._opening = anyio.Lock()
        self._client: Client | None = None
        self._scope: anyio.CancelScope | None = None
        self._ended = anyio.Event()
        self._ended.set()

    async def client(self) -> Client:
        """Return the client, connecting first where there is no connection.

        Raises:
            ToolError: The server cannot be reached, or does not speak MCP.
        """
        async with self._opening:
            if self._client is not None:
                return self._client
            await self._end()
            opened, problem = anyio.Event(), list[str]()
            self._ended = anyio.Event()
            self._tasks.start_soon(self._live, opened, problem)
            with anyio.move_on_after(_CONNECT_SECONDS):
                await opened.wait()
            if self._client is None:
                await self._end()
                why = problem[0] if problem else f"it did not answer within {_CONNECT_SECONDS:.0f} s"
                raise ToolError(f"The MCP server {self._name} cannot be used: {why}.", hint=self._hint())
            return self._client

    async def close(self) -> None:
        """End the connection, and the program behind it."""
        async with self._opening:
            await self._end()

    async def _end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    async def _live(self, opened: anyio.Event, problem: list[str]) -> None:
        """Hold the connection open until it ends or is ended; whatever goes wrong concerns nobody else."""
        try:
            with anyio.CancelScope() as self._scope:
                from mcp import Client
                from mcp.types import Implementation

                # It logs each line that is no message with a traceback.
                logging.getLogger("mcp").setLevel(logging.CRITICAL)
                ours = Implementation(name="llmasos", version=llmasos.__version__)
                async with self._transport() as transport, Client(transport, client_info=ours) as client:
                    # Schemas of results are anybody's, and checking them could take for ever.
                    client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
                    self._client = client
                    self.opened += 1
                    opened.set()
                    await anyio.sleep_forever()
        except Exception as error:
            problem.append(self._said(error))
            _log.warning("the MCP server %s: %s", self._name, problem[0])
        finally:
            self._client = self._scope = None
            opened.set()
            self._ended.set()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Transport]:
        if self._server.url:
            from mcp.client.streamable_http import streamable_http_client

            from llmasos.net.transport import checked_client
            from llmasos.tools.mcp._bounded import bounded

            headers = {name: value.get_secret_value() for name, value in self._server.headers.items()}
            reach = Reach((self._server.url,))
            hooks = {"response": [bounded]}
            async with checked_client(
                reach, headers=headers, timeout=_READ_SECONDS, event_hooks=hooks
            ) as http:
                yield streamable_http_client(self._server.url, http_client=http)
            return
        from mcp.client.stdio import StdioServerParameters, stdio_client

        program, *arguments = self._server.command
        environment = {name: value.get_secret_value() for name, value in self._server.environment.items()}
        with self._errors() as errors:
            yield stdio_client(
                StdioServerParameters(command=program, args=arguments, env=environment),
                errlog=errors,
            )

    @contextlib.contextmanager
    def _errors(self) -> Any:
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("w", errors="replace") as file:
            yield file

    def tidy(self) -> None:
        """Keep what the program has printed small."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _LARGEST_LOG:
                with self._log.open("w"):
                    pass

    def _said(self, error: BaseException) -> str:
        said = reason(error)
        missing = isinstance(error, FileNotFoundError) or "No such file" in said
        return f"there is no program {self._server.command[0]}" if missing and self._server.command else said

    def _hint(self) -> str:
        if self._server.url:
            return f"Look at its address, {self._server.url}, in config.toml under [mcp.{self._name}]."
        return f"Look at its command in config.toml under [mcp.{self._name}], and at {self._log}."


async def _unchecked(name: str, result: CallToolResult) -> None:
    """Leave the result as it is: nothing here relies on its structure."""


def reason(error: BaseException) -> str:
    """Return what went wrong, without the groups that errors come in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)[:_LONGEST_COMPLAINT].rstrip(".") or type(error).__name__
