"""A session through the synchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from llmasos.api import (
    CommitInfo,
    Compacted,
    Diff,
    JobInfo,
    JobOutput,
    MergedFile,
    SessionInfo,
    TurnAccepted,
    TurnResult,
)
from llmasos.client._session import AsyncSession, Changes
from llmasos.events import Event

T = TypeVar("T")


class Call(Protocol):
    """Runs a coroutine on the client's thread and returns what it returns."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


class Session:
    """A session, through the synchronous client."""

    def __init__(
        self,
        call: Call,
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
            yield iterate(self._call, events)

    def steer(self, text: str) -> TurnAccepted:
        """Say something to the running turn; takes and raises what `AsyncSession.steer` does."""
        return self._call(self._session.steer(text))

    def cancel(self) -> None:
        """Cancel the running turn."""
        self._call(self._session.cancel())

    def compact(self, keep: int = 2) -> Compacted:
        """Have the model told all but the newest turns in short from now on."""
        return self._call(self._session.compact(keep))

    def rename(self, title: str) -> SessionInfo:
        """Give the session a name in lists."""
        return self._call(self._session.rename(title))

    def fork(self, turn: str | int = "") -> Session:
        """Return a new session that goes on from a turn of this one; takes what `AsyncSession.fork` takes."""
        return Session(self._call, self._wrap, self._call(self._session.fork(turn)))

    def use_model(self, model: str) -> bool:
        """Choose the model of the next turns; return whether it is known to be there."""
        return self._call(self._session.use_model(model))

    def answer(self, action: str, digest: str, *, approve: bool, **more: Any) -> None:
        """Answer an approval request; takes what `AsyncSession.answer` takes."""
        self._call(self._session.answer(action, digest, approve=approve, **more))

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

    def allow(self, **options: Any) -> SessionInfo:
        """Change what code may reach and see; takes what `AsyncSession.allow` takes."""
        return self._call(self._session.allow(**options))

    def jobs(self) -> list[JobInfo]:
        """Return what runs, or ran, in the background of the session's sandbox."""
        return self._call(self._session.jobs())

    def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        """Return what a job has printed from a byte on."""
        return self._call(self._session.job_output(job, offset=offset, wait=wait))

    def stop_job(self, job: str) -> JobInfo:
        """Stop a job."""
        return self._call(self._session.stop_job(job))

    def events(self, after: int = 0, last: int | None = None) -> list[Event]:
        """Return the stored events of the session: those after a number, or those of its last turns."""
        return self._call(self._session.events(after, last))

    def save_state(self, name: str) -> None:
        """Keep the variables of the session's Python under a name."""
        self._call(self._session.save_state(name))

    def restore_state(self, name: str) -> None:
        """Go back to variables that were kept."""
        self._call(self._session.restore_state(name))


def iterate(call: Call, items: AsyncIterator[T]) -> Iterator[T]:
    """Iterate over what comes on the client's thread."""
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
