"""The synchronous client: the asynchronous one, run on a thread of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llmasos.api import (
    AnchorInfo,
    Check,
    CommitInfo,
    Diff,
    JobInfo,
    JobOutput,
    KernelInfo,
    KeyCreated,
    KeyInfo,
    KeyRequest,
    LedgerInfo,
    MergedFile,
    ModelInfo,
    RecordFilter,
    RecordInfo,
    RecordQuery,
    SessionInfo,
    ToolInfo,
    TurnResult,
    VerifyProgress,
    VerifyReport,
)
from llmasos.client._async import AsyncClient
from llmasos.client._session import AsyncSession, Changes
from llmasos.events import Event

T = TypeVar("T")


class Client:
    """Synchronous client of the kernel; the same calls as `AsyncClient`, run on a thread of its own."""

    def __init__(self, socket: Path | None = None, *, start: bool = True) -> None:
        self._make = lambda: AsyncClient(socket, start=start)
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._portal: BlockingPortal = stack.enter_context(start_blocking_portal())
            client = self._portal.call(_made, self._make)
            self._client: AsyncClient = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    def session(self, folder: str | Path = ".", **options: Any) -> Session:
        """Begin a session on a folder; takes what `AsyncClient.session` takes."""
        return Session(self._call, self._wrap, self._call(self._client.session(folder, **options)))

    def resume(self, session: str) -> Session:
        """Return a session that exists."""
        return Session(self._call, self._wrap, self._call(self._client.resume(session)))

    def sessions(self, folder: str | Path | None = None) -> list[SessionInfo]:
        """Return the newest sessions, of one folder or of all."""
        return self._call(self._client.sessions(folder))

    def info(self) -> KernelInfo:
        """Return the kernel's state."""
        return self._call(self._client.info())

    def doctor(self) -> list[Check]:
        """Return what the doctor found in each part."""
        return self._call(self._client.doctor())

    def models(self) -> list[ModelInfo]:
        """Return the models that can be chosen."""
        return self._call(self._client.models())

    def warm(self, model: str = "") -> None:
        """Have a model loaded in the background, the default one if none is named."""
        self._call(self._client.warm(model))

    def tools(self) -> list[ToolInfo]:
        """Return the tools as the model sees them."""
        return self._call(self._client.tools())

    def ledger(self) -> LedgerInfo:
        """Return where the ledger stands."""
        return self._call(self._client.ledger())

    def verify(self, progress: Callable[[VerifyProgress], None] = lambda step: None) -> VerifyReport:
        """Have the whole ledger verified; `progress` is told how far it is, on the client's thread."""
        return self._call(self._client.verify(progress))

    def records(self, session: str | None = None, limit: int = 100, **options: Any) -> list[RecordInfo]:
        """Return the newest records of the ledger; takes what `AsyncClient.records` takes."""
        return self._call(self._client.records(session, limit, **options))

    @contextmanager
    def follow_records(self, wanted: RecordQuery) -> Iterator[Iterator[RecordInfo]]:
        """Follow the ledger: the records that are there, then those to come."""
        with self._wrap(self._client.follow_records(wanted)) as records:
            yield _iterate(self._call, records)

    def show_record(self, what: str) -> list[RecordInfo]:
        """Return everything that is recorded of an action, or the record of a number."""
        return self._call(self._client.show_record(what))

    def prove(self, what: str, *, up_to_anchor: bool = False) -> dict[str, Any]:
        """Return the proof of an action, or of the record of a number."""
        return self._call(self._client.prove(what, up_to_anchor=up_to_anchor))

    @contextmanager
    def export(
        self, which: RecordFilter, format: Literal["html", "json"] = "html"
    ) -> Iterator[Iterator[bytes]]:
        """Read records with their proofs: one page, or JSON lines."""
        with self._wrap(self._client.export(which, format)) as pieces:
            yield _iterate(self._call, pieces)

    def anchor(self, target: str = "") -> list[AnchorInfo]:
        """Tell one place outside, or all, of the records so far."""
        return self._call(self._client.anchor(target))

    def erase(self, which: RecordFilter, reason: str = "", *, count_only: bool = False) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were."""
        return self._call(self._client.erase(which, reason, count_only=count_only))

    def rotate_key(self, key: str = "") -> str:
        """Hand the ledger to another key, and return the address of its account."""
        return self._call(self._client.rotate_key(key))

    def create_key(self, wanted: KeyRequest) -> KeyCreated:
        """Make a key; its secret is in the answer, and cannot be had again."""
        return self._call(self._client.create_key(wanted))

    def keys(self) -> list[KeyInfo]:
        """Return every key, with what it has used."""
        return self._call(self._client.keys())

    def key(self, key: str) -> KeyInfo:
        """Return one key, with what it has used."""
        return self._call(self._client.key(key))

    def revoke_key(self, key: str) -> KeyInfo:
        """End a key at once."""
        return self._call(self._client.revoke_key(key))

    def stop(self) -> None:
        """Stop the kernel and return when it is gone."""
        self._call(self._client.stop())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        done: T = self._portal.call(_awaited, work)
        return done

    def _wrap(self, manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        return self._portal.wrap_async_context_manager(manager)


class _Call(Protocol):
    """Runs a coroutine on the client's thread and returns what it returns."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


