"""Sandboxes as the workspace backends of pydantic-ai, for agents that are built on it directly."""

from __future__ import annotations

import errno
import posixpath
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
from pydantic_ai.workspaces import (
    CommandResult,
    FileEntry,
    WorkspaceBackend,
    WorkspaceCommand,
    WorkspaceOutputLimitError,
    WorkspaceRef,
    WorkspaceTimeoutError,
    WorkspaceUnavailableError,
)
from pydantic_ai.workspaces.protocol import (
    SupportsCommands,
    SupportsFilesystem,
    SupportsRealpath,
    validate_timeout,
)

from llmasos.errors import SandboxError
from llmasos.sandbox.port import FileError, FileInfo, Sandbox

PROVIDER = "llmasos"
_PIECE = 1_000_000
_LARGEST_WRITE = 40_000_000
_WITHOUT_LIMIT = 7 * 86_400.0


class Environments:
    """The live sandboxes that backends can name, attach to and destroy.

    Args:
        open_sandbox: Opens a sandbox on a view of its own.
    """

    def __init__(self, open_sandbox: Callable[[], Awaitable[Sandbox]]) -> None:
        self._open = open_sandbox
        self._live: dict[str, Sandbox] = {}

    async def create(self) -> str:
        """Open a sandbox and return its name.

        Raises:
            SandboxError: It cannot start.
        """
        sandbox = await self._open()
        name = f"{sandbox.backend}-{uuid.uuid4().hex}"
        self._live[name] = sandbox
        return name

    def get(self, name: str) -> Sandbox:
        """Return a sandbox that lives.

        Raises:
            WorkspaceUnavailableError: There is none of this name, or it has died.
        """
        sandbox = self._live.get(name)
        if sandbox is None or sandbox.lost:
            raise WorkspaceUnavailableError(f"The sandbox {name} is gone.")
        return sandbox

    async def destroy(self, name: str) -> None:
        """End a sandbox; one that is gone already is none of this method's business."""
        sandbox = self._live.pop(name, None)
        if sandbox is not None:
            await sandbox.close()

    async def close(self) -> None:
        """End every sandbox."""
        for name in tuple(self._live):
            await self.destroy(name)


