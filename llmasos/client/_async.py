"""The asynchronous client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import anyio
import httpx2
from pydantic import BaseModel, TypeAdapter

from llmasos import paths
from llmasos.api import (
    ApprovalRequest,
    Attachment,
    Check,
    CommitInfo,
    Diff,
    KernelInfo,
    LedgerInfo,
    ModelChoice,
    ModelInfo,
    PathsRequest,
    RecordInfo,
    SessionInfo,
    SessionRequest,
    ToolInfo,
    TurnAccepted,
    TurnRequest,
    TurnResult,
    VerifyReport,
)
from llmasos.client._errors import gone, refusal
from llmasos.client._fold import TurnFold
from llmasos.client._start import start_kernel
from llmasos.errors import KernelError, LLMasOSError
from llmasos.events import EVENT, Event, TurnFinished

T = TypeVar("T")
Approve = Literal["ask", "deny", "all"]

_POLL_SECONDS = 0.05


class AsyncClient:
    """Asynchronous client of the kernel.

    Args:
        socket: The kernel's Unix socket; the user's own by default.
        start: Start the kernel when none answers.
    """

    def __init__(self, socket: Path | None = None, *, start: bool = True) -> None:
        self.socket = socket or paths.kernel_socket()
        self._start = start
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(self.socket)),
            base_url="http://kernel",
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
        if await self._answers():
            return
        if not self._start:
            raise KernelError(
                "No kernel is running.", hint="Start it with `llmasos serve`, or open the shell."
            )
        await start_kernel(self._answers)

    async def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            await self._http.get("/v1/ping")
        except httpx2.TransportError:
            return False
        return True

    async def session(self, folder: str | Path = ".", *, model: str = "") -> AsyncSession:
        """Begin a session on a folder.

        Raises:
            RequestRefused: The folder is not there, or there is no such model.
        """
        request = SessionRequest(folder=str(Path(folder).expanduser().absolute()), model=model)
        return AsyncSession(self, await self.request("POST", "/v1/sessions", SessionInfo, request))

    async def resume(self, session: str) -> AsyncSession:
        """Return a session that exists.

        Raises:
            RequestRefused: There is no such session.
        """
        return AsyncSession(self, await self.request("GET", f"/v1/sessions/{session}", SessionInfo))

    async def sessions(self, folder: str | Path | None = None) -> list[SessionInfo]:
        """Return the newest sessions, of one folder or of all."""
        query = {"folder": str(Path(folder).expanduser().absolute())} if folder is not None else {}
        return await self.request("GET", "/v1/sessions", list[SessionInfo], query=query)

    async def info(self) -> KernelInfo:
        """Return the kernel's state."""
        return await self.request("GET", "/v1/kernel", KernelInfo)

    async def doctor(self) -> list[Check]:
        """Return what the doctor found in each part."""
        return await self.request("GET", "/v1/kernel/doctor", list[Check])

    async def models(self) -> list[ModelInfo]:
        """Return the models that can be chosen."""
        return await self.request("GET", "/v1/models", list[ModelInfo])

    async def tools(self) -> list[ToolInfo]:
        """Return the tools as the model sees them."""
        return await self.request("GET", "/v1/tools", list[ToolInfo])

    async def ledger(self) -> LedgerInfo:
        """Return where the ledger stands."""
        return await self.request("GET", "/v1/ledger", LedgerInfo)

    async def verify(self) -> VerifyReport:
        """Have the whole ledger verified."""
        return await self.request("POST", "/v1/ledger/verify", VerifyReport)

    async def records(self, session: str | None = None, limit: int = 100) -> list[RecordInfo]:
        """Return the newest records of the ledger."""
        query = {"limit": str(limit)} | ({"session": session} if session else {})
        return await self.request("GET", "/v1/ledger/records", list[RecordInfo], query=query)

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
        query: Mapping[str, str] | None = None,
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

    async def _send(
        self, method: str, path: str, body: BaseModel | None, query: Mapping[str, str] | None
    ) -> bytes:
        content = body.model_dump_json() if body is not None else None
        try:
            response = await self._http.request(method, path, params=query, content=content)
        except httpx2.TransportError as error:
            raise gone() from error
        if response.is_error:
            raise refusal(response.content, response.status_code)
        return response.content

    @asynccontextmanager
    async def follow(self, session: str, after: int = 0) -> AsyncIterator[AsyncIterator[Event]]:
        """Follow a session's events: those stored after a number, then those to come."""
        try:
            async with self._http.stream(
                "GET", f"/v1/sessions/{session}/events", params={"after": str(after)}
            ) as response:
                if response.is_error:
                    raise refusal(await response.aread(), response.status_code)
                yield _events(response)
        except httpx2.TransportError as error:
            raise gone() from error

    async def stored_events(self, session: str, after: int = 0) -> list[Event]:
        """Return a session's stored events after a number."""
        query = {"after": str(after), "follow": "false"}
        try:
            response = await self._http.get(f"/v1/sessions/{session}/events", params=query)
        except httpx2.TransportError as error:
            raise gone() from error
        if response.is_error:
            raise refusal(response.content, response.status_code)
        return [event async for event in _events(response)]