class Session:
    """A session, through the synchronous client."""

    def __init__(
        self,
        call: _Call,
        wrap: Callable[[AbstractAsyncContextManager[Any]], AbstractContextManager[Any]],
        session: AsyncSession,
    ) -> None:
        self._call = call
        self._wrap = wrap
        self._session = session
        self.id = session.id
        self.folder = session.folder

    def info(self) -> SessionInfo:
        """Return the session as it stands."""
        return self._call(self._session.info())

    def run(self, text: str, **options: Any) -> TurnResult:
        """Run a turn to its end and return what came of it; takes what `AsyncSession.run` takes."""
        return self._call(self._session.run(text, **options))

    @contextmanager
    def turn(self, text: str, **options: Any) -> Iterator[Iterator[Event]]:
        """Start a turn and follow its events to its end."""
        with self._wrap(self._session.turn(text, **options)) as events:
            yield _iterate(self._call, events)

    def cancel(self) -> None:
        """Cancel the running turn."""
        self._call(self._session.cancel())

    def use_model(self, model: str) -> None:
        """Choose the model of the next turns."""
        self._call(self._session.use_model(model))

    def answer(self, action: str, digest: str, *, approve: bool) -> None:
        """Answer an approval request."""
        self._call(self._session.answer(action, digest, approve=approve))

    def diff(self) -> Diff:
        """Return what the session's view would change in the folder."""
        return self._call(self._session.diff())

    def commit(self, changes: Changes = None, *, merge: bool = False) -> CommitInfo:
        """Write changes to the folder, all or those chosen."""
        return self._call(self._session.commit(changes, merge=merge))

    def discard(self, changes: Changes = None) -> None:
        """Drop changes, all or those chosen."""
        self._call(self._session.discard(changes))

    def undo(self, commit: str = "") -> CommitInfo:
        """Take a commit back, the newest if none is named."""
        return self._call(self._session.undo(commit))

    def redo(self, commit: str = "") -> CommitInfo:
        """Write an undone commit again, the one undone last if none is named."""
        return self._call(self._session.redo(commit))

    def history(self) -> list[CommitInfo]:
        """Return the session's commits, oldest first."""
        return self._call(self._session.history())

    def merged(self, path: str) -> MergedFile:
        """Return a file that was changed on both sides, merged, with what clashes between markers."""
        return self._call(self._session.merged(path))

    def resolve(self, path: str) -> MergedFile:
        """Make a file's merged text the view's version, so that what clashes can be edited there."""
        return self._call(self._session.resolve(path))

    def allow(
        self, *, hosts: Sequence[str] | None = None, granted: Sequence[str] | None = None
    ) -> SessionInfo:
        """Change which hosts code may reach, and which hidden files it may see."""
        return self._call(self._session.allow(hosts=hosts, granted=granted))

    def jobs(self) -> list[JobInfo]:
        """Return what runs, or ran, in the background of the session's sandbox."""
        return self._call(self._session.jobs())

    def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        """Return what a job has printed from a byte on."""
        return self._call(self._session.job_output(job, offset=offset, wait=wait))

    def stop_job(self, job: str) -> JobInfo:
        """Stop a job."""
        return self._call(self._session.stop_job(job))

    def save_state(self, name: str) -> None:
        """Keep the variables of the session's Python under a name."""
        self._call(self._session.save_state(name))

    def restore_state(self, name: str) -> None:
        """Go back to variables that were kept."""
        self._call(self._session.restore_state(name))


async def _made(make: Callable[[], AsyncClient]) -> AsyncClient:
    return make()


async def _awaited(work: Coroutine[Any, Any, T]) -> T:
    return await work


def _iterate(call: _Call, items: AsyncIterator[T]) -> Iterator[T]:
    while True:
        found = call(_next(items))
        if not found:
            return
        yield found[0]


async def _next(items: AsyncIterator[T]) -> list[T]:
    """Return the next item in a list, which is empty at the end."""
    async for item in items:
        return [item]
    return []
