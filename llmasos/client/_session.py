"""One session, through the asynchronous client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio

from llmasos.api import (
    ApprovalRequest,
    Attachment,
    CommitInfo,
    Diff,
    ModelChoice,
    PathsRequest,
    SessionInfo,
    TurnAccepted,
    TurnRequest,
    TurnResult,
)
from llmasos.client._errors import gone
from llmasos.client._fold import TurnFold
from llmasos.errors import LLMasOSError
from llmasos.events import Event, TurnFinished

if TYPE_CHECKING:
    from llmasos.client._async import AsyncClient

Approve = Literal["ask", "deny", "all"]


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
        async with self._client.follow(self.id) as events:
            accepted = await self.start(text, **options)
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


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[Event]:
    async for event in events:
        if event.turn == turn:
            yield event
            if isinstance(event, TurnFinished):
                return
    raise gone()