class AsyncSession:
    """A session, through the asynchronous client."""

    def __init__(self, client: AsyncClient, info: SessionInfo) -> None:
        self._client = client
        self._path = f"/v1/sessions/{info.id}"
        self.id = info.id
        self.folder = Path(info.folder)
        self.model = info.model

    async def info(self) -> SessionInfo:
        """Return the session as it stands."""
        return await self._client.request("GET", self._path, SessionInfo)

    async def start(self, text: str, **options: Any) -> TurnAccepted:
        """Start a turn and return at once; its events follow in the stream.

        Args:
            text: The request.
            options: The other fields of `TurnRequest`.
        """
        request = TurnRequest(text=text, **options)
        return await self._client.request("POST", f"{self._path}/turns", TurnAccepted, request)

    @asynccontextmanager
    async def turn(self, text: str, **options: Any) -> AsyncIterator[AsyncIterator[Event]]:
        """Start a turn and follow its events to its end."""
        accepted = await self.start(text, **options)
        async with self._client.follow(self.id, accepted.after) as events:
            yield _until_end(events, accepted.turn)

    async def run(
        self,
        text: str,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        commit: bool = False,
        approve: Approve = "deny",
        attachments: Sequence[Attachment] = (),
        max_steps: int | None = None,
        timeout: float | None = None,
    ) -> TurnResult:
        """Run a turn to its end and return what came of it.

        Args:
            text: The request.
            on_event: Called with every event.
            commit: Write the changes to the folder when the turn is done.
            approve: What happens when the policy asks.
            attachments: Texts given to the model beside the request.
            max_steps: Requests to the model at most.
            timeout: Seconds at most.
        """
        fold = TurnFold(self.id)
        try:
            async with self.turn(
                text, approve=approve, attachments=tuple(attachments), max_steps=max_steps, timeout=timeout
            ) as events:
                async for event in events:
                    fold.add(event)
                    on_event(event)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), contextlib.suppress(LLMasOSError):
                await self.cancel()
            raise
        result = fold.result()
        if commit and result.status == "done" and result.changes:
            await self.commit()
            result = result.model_copy(update={"committed": True})
        return result

    async def cancel(self) -> None:
        """Cancel the running turn."""
        await self._client.post(f"{self._path}/cancel")

    async def use_model(self, model: str) -> None:
        """Choose the model of the next turns."""
        info = await self._client.request(
            "POST", f"{self._path}/model", SessionInfo, ModelChoice(model=model)
        )
        self.model = info.model

    async def answer(self, action: str, digest: str, *, approve: bool) -> None:
        """Answer an approval request."""
        body = ApprovalRequest(approve=approve, digest=digest)
        await self._client.post(f"{self._path}/approvals/{action}", body)

    async def diff(self) -> Diff:
        """Return what the session's view would change in the folder."""
        return await self._client.request("GET", f"{self._path}/diff", Diff)

    async def commit(self, paths: Sequence[str] | None = None) -> CommitInfo:
        """Write changes to the folder, all or those named."""
        body = PathsRequest(paths=tuple(paths) if paths is not None else None)
        return await self._client.request("POST", f"{self._path}/commit", CommitInfo, body)

    async def discard(self, paths: Sequence[str] | None = None) -> None:
        """Drop changes, all or those named."""
        body = PathsRequest(paths=tuple(paths) if paths is not None else None)
        await self._client.post(f"{self._path}/discard", body)

    async def undo(self) -> CommitInfo:
        """Take the newest commit back."""
        return await self._client.request("POST", f"{self._path}/undo", CommitInfo)

    async def events(self, after: int = 0) -> list[Event]:
        """Return the stored events of the session."""
        return await self._client.stored_events(self.id, after)


async def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield EVENT.validate_json(line.removeprefix("data: "))


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[Event]:
    async for event in events:
        if event.turn == turn:
            yield event
            if isinstance(event, TurnFinished):
                return
    raise gone()
