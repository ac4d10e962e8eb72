"""The port of sandboxes: what every backend offers, and the outcomes it reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from llmasos.errors import ToolError

OnOutput = Callable[[str, str], None]
OnRefused = Callable[[str, int, str], None]
OnCall = Callable[[str, dict[str, Any]], Awaitable[object]]
# What a command or cell can break: each limit has a verdict of its own.
Limit = Literal["timeout", "memory", "cpu", "processes", "files", "disk", "output"]
Status = Literal["ok", "failed", "cancelled", "lost"] | Limit
ViewKind = Literal["overlay", "snapshot", "in-place"]


class Artifact(BaseModel, frozen=True):
    """A plot or a file that a cell hands out, under a name that the host has made.

    Args:
        name: Generated, such as `figure-1.png`; never a path from inside.
        media_type: By the data's first bytes, not by what the cell said.
        data: At most `LARGEST_ARTIFACT` bytes.
    """

    name: str
    media_type: str
    data: bytes


LARGEST_ARTIFACT = 8_000_000
MOST_ARTIFACTS = 16


class Outcome(BaseModel, frozen=True):
    """What became of a command or a Python cell.

    Args:
        status: The verdict.
        exit_code: Of a command; None when it was stopped.
        artifacts: Figures that the cell left open, and files that it handed out.
        output: Standard output and standard error as they came, capped with a marker.
        result: The last expression of a cell, as Python shows it.
        seconds: How long it took.
        backend: The sandbox that ran it.
        truncated: Whether output was left out.
    """

    status: Status
    exit_code: int | None = None
    output: str = ""
    result: str = ""
    seconds: float = 0.0
    backend: str
    truncated: bool = False
    artifacts: tuple[Artifact, ...] = ()


class Job(BaseModel, frozen=True):
    """A command in the background.

    Args:
        id: Its name, such as `j-1`.
        command: What was started.
        running: Whether it still runs.
        exit_code: Once it has ended by itself.
        seconds: How long it has run.
        written: Bytes it has printed so far; the newest of them can be read.
    """

    id: str
    command: str
    running: bool
    exit_code: int | None = None
    seconds: float = 0.0
    written: int = 0


class JobOutput(BaseModel, frozen=True):
    """A piece of what a job has printed: from byte `offset` on, which may be later than was asked for."""

    text: str
    offset: int
    job: Job


class FileContent(BaseModel, frozen=True):
    """A piece of a file: its bytes from `offset` on, and the size of the whole."""

    data: bytes
    size: int
    offset: int = 0


class FileInfo(BaseModel, frozen=True):
    """A file as listings show it; `path` is relative to the workspace."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    size: int


class Listing(BaseModel, frozen=True):
    """Files found, and how many more there were."""

    entries: tuple[FileInfo, ...]
    omitted: int = 0


