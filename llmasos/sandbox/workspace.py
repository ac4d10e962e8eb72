"""A folder and the copy-on-write view of it: diff, commit, discard, undo."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from pydantic import BaseModel

from llmasos.errors import WorkspaceError
from llmasos.events import FileChange, display
from llmasos.sandbox._diff import describe
from llmasos.sandbox._folder import changed_since, disk_error, files, outline, usable
from llmasos.sandbox._journal import Journal, Manifest, Node, Step, node, put, stamp, sync
from llmasos.sandbox._overlay import Change, is_opaque, read_changes
from llmasos.sandbox.port import OWNER_SHIFT, View

_MOST_FILES = 200
_WATCHED = 20_000


class Commit(BaseModel, frozen=True):
    """Changes that were written to the folder, or taken back from it."""

    id: str
    paths: tuple[str, ...]


class Workspace:
    """One folder of a person, and the state of a session's view of it.

    Args:
        folder: The person's folder.
        state: Where the view and the journal lie; never inside the folder.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self._state = state
        self._upper = state / "upper"
        self._work = state / "work"
        self._born = state / "born"
        self._seen = state / "seen"
        self._journal = Journal(state / "commits")
        self._mapped = os.geteuid() == 0

    @classmethod
    def open(cls, folder: Path, state: Path) -> Workspace:
        """Open a folder, finishing what a crash interrupted.

        Raises:
            WorkspaceError: The folder is not there, is not one, or cannot be used.
        """
        folder = usable(folder, state)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace = cls(folder, state)
        workspace._recover()
        if not workspace._upper.exists():
            workspace._fresh_view()
        return workspace

    @staticmethod
    def needs_recovery(state: Path) -> bool:
        """Tell whether a crash interrupted a commit or an undo."""
        return (state / "commits").is_dir() and Journal(state / "commits").interrupted() is not None

    def view(self) -> View:
        """Return the view for mounting; from now on it shows the folder as it is now."""
        if not any(self._upper.iterdir()):
            self._fresh_view()
        # The overlay leaves a folder that its own owner may not look into, but may remove.
        for left in ("work/work", "work/index", "work"):
            with contextlib.suppress(OSError):
                (self._state / left).rmdir()
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(mode=0o700)
        self._seen.touch()
        return View(
            kind="overlay",
            lower=self.folder,
            upper=self._upper,
            work=self._work,
            hidden=None,
            mapped=self._mapped,
        )

    async def changed_outside(self) -> bool:
        """Tell whether the folder was changed by others since the view was mounted."""
        return await anyio.to_thread.run_sync(self._changed_outside)

    async def changes(self) -> list[Change]:
        """Return what the view changes."""
        return await anyio.to_thread.run_sync(read_changes, self.folder, self._upper)

    async def changed(self) -> frozenset[tuple[str, int]]:
        """Return the paths that the view changes, each with the time of its last change in ns."""

        def look() -> frozenset[tuple[str, int]]:
            changes = read_changes(self.folder, self._upper)
            return frozenset((change.name, self._changed_at(change)) for change in changes)

        return await anyio.to_thread.run_sync(look)

    async def outline(self) -> str:
        """Return in a few lines which files the view shows."""

        def look() -> str:
            found = {os.fsdecode(path) for path in files(os.fsencode(self.folder), _WATCHED)}
            for change in read_changes(self.folder, self._upper):
                if change.kind == "deleted":
                    found.discard(change.name)
                elif not (self._upper / change.name).is_dir():
                    found.add(change.name)
            return outline(sorted(found, key=lambda name: (name.count("/"), name)))

        return await anyio.to_thread.run_sync(look)

    async def diff(self, *, most_files: int = _MOST_FILES) -> tuple[list[FileChange], int]:
        """Return the changes with their diffs, and how many more there are."""

        def work() -> tuple[list[FileChange], int]:
            changes = read_changes(self.folder, self._upper)
            shown = [describe(change, self.folder, self._upper) for change in changes[:most_files]]
            return shown, len(changes) - len(shown)

        return await anyio.to_thread.run_sync(work)

    async def commit(self, paths: Sequence[str] | None = None) -> Commit:
        """Write changes to the folder; no sandbox may be open on the view.

        Raises:
            WorkspaceError: Nothing changed, a path is no change, or the folder changed underneath.
        """
        return await anyio.to_thread.run_sync(self._commit, paths)

    async def discard(self, paths: Sequence[str] | None = None) -> None:
        """Drop changes from the view; no sandbox may be open on it."""
        await anyio.to_thread.run_sync(self._discard, paths)

    async def undo(self) -> Commit:
        """Take the newest commit back.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        return await anyio.to_thread.run_sync(self._undo)

    def history(self) -> list[Commit]:
        """Return the commits that are in force, oldest first."""
        return [
            Commit(id=manifest.id, paths=tuple(step.path for step in manifest.steps))
            for manifest in self._journal.manifests()
            if manifest.state == "applied"
        ]

    def _commit(self, paths: Sequence[str] | None) -> Commit:
        chosen = self._chosen(paths)
        if not chosen:
            raise WorkspaceError("There is nothing to commit.", hint="/diff shows what would change.")
        for change in chosen:
            self._refuse_changed_underneath(change)
        place = self._journal.begin()
        steps = []
        try:
            for number, change in enumerate(chosen):
                steps.append(self._step(change, place, number))
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise disk_error(error) from error
        except WorkspaceError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        manifest = Manifest(id=place.name, state="applying", steps=tuple(steps))
        self._journal.write(manifest)
        manifest = self._apply(manifest)
        self._settle([step.path for step in manifest.steps])
        return Commit(id=manifest.id, paths=tuple(dict.fromkeys(step.path for step in manifest.steps)))

    def _step(self, change: Change, place: Path, number: int) -> Step:
        def keep(path: Path) -> str:
            copy = place / "before" / str(number)
            shutil.copyfile(path, copy)
            sync(copy)
            return copy.name

        before = (
            Node(kind="none", stamp="none")
            if change.kind == "added"
            else node(self.folder / change.name, keep)
        )
        after = (
            Node(kind="none", stamp="none") if change.kind == "deleted" else node(self._upper / change.name)
        )
        if self._mapped and after.kind != "none":
            owner = (max(after.owner[0] - OWNER_SHIFT, 0), max(after.owner[1] - OWNER_SHIFT, 0))
            after = after.model_copy(update={"owner": owner})
        return Step(path=change.name, before=before, after=after)

    def _apply(self, manifest: Manifest) -> Manifest:
        """Carry out a commit's steps: deletions from the deepest path up, then the rest from the top down."""
        gone = [step for step in manifest.steps if step.after.kind == "none"]
        come = [step for step in manifest.steps if step.after.kind != "none"]
        try:
            for step in sorted(gone, key=lambda step: step.path, reverse=True):
                self._put(step.path, step.after, None)
            for step in sorted(come, key=lambda step: step.path):
                self._put(step.path, step.after, self._upper / step.path)
        except OSError as error:
            raise disk_error(error) from error
        done = tuple(self._stamped(step) for step in manifest.steps)
        finished = manifest.model_copy(update={"state": "applied", "steps": done})
        self._journal.write(finished)
        return finished

    def _stamped(self, step: Step) -> Step:
        seen = step.after.model_copy(update={"stamp": stamp(self.folder / step.path)})
        return step.model_copy(update={"after": seen})

    def _put(self, path: str, wanted: Node, content: Path | None) -> None:
        target = self.folder / path
        if wanted.kind == "none" and stamp(target) == "none":
            return
        if wanted.kind == "file" and content is not None and not content.is_file():
            return  # A step that an earlier try has finished.
        if wanted.kind == "none" and stamp(target) == "folder" and any(target.iterdir()):
            return  # Somebody put something there; it is not ours to delete.
        put(target, wanted, content)
        sync(target.parent)

    def _undo(self) -> Commit:
        manifest = next((one for one in reversed(self._journal.manifests()) if one.state == "applied"), None)
        if manifest is None:
            raise WorkspaceError("There is nothing to undo in this session.")
        for step in manifest.steps:
            if stamp(self.folder / step.path) != step.after.stamp:
                raise WorkspaceError(
                    f"{display(step.path)} has changed since the commit; undoing would lose that change.",
                    hint="Put it back as it was committed, or edit it by hand.",
                )
        manifest = manifest.model_copy(update={"state": "undoing"})
        self._journal.write(manifest)
        return self._unapply(manifest)

    def _unapply(self, manifest: Manifest) -> Commit:
        gone = [step for step in manifest.steps if step.before.kind == "none"]
        come = [step for step in manifest.steps if step.before.kind != "none"]
        kept = {step.path for step in come}
        try:
            for step in sorted(gone, key=lambda step: step.path, reverse=True):
                if step.path not in kept:
                    self._put(step.path, step.before, None)
            for step in sorted(come, key=lambda step: step.path):
                self._put(step.path, step.before, self._journal.blob(manifest.id, step.before.blob))
        except OSError as error:
            raise disk_error(error) from error
        self._journal.write(manifest.model_copy(update={"state": "undone"}))
        return Commit(id=manifest.id, paths=tuple(dict.fromkeys(step.path for step in manifest.steps)))

    def _recover(self) -> None:
        manifest = self._journal.interrupted()
        if manifest is None:
            return
        if manifest.state == "applying":
            self._apply(manifest)
            self._settle([step.path for step in manifest.steps])
        else:
            self._unapply(manifest)

    def _discard(self, paths: Sequence[str] | None) -> None:
        if paths is None:
            self._fresh_view()
            return
        for change in reversed(self._chosen(paths)):
            if change.kind == "deleted" and self._hidden(change.name):
                raise WorkspaceError(
                    f"{display(change.name)} went with its whole folder.", hint="Discard all changes instead."
                )
            self._remove(self._upper / change.name)
        if not read_changes(self.folder, self._upper):
            self._fresh_view()

    def _settle(self, paths: Sequence[str]) -> None:
        """Take committed paths out of the view; without any change left, the view is fresh."""
        if not read_changes(self.folder, self._upper):
            self._fresh_view()
            return
        for path in sorted(paths, reverse=True):
            # Below a folder that hides the person's, taking a file out would make it seem deleted.
            if not self._hidden(path):
                self._remove(self._upper / path)

    def _hidden(self, path: str) -> bool:
        above = os.fsencode(path)
        while above := os.path.dirname(above):
            if is_opaque(os.path.join(os.fsencode(self._upper), above)):
                return True
        return False

    def _remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def _chosen(self, paths: Sequence[str] | None) -> list[Change]:
        changes = read_changes(self.folder, self._upper)
        if paths is None:
            return changes
        wanted = {os.path.normpath(path) for path in paths}
        missing = wanted - {change.name for change in changes}
        if missing:
            raise WorkspaceError(
                f"{display(sorted(missing)[0])} is not among the changes.", hint="/diff lists them."
            )
        # A new file needs the new folders above it.
        above = {os.path.dirname(path) for path in wanted}
        return [
            change
            for change in changes
            if change.name in wanted
            or (change.kind == "added" and any(f"{path}/".startswith(f"{change.name}/") for path in above))
        ]

    def _changed_at(self, change: Change) -> int:
        try:
            return (self._upper / change.name).lstat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def _fresh_view(self) -> None:
        """Make an empty upper folder that looks like the person's folder."""
        shutil.rmtree(self._upper, ignore_errors=True)
        self._upper.mkdir(mode=0o700, exist_ok=True)
        info = self.folder.stat()
        if self._mapped:
            os.chown(self._upper, info.st_uid + OWNER_SHIFT, info.st_gid + OWNER_SHIFT)
        self._upper.chmod(stat.S_IMODE(info.st_mode) | 0o700)
        self._born.unlink(missing_ok=True)
        self._born.touch()

    def _refuse_changed_underneath(self, change: Change) -> None:
        """Refuse to overwrite what somebody changed after the view was made."""
        try:
            info = (self.folder / change.name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        if not stat.S_ISDIR(info.st_mode) and info.st_ctime_ns > self._born.stat().st_ctime_ns:
            raise WorkspaceError(
                f"{display(change.name)} was changed in the folder since the agent saw it.",
                hint=f"Drop the agent's version with /discard {display(change.name)}, or put yours aside.",
            )

    def _changed_outside(self) -> bool:
        return changed_since(self.folder, self._seen.stat().st_ctime_ns, _WATCHED)
