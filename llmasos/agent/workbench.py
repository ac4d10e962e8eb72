"""A session's workbench: its view of the folder, the sandbox on it, and what the person decides of both."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.agent import _records as records
from llmasos.agent.recording import record
from llmasos.agent.services import Services
from llmasos.agent.session_sandbox import SessionSandbox
from llmasos.agent.stream import EventStream
from llmasos.api import AccessRequest, Choice, CommitInfo, Diff, MergedFile, SessionInfo
from llmasos.errors import LLMasOSError, SandboxError, SessionError
from llmasos.events import WorkspaceChanged
from llmasos.sandbox import AllowedHosts, Commit, Selection, Workspace, check_grants
from llmasos.secrets import secrets_of_files

# So many files are hashed in a moment; an action is not to wait for more.
_HASHED_FILES = 200


class Workbench:
    """The folder of one session as its code sees it.

    Args:
        info: The session.
        services: What every session shares.
        stream: The session's stream, where what the person decides is told.
        workspace: The folder and its view.
        state: The session's own folder, where artifacts are kept.
        tasks: Where work goes on in the background.
        busy: Tells whether a turn runs.

    Attributes:
        workspace: The folder and its view.
        sandbox: What its code runs in.
        turns: Held while a turn begins, and while the view or the folder is changed between turns.
    """

    def __init__(
        self,
        info: SessionInfo,
        services: Services,
        stream: EventStream,
        workspace: Workspace,
        state: Path,
        tasks: TaskGroup,
        busy: Callable[[], bool],
    ) -> None:
        self.workspace = workspace
        self._session = info.id
        self._services = services
        self._stream = stream
        self._busy = busy
        self.sandbox = SessionSandbox(
            info.id, services, stream, workspace, info.hosts, state / "artifacts", tasks
        )
        self.turns = anyio.Lock()

    @property
    def folder(self) -> Path:
        """The person's folder."""
        return self.workspace.folder

    async def learn_secrets(self) -> None:
        """Have the values in hidden files redacted from now on, whether code may see the files or not."""

        def known() -> list[str]:
            return list(secrets_of_files(self.workspace.secret_files()))

        self._services.redactor.learn(await anyio.to_thread.run_sync(known))

    async def allow(self, request: AccessRequest) -> None:
        """Change which hosts code may reach, and which hidden files it may see; recorded beforehand.

        Raises:
            ConfigError: A host is not a name, or a hidden file is none of the folder.
        """
        async with self._between_turns("Access cannot be changed"):
            AllowedHosts(request.hosts or ())
            check_grants(request.granted or ())
            await self._record("policy", **request.model_dump(mode="json", exclude_none=True))
            await self.sandbox.close()
            if request.hosts is not None:
                self.sandbox.hosts = request.hosts
            if request.granted is not None:
                granted = (*self._services.settings.granted, *request.granted)
                self.workspace = await anyio.to_thread.run_sync(self.workspace.granting, granted)
                self.sandbox.workspace = self.workspace

    async def diff(self) -> Diff:
        """Return what the view would change in the folder."""
        changes, omitted = await self.workspace.diff()
        summary = (await self.workspace.summary()).text() if omitted else ""
        return Diff(changes=tuple(changes), omitted=omitted, summary=summary)

    async def diff_sha256(self, *, whole: bool = False) -> str:
        """Return the SHA-256 of the diff; empty when nothing is changed, or it cannot be read.

        Args:
            whole: Hash all of a very large diff, not only its first files and the number of the others.
        """
        try:
            changes, omitted = await self.workspace.diff(most_files=sys.maxsize if whole else _HASHED_FILES)
        except LLMasOSError:
            return ""
        more = f"and {omitted} more\n" if omitted else ""
        return records.sha256_text(f"{Diff(changes=tuple(changes)).unified()}{more}") if changes else ""

    async def merged(self, path: str) -> MergedFile:
        """Return a file that was changed on both sides, merged, with what clashes between markers.

        Raises:
            WorkspaceError: It has no two versions that can be merged.
        """
        merged = await self.workspace.merged(path)
        return MergedFile(path=path, text=merged.text, conflicts=merged.clashes)

    async def resolve(self, path: str) -> MergedFile:
        """Make a file's merged text the view's version, so that what clashes can be edited there.

        Raises:
            WorkspaceError: It has no two versions that can be merged.
        """
        async with self._between_turns("A file cannot be merged"):
            merged = await self.merged(path)
            await self.sandbox.close()
            await self.workspace.resolve(path, merged.text)
            return merged

    async def commit(self, choices: Sequence[Choice] | None = None, *, merge: bool = False) -> CommitInfo:
        """Write the view's changes, all or those chosen, to the folder.

        Raises:
            ConflictError: A file changed underneath in the meantime, and was not merged.
            WorkspaceError: A file cannot be written.
        """
        async with self._between_turns("Changes cannot be committed"):
            diff = await self.diff_sha256(whole=True)
            await self._record("commit", choices=_plain(choices), merge=merge, diff_sha256=diff)
            await self.sandbox.close()
            return await self._changed(
                "commit", await self.workspace.commit(_selections(choices), merge=merge)
            )

    async def discard(self, choices: Sequence[Choice] | None = None) -> None:
        """Drop the view's changes, all or those chosen."""
        async with self._between_turns("Changes cannot be discarded"):
            await self._drop(choices)

    async def drop(self) -> None:
        """Drop every change at the end of a dry run."""
        await self._drop(None)

    async def undo(self, commit: str = "") -> CommitInfo:
        """Take a commit back, the newest if none is named.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        async with self._between_turns("A commit cannot be undone"):
            await self._record(
                "undo", **await self._meant(commit, undone=False), diff_sha256=await self.diff_sha256()
            )
            await self.sandbox.close()
            return await self._changed("undo", await self.workspace.undo(commit or None))

    async def redo(self, commit: str = "") -> CommitInfo:
        """Write an undone commit again, the one undone last if none is named.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        async with self._between_turns("A commit cannot be redone"):
            await self._record(
                "redo", **await self._meant(commit, undone=True), diff_sha256=await self.diff_sha256()
            )
            await self.sandbox.close()
            return await self._changed("redo", await self.workspace.redo(commit or None))

    async def history(self) -> list[CommitInfo]:
        """Return the session's commits, oldest first, those that were undone included."""
        return [_info(commit) for commit in await anyio.to_thread.run_sync(self.workspace.history)]

    async def copy_view(self, state: Path) -> None:
        """Give another session on the folder this view, with its changes; the sandbox ends.

        Whoever asks holds `turns`.

        Args:
            state: The other session's own folder.

        Raises:
            SessionError: A turn runs.
            WorkspaceError: It cannot be copied.
        """
        self._refuse_while_busy("A session's view cannot be copied")
        await self.sandbox.close()
        await self.workspace.copy_view(state)

    async def save_state(self, name: str) -> None:
        """Keep the variables of the Python session under a name."""
        async with self._between_turns("Variables cannot be kept"):
            await (await self.sandbox.open()).save_state(name)

    async def restore_state(self, name: str) -> None:
        """Go back to variables that were kept; files stay as they are.

        Raises:
            SandboxError: Nothing was kept under this name, or it went with its sandbox.
        """
        async with self._between_turns("Variables cannot be restored"):
            if self.sandbox.running is None:
                raise SandboxError(
                    f"No state is kept under the name {name!r}.", hint="Keep one with /state save NAME."
                )
            await self.sandbox.running.restore_state(name)

    async def _drop(self, choices: Sequence[Choice] | None) -> None:
        wanted = {choice.path for choice in choices} if choices is not None else None
        changed = [name for name, _ in sorted(await self.workspace.changed())]
        dropped = tuple(name for name in changed if wanted is None or name in wanted)
        diff = await self.diff_sha256(whole=True)
        await self._record("discard", choices=_plain(choices), paths=list(dropped), diff_sha256=diff)
        await self.sandbox.close()
        await self.workspace.discard(_selections(choices))
        await self._stream.append(WorkspaceChanged(what="discard", paths=dropped))

    async def _changed(self, what: Literal["commit", "undo", "redo"], commit: Commit) -> CommitInfo:
        info = _info(commit)
        await self._stream.append(WorkspaceChanged(what=what, commit=info.id, paths=info.paths))
        return info

    async def _meant(self, commit: str, *, undone: bool) -> dict[str, object]:
        """Return the commit that is named, or all of which the newest is meant."""
        if commit:
            return {"commit": commit}
        return {"newest_of": [one.id for one in await self.history() if one.undone == undone]}

    @asynccontextmanager
    async def _between_turns(self, what: str) -> AsyncIterator[None]:
        """Keep turns, and other changes of the view, from beginning meanwhile.

        Args:
            what: What cannot be done while a turn runs.

        Raises:
            SessionError: A turn runs.
        """
        self._refuse_while_busy(what)
        async with self.turns:
            # One may have begun while another change was waited for.
            self._refuse_while_busy(what)
            yield

    def _refuse_while_busy(self, what: str) -> None:
        if self._busy():
            raise SessionError(f"{what} while a turn runs.", hint="Wait for it, or cancel it.")

    async def _record(self, kind: records.WorkspaceKind, **body: Any) -> None:
        await record(self._services.ledger, self._session, kind, **body)


def _selections(choices: Sequence[Choice] | None) -> list[Selection] | None:
    if choices is None:
        return None
    return [Selection(path=choice.path, hunks=choice.hunks) for choice in choices]


def _plain(choices: Sequence[Choice] | None) -> list[object] | None:
    return [choice.model_dump(mode="json") for choice in choices] if choices is not None else None


def _info(commit: Commit) -> CommitInfo:
    return CommitInfo(
        id=commit.id,
        paths=commit.paths,
        at=commit.at,
        undone=commit.state == "undone",
        left=commit.left,
    )
