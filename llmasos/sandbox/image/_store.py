"""The trees of the sandbox in the cache: built once, found by one look-up, never half there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmasos.config import Settings
from llmasos.errors import SandboxError
from llmasos.sandbox.image._pack import Layer, measure
from llmasos.sandbox.image._recipe import recipe_key
from llmasos.sandbox.image._tree import Progress, make_tree

NEEDED_BYTES = 1_500_000_000
_BUILDING = "building-"


@dataclass(frozen=True)
class Tree:
    """A tree in the cache.

    Args:
        path: The tree itself.
        layer: Its digest, and its size as an archive in bytes.
        recipe: What it was made by.
        built: When, in seconds since 1970.
    """

    path: Path
    layer: Layer
    recipe: str
    built: float

    @property
    def folder(self) -> Path:
        """The folder that holds the tree and what is known about it."""
        return self.path.parent

    @property
    def in_use(self) -> bool:
        """Whether a process that we can see has mounted it."""
        name = f"/{self.folder.name}/tree"
        for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
            with contextlib.suppress(OSError):
                if name in mounts.read_text():
                    return True
        return False


class TreeStore:
    """The trees below `cache_dir/sandbox`.

    Args:
        settings: The configuration in force.
        make: Makes a tree in a new folder.
    """

    def __init__(self, settings: Settings, make: Callable[[Path, Progress], None] = make_tree) -> None:
        self._make = make
        self._folder = settings.cache_dir / "sandbox"
        self._link = self._folder / f"recipe-{recipe_key()}"

    def current(self) -> Tree | None:
        """Return the tree of this version's recipe, if it was built."""
        return _read(self._link.resolve()) if self._link.is_symlink() else None

    def all(self) -> list[Tree]:
        """Return every tree, newest first."""
        folders = [path for path in self._folder.glob("*") if path.is_dir() and not path.is_symlink()]
        found = [tree for tree in map(_read, folders) if tree is not None]
        return sorted(found, key=lambda tree: tree.built, reverse=True)

    def build(self, progress: Progress, *, again: bool = False) -> Tree:
        """Return the tree of this version's recipe, which is built when it is not there.

        Args:
            progress: Told what is under way.
            again: Build it even if it is there, with the packages of today.

        Raises:
            SandboxError: It cannot be built.
        """
        with self.lock(progress):
            found = self.current()
            if found is not None and not again:
                return found
            self._sweep()
            free = shutil.disk_usage(self._folder).free
            if free < NEEDED_BYTES:
                raise _no_room(self._folder, free)
            place = Path(tempfile.mkdtemp(dir=self._folder, prefix=_BUILDING))
            try:
                return self._build(place, progress)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise _no_room(self._folder, shutil.disk_usage(self._folder).free) from error
                raise SandboxError(f"The sandbox's tree cannot be built: {error}.") from error
            finally:
                shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Keep other processes from building or removing trees; it is free again when this process ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SandboxError(
                f"The sandbox's trees cannot be kept in {self._folder}: {error.strerror}.",
                hint="Choose another folder with LLMASOS_CACHE_DIR.",
            ) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("Waiting for another process that builds the sandbox")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def clean(self, progress: Progress, *, all_trees: bool = False) -> list[Tree]:
        """Remove the trees that nothing uses, with what interrupted builds left, and return them.

        Args:
            progress: Told what is under way.
            all_trees: Remove the tree of this version's recipe too.
        """
        with self.lock(progress):
            self._sweep()
            current = self.current()
            kept = current.folder if current is not None and not all_trees else None
            removed = [tree for tree in self.all() if tree.folder != kept and not tree.in_use]
            for tree in removed:
                # Renamed first, so that what an interrupted removal leaves is not taken for a tree.
                left = tree.folder.rename(self._folder / f"{_BUILDING}{tree.folder.name}")
                shutil.rmtree(left, ignore_errors=True)
            for link in self._folder.glob("recipe-*"):
                if not link.exists():
                    link.unlink()
            return removed

    def _build(self, place: Path, progress: Progress) -> Tree:
        self._make(place / "tree", progress)
        progress("Taking the tree's digest")
        layer = measure(place / "tree")
        known = {"digest": layer.digest, "size": layer.size, "recipe": recipe_key(), "built": time.time()}
        (place / "tree.json").write_text(json.dumps(known))
        place.chmod(0o755)
        target = self._folder / layer.digest[:16]
        if _read(target) is None:
            place.rename(target)
        new = self._folder / f"{_BUILDING}link"
        new.symlink_to(target.name)
        new.rename(self._link)
        built = _read(target)
        assert built is not None
        return built

    def _sweep(self) -> None:
        for left in self._folder.glob(f"{_BUILDING}*"):
            if left.is_symlink():
                left.unlink()
            else:
                shutil.rmtree(left, ignore_errors=True)


def _read(folder: Path) -> Tree | None:
    try:
        known = json.loads((folder / "tree.json").read_text())
        layer = Layer(known["digest"], known["size"])
        return Tree(folder / "tree", layer, known["recipe"], known["built"])
    except (OSError, ValueError, KeyError):
        return None


def _no_room(folder: Path, free: int) -> SandboxError:
    return SandboxError(
        f"The sandbox cannot be built: {folder} has {free / 1e9:.1f} GB of free space,"
        f" and {NEEDED_BYTES / 1e9:.1f} GB are needed.",
        hint="Free space, run `llmasos sandbox clean`, or choose another folder with LLMASOS_CACHE_DIR.",
    )
