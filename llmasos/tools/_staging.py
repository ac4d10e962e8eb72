"""The inputs of a map: files of the session's view, copied as they are when it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from llmasos.display import display
from llmasos.errors import ToolError
from llmasos.sandbox import FileInfo, Sandbox
from llmasos.tools._errand import Item

_MOST_FILES = 100_000
_MOST_BYTES = 4 << 30
_PIECE = 1_000_000


class Staging:
    """Copies files out of a view.

    Args:
        sandbox: Where the view is read.
        folder: Where copies lie, under numbers.
        tell: Told of each file.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, tell: Callable[[int], None]) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._tell = tell
        self._places: dict[str, Path] = {}
        self._bytes = 0

    async def add(self, named: Sequence[str]) -> list[str]:
        """Copy what is named, and return the paths of all its files, each once.

        Args:
            named: Files, folders with all that is below them, or globs.

        Raises:
            ToolError: Something is not there, or it is too much.
        """
        found = await found_files(self._sandbox, named)
        for info in found:
            await self._copy(info)
        return [info.path for info in found]

    def items(self, paths: Sequence[str]) -> Iterator[Item]:
        """Yield the items of paths that were copied, reading each file as it is needed."""
        for path in paths:
            yield Item(path, self.content(path))

    def content(self, path: str) -> bytes:
        """Return what a file held that was copied."""
        return self._places[path].read_bytes()

    async def _copy(self, info: FileInfo) -> None:
        if info.path in self._places:
            return
        self._bytes += info.size
        if self._bytes > _MOST_BYTES or len(self._places) >= _MOST_FILES:
            raise _too_much()
        place = self._folder / str(len(self._places))
        with place.open("xb") as copy:
            while True:
                piece = await self._sandbox.read(info.path, offset=copy.tell(), limit=_PIECE)
                copy.write(piece.data)
                # A file that grows meanwhile is not followed.
                if not piece.data or copy.tell() >= min(piece.size, info.size):
                    break
        self._places[info.path] = place
        self._tell(len(self._places))


async def found_files(sandbox: Sandbox, named: Sequence[str]) -> list[FileInfo]:
    """Return the files of a view that are named, each once.

    Args:
        sandbox: Where the view is read.
        named: Files, folders with all that is below them, or globs.

    Raises:
        ToolError: Something is not there, or it is too much.
    """
    found: dict[str, FileInfo] = {}
    for name in named:
        for info in await _files(sandbox, name):
            found.setdefault(info.path, info)
    return list(found.values())


async def is_there(sandbox: Sandbox, path: str) -> bool:
    """Return whether a view has a file or a folder of that name."""
    try:
        await sandbox.stat(path)
    except ToolError:
        return False
    return True


async def _files(sandbox: Sandbox, name: str) -> list[FileInfo]:
    glob = any(char in name for char in "*?[")
    try:
        info = await sandbox.stat(name)
    except ToolError:
        if not glob:
            raise
    else:
        # Names may hold what globs do.
        glob = False
        if info.kind == "file":
            return [info]
    pattern, path = (name, ".") if glob else ("*", name)
    depth = 1 if glob and "/" not in name else None
    listing = await sandbox.list(path, pattern=pattern, depth=depth, limit=_MOST_FILES)
    files = sorted((one for one in listing.entries if one.kind == "file"), key=lambda one: one.path)
    if not files:
        raise ToolError(f"No file matches {display(name)}.", hint="See what is there: list_files.")
    if listing.omitted:
        raise _too_much()
    return files


def _too_much() -> ToolError:
    return ToolError(
        f"These are more than {_MOST_FILES:,} files or {_MOST_BYTES >> 30} GiB.",
        hint="Run it over a part of them at a time.",
    )
