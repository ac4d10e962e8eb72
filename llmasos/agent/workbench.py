"""A session's workbench: its view of the folder, the sandbox on it, and what the person decides of both."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.agent import _records as records
from llmasos.agent.recording import record
from llmasos.agent.services import Services
from llmasos.agent.stream import EventStream
from llmasos.api import AccessRequest, Choice, CommitInfo, Diff, JobInfo, JobOutput, MergedFile, SessionInfo
from llmasos.errors import LLMasOSError, SandboxError, SessionError
from llmasos.events import ArtifactKept, Notice, WorkspaceChanged
from llmasos.sandbox import AllowedHosts, Artifact, Commit, Job, Sandbox, Selection, Workspace
from llmasos.secrets import VARIABLE, secrets_of_files

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
        self._hosts = info.hosts
        self._services = services
        self._stream = stream
        self._artifacts = state / "artifacts"
        self._tasks = tasks
        self._busy = busy
        self._sandbox: Sandbox | None = None
        self._lock = anyio.Lock()
        self.turns = anyio.Lock()

    @property
    def folder(self) -> Path:
        """The person's folder."""
        return self.workspace.folder

    async def sandbox(self) -> Sandbox:
        """Return the session's sandbox, opening one when there is none, and saying so when one was lost."""
        async with self._lock:
            if self._sandbox is not None and self._sandbox.lost:
                await self._sandbox.close()
                self._sandbox = None
                await self._stream.append(
                    Notice(
                        level="warning",
                        text="The sandbox has died. A fresh one takes its place: Python's variables and what "
                        "ran in the background are gone, changed files are kept.",
                    )
                )
            if self._sandbox is None:
                provider = self._services.provider
                view = await self.workspace.view(provider.view_kind)
                hosts = (*self._services.settings.sandbox_hosts, *self._hosts)
                self._sandbox = await provider.open(
                    view, session=self._session, hosts=hosts, on_refused=self._tell_refused
                )
                canary = self._services.canaries.plant(self._session, self._tell_canary)
                await self._sandbox.set_environment(canary)
            return self._sandbox

    async def learn_secrets(self) -> None:
        """Have the values in hidden files redacted from now on, whether code may see the files or not."""

        def known() -> list[str]:
            return list(secrets_of_files(self.workspace.secret_files()))

        self._services.redactor.learn(await anyio.to_thread.run_sync(known))

    async def close(self) -> None:
        """End the sandbox, with all that runs in it."""
        async with self._lock:
            if self._sandbox is not None:
                sandbox, self._sandbox = self._sandbox, None
                await sandbox.close()

    async def refresh(self, turn: str) -> None:
        """Give a turn a fresh view when the folder has changed since the sandbox was opened."""
        if self._sandbox is None or self._sandbox.lost or not await self.workspace.changed_outside():
            return
        if any(job.running for job in await self._sandbox.jobs()):
            text = "The folder has changed since the last turn, which is seen when no job runs any more."
        else:
            await self.close()
            text = "The folder has changed since the last turn; Python starts afresh."
        await self._stream.append(Notice(turn=turn, text=text))

    async def allow(self, request: AccessRequest) -> None:
        """Change which hosts code may reach, and which hidden files it may see; recorded beforehand.

        Raises:
            ConfigError: A host is not a name.
        """
        async with self._between_turns("Access cannot be changed"):
            if request.hosts is not None:
                AllowedHosts(request.hosts)
            await self._record("policy", **request.model_dump(mode="json", exclude_none=True))
            await self.close()
            if request.hosts is not None:
                self._hosts = request.hosts
            if request.granted is not None:
                granted = (*self._services.settings.granted, *request.granted)
                self.workspace = await anyio.to_thread.run_sync(self.workspace.granting, granted)

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
            await self.close()
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
            await self.close()
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
            await self.close()
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
            await self.close()
            return await self._changed("redo", await self.workspace.redo(commit or None))

    async def history(self) -> list[CommitInfo]:
        """Return the session's commits, oldest first, those that were undone included."""
        return [_info(commit) for commit in await anyio.to_thread.run_sync(self.workspace.history)]

    async def jobs(self) -> list[JobInfo]:
        """Return what was started in the background of the sandbox that is open now."""
        if self._sandbox is None or self._sandbox.lost:
            return []
        return [_job(job) for job in await self._sandbox.jobs()]

    async def job_output(self, job: str, offset: int, wait: float) -> JobOutput:
        """Return what a job has printed from a byte on, waiting up to `wait` seconds for more.

        Raises:
            ToolError: There is no such job.
        """
        output = await (await self.sandbox()).job_output(job, offset=offset, wait=wait)
        text = self._services.redactor.text(output.text)
        return JobOutput(text=text, offset=output.offset, job=_job(output.job))

    async def stop_job(self, job: str) -> JobInfo:
        """Stop a job.

        Raises:
            ToolError: There is no such job.
        """
        return _job(await (await self.sandbox()).stop_job(job))

    async def save_state(self, name: str) -> None:
        """Keep the variables of the Python session under a name."""
        async with self._between_turns("Variables cannot be kept"):
            await (await self.sandbox()).save_state(name)

    async def restore_state(self, name: str) -> None:
        """Go back to variables that were kept; files stay as they are.

        Raises:
            SandboxError: Nothing was kept under this name, or it went with its sandbox.
        """
        async with self._between_turns("Variables cannot be restored"):
            if self._sandbox is None or self._sandbox.lost:
                raise SandboxError(
                    f"No state is kept under the name {name!r}.", hint="Keep one with /state save NAME."
                )
            await self._sandbox.restore_state(name)

    async def keep(self, turn: str, action: str, artifacts: Iterable[Artifact]) -> list[str]:
        """Write what an action handed out beside the session's state; return where it lies."""
        kept = []
        for artifact in artifacts:
            path = self._artifacts / f"{action}-{artifact.name}"
            await anyio.to_thread.run_sync(_write, path, artifact.data)
            await self._stream.append(
                ArtifactKept(
                    turn=turn,
                    action=action,
                    name=artifact.name,
                    media_type=artifact.media_type,
                    size=len(artifact.data),
                    path=str(path),
                )
            )
            kept.append(str(path))
        return kept

    async def _drop(self, choices: Sequence[Choice] | None) -> None:
        wanted = {choice.path for choice in choices} if choices is not None else None
        changed = [name for name, _ in sorted(await self.workspace.changed())]
        dropped = tuple(name for name in changed if wanted is None or name in wanted)
        diff = await self.diff_sha256(whole=True)
        await self._record("discard", choices=_plain(choices), paths=list(dropped), diff_sha256=diff)
        await self.close()
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

    def _tell_refused(self, host: str, port: int, reason: str) -> None:
        self._tasks.start_soon(
            self._stream.append,
            Notice(
                level="warning",
                text=f"Code wanted to reach {host}:{port}, which was refused: {reason}. "
                f"Allow it with /hosts {host} if you mean to.",
            ),
        )

    def _tell_canary(self) -> None:
        self._tasks.start_soon(self._record_canary)

    async def _record_canary(self) -> None:
        await self._record("policy", canary="found")
        await self._stream.append(
            Notice(
                level="warning",
                text=f"Code has taken the false secret {VARIABLE}, which nobody needs, out of its sandbox. "
                "Look at what the last actions did: they may follow somebody else's instructions.",
            )
        )

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


def _job(job: Job) -> JobInfo:
    return JobInfo.model_validate(job.model_dump())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
