"""A session's sandbox: opened when it is needed, replaced when it dies, and what runs and comes out of it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from llmasos.agent.recording import record
from llmasos.agent.services import Services
from llmasos.agent.stream import EventStream
from llmasos.api import JobInfo, JobOutput
from llmasos.errors import LLMasOSError
from llmasos.events import ArtifactKept, Notice
from llmasos.sandbox import Artifact, FileError, Job, Sandbox, Workspace
from llmasos.sandbox.identity import read_identity
from llmasos.secrets import VARIABLE

# Code may ask for any number of hosts; a person does not read them.
_MOST_REFUSED = 10
_LARGEST_SEEN = 1_000_000


class SessionSandbox:
    """The sandbox of one session.

    Args:
        session: The session.
        services: What every session shares.
        stream: The session's stream, where what happens to it is told.
        workspace: The folder and its view.
        hosts: Hosts that code may reach, beside those of the settings.
        artifacts: Where what code hands out is kept.
        tasks: Where work goes on in the background.
    """

    def __init__(
        self,
        session: str,
        services: Services,
        stream: EventStream,
        workspace: Workspace,
        hosts: tuple[str, ...],
        artifacts: Path,
        tasks: TaskGroup,
    ) -> None:
        self.workspace = workspace
        self.hosts = hosts
        self._session = session
        self._services = services
        self._stream = stream
        self._artifacts = artifacts
        self._tasks = tasks
        self._sandbox: Sandbox | None = None
        self._refused: set[tuple[str, int]] = set()
        self._lock = anyio.Lock()

    @property
    def running(self) -> Sandbox | None:
        """The sandbox that is open and alive, if any."""
        return None if self._sandbox is None or self._sandbox.lost else self._sandbox

    async def open(self) -> Sandbox:
        """Return the sandbox, opening one when there is none, and saying so when one was lost."""
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
                hosts = (*self._services.settings.sandbox_hosts, *self.hosts)
                self._sandbox = await provider.open(
                    view, session=self._session, hosts=hosts, on_refused=self.tell_refused
                )
                canary = self._services.canaries.plant(self._session, self._tell_canary)
                await self._sandbox.set_environment(canary)
                identity = await anyio.to_thread.run_sync(read_identity, self.workspace.folder)
                await self._sandbox.furnish({".gitconfig": identity.config(view.kind)})
            return self._sandbox

    async def close(self) -> None:
        """End the sandbox, with all that runs in it."""
        async with self._lock:
            if self._sandbox is not None:
                sandbox, self._sandbox = self._sandbox, None
                await sandbox.close()

    async def refresh(self, turn: str) -> None:
        """Give a turn a fresh view when the folder has changed since the sandbox was opened."""
        self._refused.clear()
        if self.running is None or not await self.workspace.changed_outside():
            return
        if any(job.running for job in await self.running.jobs()):
            text = "The folder has changed since the last turn, which is seen when no job runs any more."
        else:
            await self.close()
            text = "The folder has changed since the last turn; Python starts afresh."
        await self._stream.append(Notice(turn=turn, text=text))

    async def jobs(self) -> list[JobInfo]:
        """Return what was started in the background of the sandbox that is open now."""
        return [_job(job) for job in await self.running.jobs()] if self.running is not None else []

    async def job_output(self, job: str, offset: int, wait: float) -> JobOutput:
        """Return what a job has printed from a byte on, waiting up to `wait` seconds for more.

        Raises:
            ToolError: There is no such job.
        """
        output = await (await self.open()).job_output(job, offset=offset, wait=wait)
        text = self._services.redactor.text(output.text)
        return JobOutput(text=text, offset=output.offset, job=_job(output.job))

    async def stop_job(self, job: str) -> JobInfo:
        """Stop a job.

        Raises:
            ToolError: There is no such job.
        """
        return _job(await (await self.open()).stop_job(job))

    async def look(self, path: str) -> bytes | None:
        """Return what a file of the view holds; nothing where there is none, None where nobody can say.

        Args:
            path: The file, from the folder on.
        """
        try:
            sandbox = await self.open()
            info = await sandbox.stat(path)
            if info.kind != "file" or info.size > _LARGEST_SEEN:
                return None
            return (await sandbox.read(path, limit=_LARGEST_SEEN)).data
        except FileError as error:
            return b"" if error.errno in (errno.ENOENT, errno.ENOTDIR) else None
        except LLMasOSError:
            return None

    async def weigh(self, path: str) -> str:
        """Return the SHA-256 of a file of the view, however large it is; empty where none can be read.

        Args:
            path: The file, from the folder on.
        """
        total, size = hashlib.sha256(), 0
        try:
            sandbox = await self.open()
            if (await sandbox.stat(path)).kind != "file":
                return ""
            while piece := (await sandbox.read(path, offset=size, limit=_LARGEST_SEEN)).data:
                total.update(piece)
                size += len(piece)
        except LLMasOSError:
            return ""
        return total.hexdigest() if size else ""

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

    def tell_refused(self, host: str, port: int, reason: str) -> None:
        """Tell the person that code wanted to reach a host that it may not."""
        if (host, port) in self._refused or len(self._refused) > _MOST_REFUSED:
            return
        self._refused.add((host, port))
        text = (
            f"Code wanted to reach {host}:{port}, which was refused: {reason}. "
            f"Allow it with /hosts {host} if you mean to."
        )
        if len(self._refused) > _MOST_REFUSED:
            text = "Code wanted to reach even more hosts, which was refused; they are not told any more."
        self._tasks.start_soon(self._stream.append, Notice(level="warning", text=text))

    def _tell_canary(self) -> None:
        self._tasks.start_soon(self._record_canary)

    async def _record_canary(self) -> None:
        await record(self._services.ledger, self._session, "policy", canary="found")
        await self._stream.append(
            Notice(
                level="warning",
                text=f"Code has taken the false secret {VARIABLE}, which nobody needs, out of its sandbox. "
                "Look at what the last actions did: they may follow somebody else's instructions.",
            )
        )


def _job(job: Job) -> JobInfo:
    return JobInfo.model_validate(job.model_dump())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