class FileError(ToolError):
    """A file operation that cannot be done, with the number that errno(3) gives the reason."""

    def __init__(self, message: str, *, errno: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class Match(BaseModel, frozen=True):
    """A line that matched."""

    path: str
    line: int
    text: str


class Matches(BaseModel, frozen=True):
    """Lines found, and how many more there were."""

    matches: tuple[Match, ...]
    omitted: int = 0


@dataclass(frozen=True)
class View:
    """How a sandbox sees a person's folder.

    Args:
        kind: `overlay` mounts `upper` over `lower`; `snapshot` is a copy that lies at `upper`; `in-place` is
            the folder itself.
        lower: The person's folder; never written, unless the view is in place.
        upper: What the view changes, the copy, or the folder itself.
        work: Scratch space of the overlay, on the same file system as `upper`.
        hidden: A lower layer of whiteouts above `lower` that hides secrets; None when nothing is hidden.
        mapped: Whether owners are shifted by `OWNER_SHIFT`, so that the sandbox runs without privileges
            on the files of root.
    """

    kind: ViewKind
    lower: Path
    upper: Path
    work: Path
    hidden: Path | None
    mapped: bool


OWNER_SHIFT = 200_000
OWNER_RANGE = 65_536


class Sandbox(Protocol):
    """A sandbox on one view. File operations run inside it, so that no path or link leads out."""

    backend: str

    @property
    def lost(self) -> bool:
        """Whether it has died or was closed; the next action needs a fresh one."""

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        env: Mapping[str, str] | None = None,
        keep_background: bool = False,
    ) -> Outcome:
        """Run a command in the workspace, without a keyboard, and stop it after `timeout` seconds.

        Args:
            command: A line of bash, or a program with its arguments.
            timeout: Seconds.
            on_output: Gets the stream's name and the text as it comes.
            env: Variables beside the sandbox's own.
            keep_background: Spare what a command that ends by itself has left in the background; else
                nothing outlives it.
        """

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
        fresh: bool = False,
    ) -> Outcome:
        """Run a cell in the sandbox's Python session.

        Args:
            code: The cell.
            timeout: Seconds, the time inside `functions` not counted.
            on_output: Gets the stream's name and the text as it comes.
            on_call: Carries out a call of one of `functions`.
            functions: Names that the cell can call, with their parameters' names.
            fresh: Run it in a fork of a clean interpreter; the session's variables are neither seen nor
                changed.
        """

    async def set_environment(self, variables: Mapping[str, str]) -> None:
        """Add variables to those that commands, jobs and cells see from now on."""

    async def furnish(self, files: Mapping[str, str]) -> None:
        """Write files into the home of the sandbox's user, which is no part of the workspace.

        Args:
            files: Texts, by names.
        """

    async def save_state(self, name: str) -> None:
        """Keep the Python session's variables as they are now, under a name.

        Raises:
            SandboxError: The state cannot be kept.
        """

    async def restore_state(self, name: str) -> None:
        """Go back to variables that were kept; files are not touched.

        Raises:
            SandboxError: Nothing was kept under this name, or it was lost since.
        """

    async def start_job(self, command: str, *, env: Mapping[str, str] | None = None) -> Job:
        """Start a line of bash in the background; it ends with the sandbox at the latest."""

    async def jobs(self) -> Sequence[Job]:
        """Return the jobs started so far, oldest first."""

    async def job_output(self, job: str, *, offset: int = 0, wait: float = 0.0) -> JobOutput:
        """Return what a job has printed from `offset` on, waiting up to `wait` seconds for more.

        Raises:
            ToolError: There is no such job.
        """

    async def stop_job(self, job: str) -> Job:
        """Stop a job with all its processes: interrupt, then kill.

        Raises:
            ToolError: There is no such job.
        """

    async def read(self, path: str, *, offset: int = 0, limit: int = 1_000_000) -> FileContent:
        """Return a piece of a file.

        Raises:
            FileError: It is not there, is not a file, or lies outside the workspace; every file operation
                raises it.
        """

    async def write(self, path: str, data: bytes) -> None:
        """Write a file whole, with the folders above it."""

    async def stat(self, path: str) -> FileInfo:
        """Return what a path is, with links followed; a link that leads nowhere is not there."""

    async def scan(self, path: str) -> Sequence[FileInfo]:
        """Return everything that lies directly in a folder, with links followed where they lead somewhere."""

    async def make_folder(self, path: str) -> None:
        """Make a folder with the folders above it; it may be there already."""

    async def remove(self, path: str) -> None:
        """Remove a file, a link itself, or a folder with everything in it, but never the workspace."""

    async def realpath(self, path: str) -> str:
        """Return the absolute path with links resolved, which may lie outside; what is missing stays."""

    async def list(
        self, path: str = ".", *, pattern: str = "*", depth: int | None = None, limit: int = 1000
    ) -> Listing:
        """List files whose name, or path if the pattern has a slash, matches a glob."""

    async def search(self, pattern: str, *, path: str = ".", glob: str = "*", limit: int = 200) -> Matches:
        """Return lines that match a Python regular expression."""

    async def close(self) -> None:
        """End everything that runs in the sandbox; closing twice is harmless."""


class SandboxProvider(Protocol):
    """Opens sandboxes of one backend; `reason` tells why this one was chosen.

    `view_kind` is how it shows folders: an overlay, or a snapshot where overlays do not work.
    """

    backend: str
    reason: str
    view_kind: ViewKind

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> Sandbox:
        """Open a sandbox on a view, from the pool of warm ones where it has one.

        Args:
            view: What it sees as its workspace.
            session: Whom it belongs to; a sandbox serves one session only.
            hosts: Names that may be reached, such as `example.org` or `*.example.net`; none by default.
            on_refused: Told the host, the port and the reason when code wanted to reach another one.

        Raises:
            SandboxError: It cannot start; there is never a weaker one instead.
        """

    async def warm(self) -> None:
        """Fill the pool, and keep it filled in the background until `close`."""

    async def sweep(self, states: Path) -> None:
        """Remove what the sandboxes of a kernel that died left behind.

        Args:
            states: The folder that holds the state of every workspace.
        """

    async def close(self) -> None:
        """Remove what sandboxes of this kernel left behind."""
