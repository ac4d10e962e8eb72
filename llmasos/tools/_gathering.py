"""Bringing data out of a session's view into the folder of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from llmasos.datasets import TABLES, parted
from llmasos.display import display
from llmasos.errors import ToolError
from llmasos.federated.joined import is_joined
from llmasos.federated.request import is_builtin
from llmasos.federated.runs import COPIES
from llmasos.sandbox import FileInfo, Sandbox

_MOST_BYTES = 2 << 30
_MOST_FILES = 20_000
_PIECE = 1_000_000

Tell = Callable[[str, float, float, str], None]


class Gathering:
    """Copies files of a view, so that a training sees them as they were when it was asked for.

    Args:
        sandbox: Where the view is read.
        folder: The training's folder; copies go to a folder in it.
        tell: Told how far it has come.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, tell: Tell) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._tell = tell
        self._bytes = self._files = 0

    async def sources(self, data: Sequence[str]) -> list[str]:
        """Return what a plan names, from the training's folder on, for what somebody named in the view.

        Args:
            data: Files, folders, globs, names of built-in data sets, or machines that joined a federation.

        Raises:
            ToolError: Something is not there, or it is too much.
        """
        found: list[str] = []
        for named in data:
            found += await self._found(named.strip())
        return list(dict.fromkeys(found))

    async def _found(self, named: str) -> list[str]:
        if is_joined(named):
            return [named]
        path, size = parted(named)
        try:
            info = await self._sandbox.stat(path)
        except ToolError:
            if any(char in named for char in "*?["):
                matches = await self._matching(named)
                if not matches:
                    raise ToolError(
                        f"No file matches {display(named)}.", hint="See what is there: list_files."
                    ) from None
                return [place for info in matches for place in await self._brought(info)]
            if is_builtin(named):
                return [named]
            raise ToolError(
                f"There is no data set {display(named)}.",
                hint="Name files, folders or globs of the folder, or a built-in data set such as digits.",
            ) from None
        return [f"{place}{size}" for place in await self._brought(info)]

    async def _brought(self, info: FileInfo) -> list[str]:
        """Copy a file or folder; a folder that holds only tables stands for each of them."""
        if info.kind != "folder":
            return [await self._copied(info)]
        entries = await self._sandbox.scan(info.path)
        tables = [one for one in entries if one.kind == "file" and one.path.lower().endswith(TABLES)]
        if tables and not any(one.kind == "folder" for one in entries):
            return [await self._copied(one) for one in sorted(tables, key=lambda one: one.path)]
        await self._copy_folder(info.path)
        return [self._place(info.path)]

    async def _matching(self, pattern: str) -> list[FileInfo]:
        """Return what a glob matches, as in a shell: `*` stays in its folder, and only `**` goes below it."""
        *above, last = PurePosixPath(pattern).parts
        folders = ["."]
        for part in above:
            folders = [one for folder in folders for one in await self._folders(folder, part)]
        entries = [info for folder in folders for info in await self._sandbox.scan(folder)]
        found = {info.path: info for info in entries if _matches(info, last)}
        # What goes below every folder means the files in them.
        return [found[path] for path in sorted(found) if "**" not in above or found[path].kind == "file"]

    async def _folders(self, folder: str, part: str) -> list[str]:
        """Return the folders that a part of a glob leads to from a folder."""
        if part == "**":
            below = await self._sandbox.list(folder, limit=_MOST_FILES)
            if below.omitted:
                raise ToolError(
                    f"There are more than {_MOST_FILES:,} files in {display(folder)}.",
                    hint="Name a folder, or use a glob without **.",
                )
            return [folder, *(info.path for info in below.entries if info.kind == "folder")]
        if any(char in part for char in "*?["):
            entries = await self._sandbox.scan(folder)
            return [info.path for info in entries if info.kind == "folder" and _matches(info, part)]
        path = str(PurePosixPath(folder, part))
        try:
            return [path] if (await self._sandbox.stat(path)).kind == "folder" else []
        except ToolError:
            return []

    async def _copy_folder(self, path: str) -> None:
        for info in await self._sandbox.scan(path):
            if info.kind == "folder":
                await self._copy_folder(info.path)
            elif info.kind == "file":
                await self._copied(info)

    async def _copied(self, info: FileInfo) -> str:
        """Copy a file and return where its copy lies."""
        place = self._place(info.path)
        target = self._folder / place
        if target.exists():
            return place
        self._files += 1
        self._bytes += info.size
        if self._bytes > _MOST_BYTES or self._files > _MOST_FILES:
            raise ToolError(
                f"The data has more than {_MOST_FILES:,} files or {_MOST_BYTES >> 30} GiB.",
                hint="Train over it from a terminal, where nothing is copied: llmasos federated run.",
            )
        self._tell("Reading the data", self._files, 0, "files")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as copy:
            while True:
                piece = await self._sandbox.read(info.path, offset=copy.tell(), limit=_PIECE)
                copy.write(piece.data)
                # A file that grows meanwhile is not followed.
                if not piece.data or copy.tell() >= min(piece.size, info.size):
                    return place

    def _place(self, path: str) -> str:
        """Return where a path's copy lies, from the training's folder on; never outside the copies."""
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        place = "/".join([COPIES, *parts])
        try:
            place.encode()
        except UnicodeEncodeError:
            raise ToolError(f"The name {display(path)} is not UTF-8.", hint="Rename it.") from None
        return place


def _matches(info: FileInfo, part: str) -> bool:
    """Return whether a name matches a part of a glob, which means hidden files only where it says so."""
    name = PurePosixPath(info.path).name
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