class SandboxBackend(WorkspaceBackend, SupportsCommands, SupportsFilesystem, SupportsRealpath):
    """A workspace backend on a sandbox: commands run inside, and files are those of the workspace.

    Args:
        environments: Where the sandbox lives, and goes on living when a run ends.
        ref: The sandbox to attach to; without one, the first operation opens a fresh one.
    """

    def __init__(self, environments: Environments, ref: WorkspaceRef | None = None) -> None:
        self._environments = environments
        self._ref = ref
        self._creating = anyio.Lock()
        self._root = ""

    @property
    def ref(self) -> WorkspaceRef | None:
        """The sandbox's name: None until there is one, and the same from then on."""
        return self._ref

    async def working_dir(self) -> str:
        """Return the workspace's path inside the sandbox."""
        async with self._sandbox() as sandbox:
            if not self._root:
                self._root = await sandbox.realpath(".")
            return self._root

    async def run(
        self,
        command: WorkspaceCommand,
        *,
        shell: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a command to its end, sparing what it has moved to a session of its own.

        Raises:
            WorkspaceTimeoutError: It took longer than `timeout` seconds.
            WorkspaceOutputLimitError: It printed more than the sandbox keeps.
            WorkspaceUnavailableError: The sandbox is gone.
        """
        validate_timeout(timeout)
        if isinstance(command, str) != shell:
            raise TypeError("A string takes shell=True, and a sequence of arguments does not.")
        said: dict[str, list[str]] = {"stdout": [], "stderr": []}
        async with self._sandbox() as sandbox:
            outcome = await sandbox.run_command(
                command,
                timeout=timeout or _WITHOUT_LIMIT,
                on_output=lambda stream, text: said[stream].append(text),
                env=env,
                keep_background=True,
            )
        stdout, stderr = ("".join(said[stream]) for stream in ("stdout", "stderr"))
        if outcome.status == "timeout" and timeout is not None:
            raise WorkspaceTimeoutError(
                f"The command took longer than {timeout:g} s.", stdout=stdout, stderr=stderr
            )
        if outcome.truncated or outcome.status == "output":
            raise WorkspaceOutputLimitError(
                "The command printed more than the sandbox keeps; send its output to a file.",
                limit=len(stdout) + len(stderr),
                stdout=stdout,
                stderr=stderr,
            )
        if outcome.status == "lost":
            raise WorkspaceUnavailableError("The sandbox has died under the command.")
        # A command that the sandbox stopped was killed, whatever the limit that it broke.
        code = 137 if outcome.exit_code is None else outcome.exit_code
        return CommandResult(exit_code=code, stdout=stdout, stderr=stderr)

    async def read_bytes(self, path: str) -> bytes:
        """Read a whole file, piece by piece."""
        async with self._sandbox(path) as sandbox:
            pieces: list[bytes] = []
            offset = 0
            while True:
                piece = await sandbox.read(path, offset=offset, limit=_PIECE)
                pieces.append(piece.data)
                offset += len(piece.data)
                if not piece.data or offset >= piece.size:
                    return b"".join(pieces)

    async def write_bytes(self, path: str, data: bytes) -> None:
        """Write a whole file, with the folders above it."""
        if len(data) > _LARGEST_WRITE:
            raise OSError(errno.EFBIG, f"More than {_LARGEST_WRITE} bytes cannot be written at once", path)
        async with self._sandbox(path) as sandbox:
            await sandbox.write(path, data)

    async def stat(self, path: str) -> FileEntry:
        """Describe a file or a folder, with links followed."""
        async with self._sandbox(path) as sandbox:
            return _entry(path, await sandbox.stat(path))

    async def list_dir(self, path: str) -> Sequence[FileEntry]:
        """List a folder."""
        async with self._sandbox(path) as sandbox:
            found = await sandbox.scan(path)
        return [_entry(posixpath.join(path, posixpath.basename(info.path)), info) for info in found]

    async def make_dir(self, path: str) -> None:
        """Make a folder with the folders above it."""
        async with self._sandbox(path) as sandbox:
            await sandbox.make_folder(path)

    async def remove(self, path: str) -> None:
        """Remove a file or a whole folder, but never the workspace or what lies above it.

        Raises:
            ValueError: It is the workspace, or lies above it.
        """
        root = await self.working_dir()
        async with self._sandbox(path) as sandbox:
            # The folder above is resolved and the name is not: a link is removed itself.
            above = await sandbox.realpath(posixpath.dirname(path))
            full = posixpath.normpath(posixpath.join(above, posixpath.basename(path)))
            if f"{root}/".startswith(full.rstrip("/") + "/"):
                raise ValueError(f"{path} is the workspace or lies above it; it cannot be removed.")
            await sandbox.remove(full)

    async def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""
        try:
            await self.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    async def realpath(self, path: str) -> str:
        """Resolve links inside the sandbox."""
        async with self._sandbox(path) as sandbox:
            return await sandbox.realpath(path)

    @asynccontextmanager
    async def _sandbox(self, path: str = "/") -> AsyncIterator[Sandbox]:
        """Give out the sandbox, opened at the first use, and translate what goes wrong with it."""
        if not posixpath.isabs(path):
            raise ValueError(f"{path!r} is not an absolute path.")
        sandbox = await self._opened()
        try:
            yield sandbox
        except FileError as error:
            # OSError chooses the class that belongs to the number, such as FileNotFoundError.
            raise OSError(error.errno, error.message, path) from error
        except SandboxError as error:
            if not sandbox.lost:
                raise
            raise WorkspaceUnavailableError(error.message) from error

    async def _opened(self) -> Sandbox:
        async with self._creating:
            if self._ref is None:
                # Whoever is cancelled meanwhile must still be able to name, and end, what was opened.
                with anyio.CancelScope(shield=True):
                    await self._create()
            assert self._ref is not None
            return self._environments.get(self._ref.id)

    async def _create(self) -> None:
        self._ref = WorkspaceRef(provider=PROVIDER, id=await self._environments.create())


def _entry(path: str, info: FileInfo) -> FileEntry:
    return FileEntry(
        name=posixpath.basename(path.rstrip("/")) or "/",
        path=path,
        is_dir=info.kind == "folder",
        size=info.size if info.kind == "file" else None,
    )
