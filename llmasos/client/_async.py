"""The asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import httpx2
from pydantic import BaseModel, TypeAdapter

from llmasos import paths
from llmasos.api import (
    CLIENT_HEADER,
    Check,
    Fingerprints,
    KernelInfo,
    SearchHit,
    SessionInfo,
    SessionRequest,
    ToolInfo,
)
from llmasos.client._connection import Query
from llmasos.client._console import ConsoleCalls
from llmasos.client._errors import gone, refusal, request_content
from llmasos.client._explain import ExplainCalls
from llmasos.client._federated import FederatedCalls
from llmasos.client._keys import KeyCalls
from llmasos.client._knowledge import KnowledgeCalls
from llmasos.client._ledger import LedgerCalls
from llmasos.client._memory import MemoryCalls
from llmasos.client._models import ModelCalls
from llmasos.client._names import model_name, path_part
from llmasos.client._plugins import PluginCalls
from llmasos.client._session import AsyncSession
from llmasos.client._suggest import SuggestCalls
from llmasos.client.starting import reach
from llmasos.errors import KernelError
from llmasos.events import EVENT, Event

T = TypeVar("T")
_POLL_SECONDS = 0.05


class AsyncClient(
    LedgerCalls,
    KeyCalls,
    MemoryCalls,
    ModelCalls,
    ExplainCalls,
    FederatedCalls,
    PluginCalls,
    KnowledgeCalls,
    SuggestCalls,
    ConsoleCalls,
):
    """Asynchronous client of the kernel.

    Args:
        socket: The kernel's Unix socket; the user's own by default.
        start: Start the kernel when none answers.
        progress: Told what the kernel does while it starts, which takes long the first time.
        name: What this client is, in lower case; the ledger holds it with all that is asked through it.
    """

    def __init__(
        self,
        socket: Path | None = None,
        *,
        start: bool = True,
        progress: Callable[[str], None] = lambda text: None,
        name: str = "python",
    ) -> None:
        self.socket = socket or paths.kernel_socket()
        self._start = start
        self._progress = progress
        self._http = httpx2.AsyncClient(
            # Nothing is encrypted there: reading whom to trust would take longer than a call.
            transport=httpx2.AsyncHTTPTransport(uds=str(self.socket), verify=SSLContext(PROTOCOL_TLS_CLIENT)),
            base_url="http://kernel",
            headers={CLIENT_HEADER: name},
            timeout=httpx2.Timeout(None, connect=5.0),
        )

    async def __aenter__(self) -> Self:
        """Connect, starting the kernel when there is none and `start` allows it.

        Raises:
            KernelError: No kernel answers, or it could not start.
        """
        try:
            await self.connect()
        except BaseException:
            await self._http.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def connect(self) -> None:
        """Make sure that a kernel answers."""
        if not await reach(self._answers, self._progress, start=self._start):
            raise KernelError(
                "No kernel is running.", hint="Start it with `llmasos serve`, or open the shell."
            )

    async def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            await self._http.get("/v1/ping")
        except httpx2.TransportError:
            return False
        return True

    async def session(
        self,
        folder: str | Path = ".",
        *,
        model: str = "",
        in_place: bool = False,
        hosts: Sequence[str] = (),
        granted: Sequence[str] = (),
        **modes: Any,
    ) -> AsyncSession:
        """Begin a session on a folder.

        Args:
            folder: The folder.
            model: The model, or empty for the default.
            in_place: Work on the folder itself, with nothing to discard or undo.
            hosts: Hosts that code may reach, such as `example.org` or `*.example.net`.
            granted: Hidden files that code may see, as globs such as `.env`.
            modes: `access`, what is possible at all, and `asking`, when a person is asked.

        Raises:
            RequestRefused: The folder is not there, or there is no such model.
        """
        request = SessionRequest(
            folder=str(Path(folder).expanduser().absolute()),
            model=model_name(model),
            in_place=in_place,
            hosts=tuple(hosts),
            granted=tuple(granted),
            **modes,
        )
        return AsyncSession(self, await self.request("POST", "/v1/sessions", SessionInfo, request))

    async def resume(self, session: str) -> AsyncSession:
        """Return a session that exists.

        Raises:
            RequestRefused: There is no such session.
        """
        return AsyncSession(
            self, await self.request("GET", f"/v1/sessions/{path_part(session)}", SessionInfo)
        )

    async def sessions(self, folder: str | Path | None = None) -> list[SessionInfo]:
        """Return the newest sessions, of one folder or of all."""
        query = {"folder": str(Path(folder).expanduser().absolute())} if folder is not None else {}
        return await self.request("GET", "/v1/sessions", list[SessionInfo], query=query)

    async def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Return where words stand in past sessions, the best places first.

        Raises:
            RequestRefused: There is no word in the query.
        """
        wanted = {"query": query, "limit": str(limit)}
        return await self.request("GET", "/v1/search", list[SearchHit], query=wanted)

    async def info(self) -> KernelInfo:
        """Return the kernel's state."""
        return await self.request("GET", "/v1/kernel", KernelInfo)

    async def fingerprints(self) -> Fingerprints:
        """Return keyed digests of the settings that the kernel was started with."""
        return await self.request("GET", "/v1/kernel/fingerprints", Fingerprints)

    async def doctor(self) -> list[Check]:
        """Return what the doctor found in each part."""
        return await self.request("GET", "/v1/kernel/doctor", list[Check])

    async def tools(self) -> list[ToolInfo]:
        """Return the tools as the model sees them."""
        return await self.request("GET", "/v1/tools", list[ToolInfo])

    async def stop(self) -> None:
        """Stop the kernel and return when it is gone."""
        await self.post("/v1/kernel/stop")
        while self.socket.exists():
            await anyio.sleep(_POLL_SECONDS)

    async def request(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: BaseModel | None = None,
        query: Query | None = None,
    ) -> T:
        """Send a request and return its answer as the type wanted.

        Raises:
            KernelError: The kernel is gone.
            RequestRefused: The kernel said no.
        """
        return TypeAdapter(answer).validate_json(await self._send(method, path, body, query))

    async def post(self, path: str, body: BaseModel | None = None) -> None:
        """Send a request that has no answer but its success."""
        await self._send("POST", path, body, None)

    async def delete(self, path: str) -> None:
        """Have something deleted."""
        await self._send("DELETE", path, None, None)

    async def _send(self, method: str, path: str, body: BaseModel | None, query: Query | None) -> bytes:
        content = request_content(body, query)
        try:
            response = await self._http.request(method, path, params=query, content=content)
        except httpx2.TransportError as error:
            raise gone() from error
        if response.is_error:
            raise refusal(response.content, response.status_code)
        return response.content

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, body: BaseModel | None = None, query: Query | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request whose answer comes piece by piece.

        Raises:
            KernelError: The kernel is gone.
            RequestRefused: The kernel said no.
        """
        content = request_content(body, query)
        try:
            async with self._http.stream(method, path, params=query, content=content) as response:
                if response.is_error:
                    raise refusal(await response.aread(), response.status_code)
                yield response
        except httpx2.TransportError as error:
            raise gone() from error

    @asynccontextmanager
    async def follow(
        self, session: str, after: int | None = None, last: int | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Follow a session's events: those stored after a number or of the last turns, then those to come.

        Args:
            session: The session.
            after: The number; None for nothing that is stored.
            last: How many turns.
        """
        query = {} if after is None else {"after": str(after)}
        query |= {} if last is None else {"last": str(last)}
        async with self.stream("GET", f"/v1/sessions/{path_part(session)}/events", query=query) as response:
            lines = response.aiter_lines()
            # The first line says that nothing is missed from here on.
            await anext(lines, None)
            yield _events(lines)

    async def stored_events(self, session: str, after: int = 0, last: int | None = None) -> list[Event]:
        """Return a session's stored events after a number, or those of its last turns."""
        query = {"after": str(after), "follow": "false"}
        query |= {} if last is None else {"last": str(last)}
        try:
            response = await self._http.get(f"/v1/sessions/{path_part(session)}/events", params=query)
        except httpx2.TransportError as error:
            raise gone() from error
        if response.is_error:
            raise refusal(response.content, response.status_code)
        return [event async for event in _events(response.aiter_lines())]


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    async for line in lines:
        if line.startswith("data: "):
            yield EVENT.validate_json(line.removeprefix("data: "))
