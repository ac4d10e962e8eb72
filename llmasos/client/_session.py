"""One session, through the asynchronous client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio

from llmasos.api import (
    AccessRequest,
    ApprovalRequest,
    Attachment,
    ChangesRequest,
    Choice,
    ChosenModel,
    CommitChoice,
    CommitInfo,
    Compacted,
    CompactRequest,
    Diff,
    ForkRequest,
    JobInfo,
    JobOutput,
    MergedFile,
    ModelChoice,
    SessionInfo,
    StateRequest,
    SteerRequest,
    TitleRequest,
    ToolCall,
    TurnAccepted,
    TurnRequest,
    TurnResult,
)
from llmasos.client._errors import gone
from llmasos.client._fold import TurnFold
from llmasos.client._names import model_name, path_part
from llmasos.errors import LLMasOSError
from llmasos.events import Event, TurnFinished

if TYPE_CHECKING:
    from llmasos.client._async import AsyncClient

Approve = Literal["ask", "deny", "all"]
Changes = Sequence[str | Choice] | None


class AsyncSession:
    """A session, through the asynchronous client."""

    def __init__(self, client: AsyncClient, info: SessionInfo) -> None:
        self._client = client
        self._path = f"/v1/sessions/{info.id}"
        self.id = info.id
        self.folder = Path(info.folder)
        self.model = info.model
        self.in_place = info.in_place

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
        dry_run: bool = False,
        approved: Sequence[str] = (),
        call: ToolCall | None = None,
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
            dry_run: Drop the changes at the end; the result still has their diff.
            approved: Digests of calls that are approved beforehand, each once.
            call: What is done, without a model; the text then says it in words.
        """
        fold = TurnFold(self.id)
        try:
            async with self.turn(
                text,
                approve=approve,
                attachments=tuple(attachments),
                max_steps=max_steps,
                timeout=timeout,
                dry_run=dry_run,
                approved=tuple(approved),
                call=call,
            ) as events:
                async for event in events:
                    fold.add(event)
                    on_event(event)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), contextlib.suppress(LLMasOSError):
                await self.cancel()
            raise
        result = fold.result()
        if commit and not dry_run and result.status == "done" and result.changes:
            await self.commit()
            result = result.model_copy(update={"committed": True})
        return result

    async def steer(self, text: str) -> TurnAccepted:
        """Say something to the running turn; the model reads it with the next request that it gets.

        Raises:
            RequestRefused: No turn is running (`code` is `idle`: send it as a turn), or it asks no model.
        """
        body = SteerRequest(text=text)
        return await self._client.request("POST", f"{self._path}/steer", TurnAccepted, body)

    async def cancel(self) -> None:
        """Cancel the running turn."""
        await self._client.post(f"{self._path}/cancel")

    async def compact(self, keep: int = 2) -> Compacted:
        """Have the model told all but the newest turns in short from now on."""
        body = CompactRequest(keep=keep)
        return await self._client.request("POST", f"{self._path}/compact", Compacted, body)

    async def rename(self, title: str) -> SessionInfo:
        """Give the session a name in lists."""
        body = TitleRequest(title=title)
        return await self._client.request("POST", f"{self._path}/title", SessionInfo, body)

    async def fork(self, turn: str | int = "") -> AsyncSession:
        """Return a new session that goes on from a turn of this one, on the same folder.

        Args:
            turn: The turn, by its number from 1 or its id; the newest that has ended when it is left out.

        Raises:
            RequestRefused: There is no such turn, or it has not ended.
        """
        body = ForkRequest(turn=str(turn))
        info = await self._client.request("POST", f"{self._path}/fork", SessionInfo, body)
        return AsyncSession(self._client, info)

    async def use_model(self, model: str) -> bool:
        """Choose the model of the next turns.

        Returns:
            Whether the model is there; False where its endpoint does not list its models.

        Raises:
            RequestRefused: There is no such model.
        """
        body = ModelChoice(model=model_name(model))
        chosen = await self._client.request("POST", f"{self._path}/model", ChosenModel, body)
        self.model = chosen.model
        return chosen.checked

    async def answer(self, action: str, digest: str, *, approve: bool, **more: Any) -> None:
        """Answer an approval request.

        Args:
            action: The action that waits.
            digest: The digest of the request.
            approve: Whether it may run.
            more: The other fields of `ApprovalRequest`.
        """
        body = ApprovalRequest(approve=approve, digest=digest, **more)
        await self._client.post(f"{self._path}/approvals/{path_part(action)}", body)

    async def diff(self) -> Diff:
        """Return what the session's view would change in the folder."""
        return await self._client.request("GET", f"{self._path}/diff", Diff)

    async def commit(self, changes: Changes = None, *, merge: bool = False) -> CommitInfo:
        """Write changes to the folder, all or those chosen.

        Args:
            changes: Paths, or choices that name hunks of their diffs.
            merge: Merge text files that were changed in the folder in the meantime.
        """
        body = ChangesRequest(choices=_choices(changes), merge=merge)
        return await self._client.request("POST", f"{self._path}/commit", CommitInfo, body)

    async def discard(self, changes: Changes = None) -> None:
        """Drop changes, all or those chosen."""
        await self._client.post(f"{self._path}/discard", ChangesRequest(choices=_choices(changes)))

    async def undo(self, commit: str = "") -> CommitInfo:
        """Take a commit back, the newest if none is named."""
        body = CommitChoice(commit=commit)
        return await self._client.request("POST", f"{self._path}/undo", CommitInfo, body)

    async def redo(self, commit: str = "") -> CommitInfo:
        """Write an undone commit again, the one undone last if none is named."""
        body = CommitChoice(commit=commit)
        return await self._client.request("POST", f"{self._path}/redo", CommitInfo, body)

    async def history(self) -> list[CommitInfo]:
        """Return the session's commits, oldest first."""
        return await self._client.request("GET", f"{self._path}/history", list[CommitInfo])

    async def merged(self, path: str) -> MergedFile:
        """Return a file that was changed on both sides, merged, with what clashes between markers."""
        query = {"path": Choice(path=path).model_dump(mode="json")["path"]}
        return await self._client.request("GET", f"{self._path}/merged", MergedFile, query=query)

    async def resolve(self, path: str) -> MergedFile:
        """Make a file's merged text the view's version, so that what clashes can be edited there."""
        return await self._client.request("POST", f"{self._path}/resolve", MergedFile, Choice(path=path))

    async def allow(
        self,
        *,
        hosts: Sequence[str] | None = None,
        granted: Sequence[str] | None = None,
        **modes: Any,
    ) -> SessionInfo:
        """Change what code may reach and see, and when a person is asked; None leaves it as it is.

        Args:
            hosts: Hosts that code may reach.
            granted: Hidden files that it may see.
            modes: `access` and `asking`.
        """
        body = AccessRequest(
            hosts=tuple(hosts) if hosts is not None else None,
            granted=tuple(granted) if granted is not None else None,
            **modes,
        )
        return await self._client.request("POST", f"{self._path}/access", SessionInfo, body)

    async def jobs(self) -> list[JobInfo]:
        """Return what runs, or ran, in the background of the session's sandbox."""
        return await self._client.request("GET", f"{self._path}/jobs", list[JobInfo])

    async def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        """Return what a job has printed from a byte on, waiting up to `wait` seconds for more."""
        query = {"offset": str(offset), "wait": str(wait)}
        return await self._client.request(
            "GET", f"{self._path}/jobs/{path_part(job)}", JobOutput, query=query
        )

    async def stop_job(self, job: str) -> JobInfo:
        """Stop a job."""
        return await self._client.request("POST", f"{self._path}/jobs/{path_part(job)}/stop", JobInfo)

    async def save_state(self, name: str) -> None:
        """Keep the variables of the session's Python under a name."""
        await self._client.post(f"{self._path}/state/save", StateRequest(name=name))

    async def restore_state(self, name: str) -> None:
        """Go back to variables that were kept; files stay as they are."""
        await self._client.post(f"{self._path}/state/restore", StateRequest(name=name))

    async def events(self, after: int = 0, last: int | None = None) -> list[Event]:
        """Return the stored events of the session: those after a number, or those of its last turns."""
        return await self._client.stored_events(self.id, after, last)


def _choices(changes: Changes) -> tuple[Choice, ...] | None:
    if changes is None:
        return None
    return tuple(change if isinstance(change, Choice) else Choice(path=change) for change in changes)


async def _until_end(events: AsyncIterator[Event], turn: str) -> AsyncIterator[Event]:
    async for event in events:
        if event.turn == turn:
            yield event
            if isinstance(event, TurnFinished):
                return
    raise gone()
