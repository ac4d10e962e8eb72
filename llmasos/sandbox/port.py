"""The port of sandboxes: what every backend offers, and the outcomes it reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

OnOutput = Callable[[str, str], None]
OnCall = Callable[[str, dict[str, Any]], Awaitable[object]]
Status = Literal["ok", "failed", "timeout", "memory", "lost"]


class Outcome(BaseModel, frozen=True):
    """What became of a command or a Python cell.

    Args:
        status: The verdict.
        exit_code: Of a command; None when it was stopped.
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
    """A copy-on-write view of a folder, as an overlay to be mounted.

    Args:
        lower: The person's folder; never written.
        upper: What the view changes.
        work: Scratch space of the overlay, on the same file system as `upper`.
        mapped: Whether owners are shifted by `OWNER_SHIFT`, so that the sandbox runs without privileges
            on the files of root.
    """

    lower: Path
    upper: Path
    work: Path
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
        self, command: str, *, timeout: float, on_output: OnOutput | None = None
    ) -> Outcome:
        """Run a bash command in the workspace, without a keyboard, and stop it after `timeout` seconds."""

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Outcome:
        """Run a cell in the sandbox's Python session.

        Args:
            code: The cell.
            timeout: Seconds, the time inside `functions` not counted.
            on_output: Gets the stream's name and the text as it comes.
            on_call: Carries out a call of one of `functions`.
            functions: Names that the cell can call, with their parameters' names.
        """

    async def read(self, path: str, *, offset: int = 0, limit: int = 1_000_000) -> FileContent:
        """Return a piece of a file.

        Raises:
            ToolError: It is not there, is not a file, or lies outside the workspace.
        """

    async def write(self, path: str, data: bytes) -> None:
        """Write a file whole, with the folders above it."""

    async def list(
        self, path: str = ".", *, pattern: str = "*", depth: int | None = None, limit: int = 1000
    ) -> Listing:
        """List files whose name, or path if the pattern has a slash, matches a glob."""

    async def search(self, pattern: str, *, path: str = ".", glob: str = "*", limit: int = 200) -> Matches:
        """Return lines that match a Python regular expression."""

    async def close(self) -> None:
        """End everything that runs in the sandbox; closing twice is harmless."""


class SandboxProvider(Protocol):
    """Opens sandboxes of one backend; `reason` tells why this one was chosen."""

    backend: str
    reason: str

    async def open(self, view: View, *, session: str) -> Sandbox:
        """Open a sandbox on a view.

        Raises:
            SandboxError: It cannot start; there is never a weaker one instead.
        """

    async def sweep(self, states: Path) -> None:
        """Remove what the sandboxes of a kernel that died left behind.

        Args:
            states: The folder that holds the state of every workspace.
        """

    async def close(self) -> None:
        """Remove what sandboxes of this kernel left behind."""
