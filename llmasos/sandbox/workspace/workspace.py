"""A folder and a session's view of it: diff, commit, discard, undo and redo."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import anyio.to_thread

from llmasos.errors import ConflictError, WorkspaceError
from llmasos.events import FileChange, display
from llmasos.sandbox.port import OWNER_SHIFT, View, ViewKind
from llmasos.sandbox.workspace.bases import Bases
from llmasos.sandbox.workspace.changes import Change, Layer
from llmasos.sandbox.workspace.choice import Choice, choose
from llmasos.sandbox.workspace.commits import Commit, Commits
from llmasos.sandbox.workspace.conflicts import Merged, in_conflict, merge_change
from llmasos.sandbox.workspace.diff import Summary, describe, sides, summarise, texts
from llmasos.sandbox.workspace.files import lstat, mark, remove
from llmasos.sandbox.workspace.folder import changed_since, files, locked, outline, usable
from llmasos.sandbox.workspace.hunks import Hunk, Selection, mix, read_hunks
from llmasos.sandbox.workspace.journal import is_interrupted
from llmasos.sandbox.workspace.renames import with_renames
from llmasos.sandbox.workspace.secrets import Secrets, hiding_layer
from llmasos.sandbox.workspace.tree import Tree
from llmasos.sandbox.workspace.views import Views, needs_finishing

_PATIENCE = 10.0
_MOST_FILES = 200
_OUTLINED = 20_000
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Workspace:
    """One folder of a person, and the state of a session's view of it.

    Args:
        folder: The person's folder.
        state: Where the view and the journal lie; never inside the folder.
        secrets: What the view does not show.
        in_place: Whether the session works on the folder itself.
        patience: Seconds to wait for others who have locked the folder.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        secrets: Secrets,
        *,
        in_place: bool = False,
        patience: float = _PATIENCE,
    ) -> None:
        self.folder = folder
        self._lower = str(folder)
        self._state = state
        self._secrets = secrets
        self._in_place = in_place
        self._patience = patience
        self._mapped = os.geteuid() == 0
        self._shift = OWNER_SHIFT if self._mapped else 0
        self._views = Views(self._lower, str(state), secrets, self._shift)
        self._bases = Bases(self._lower, self._views.place)
        self._commits = Commits(self._lower, state / "commits", self._views, self._bases, self._shift)
        self._tree = Tree(self._lower, str(state / "folders.json"), secrets)

    @classmethod
    def open(
        cls,
        folder: Path,
        state: Path,
        *,
        hidden: Sequence[str] = (),
        granted: Sequence[str] = (),
        in_place: bool = False,
        patience: float = _PATIENCE,
    ) -> Workspace:
        """Open a folder, finishing what a crash interrupted.

        Args:
            folder: The person's folder.
            state: Where the session's state lies.
            hidden: Globs of files that the view does not show, on a name or, with a slash, on a path's end.
            granted: Globs of those that it does show.
            in_place: Work on the folder itself; then nothing is hidden, and nothing is left to commit.
            patience: Seconds that every action waits for others who have locked the folder.

        Raises:
            WorkspaceError: The folder is not there, is not one, cannot be used, or stays locked by others;
                every action raises the latter.
        """
        folder = usable(folder, state)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace = cls(folder, state, Secrets(hidden, granted), in_place=in_place, patience=patience)
        with workspace._held():
            pass
        return workspace

    @staticmethod
    def needs_recovery(state: Path) -> bool:
        """Tell whether a crash interrupted a commit, an undo, a redo or a discard."""
        return is_interrupted(state / "commits") or needs_finishing(str(state))

    async def view(self, kind: ViewKind = "overlay") -> View:
        """Return the view for mounting; from now on it shows the folder as it is now.

        Raises:
            WorkspaceError: The session's view of another kind still has changes.
        """
        return await self._work(self._view, "in-place" if self._in_place else kind)

    async def changed_outside(self) -> bool:
        """Tell whether the view has to be mounted again, because others changed the folder.

        An overlay shows new contents of the folder's files by itself, but not always that names came or went.
        """
        return await self._work(self._changed_outside)

    async def changes(self) -> list[Change]:
        """Return what the view changes."""
        return await self._work(lambda: self._changes(renames=True))

    async def changed(self) -> frozenset[tuple[str, int]]:
        """Return the paths that the view changes, each with the time of its last change in ns."""

        def look() -> frozenset[tuple[str, int]]:
            return frozenset((change.path, self._changed_at(change)) for change in self._changes())

        return await self._work(look)

    async def outline(self) -> str:
        """Return in a few lines which files the view shows."""

        def look() -> str:
            found = set(files(self._lower, self._secrets, _OUTLINED))
            layer = self._views.layer()
            for change in self._changes():
                if change.kind == "deleted":
                    found.discard(change.path)
                elif layer is not None and not os.path.isdir(os.path.join(layer.upper, change.path)):
                    found.add(change.path)
            return outline(sorted(found, key=lambda name: (name.count("/"), name)))

        return await self._work(look)

    async def diff(self, *, most_files: int = _MOST_FILES) -> tuple[list[FileChange], int]:
        """Return the changes with their diffs, and how many more there are."""

        def work() -> tuple[list[FileChange], int]:
            changes = self._changes(renames=True)
            shown = [describe(change, self._lower, self._upper()) for change in changes[:most_files]]
            return shown, len(changes) - len(shown)

        return await self._work(work)

    async def summary(self) -> Summary:
        """Return the changes in numbers."""

        def work() -> Summary:
            changes = self._changes(renames=True)
            return summarise(changes, self._lower, self._upper()) if changes else Summary()

        return await self._work(work)

    async def hunks(self, path: str) -> list[Hunk]:
        """Return the pieces of a text's change, numbered as the diff shows them.

        Raises:
            WorkspaceError: The path is no change, or is no text.
        """
        return await self._work(lambda: read_hunks(*self._texts(path)))

    async def commit(
        self, selection: Sequence[str | Selection] | None = None, *, merge: bool = False
    ) -> Commit:
        """Write changes to the folder; no sandbox may be open on the view.

        What can not be written is left when all is committed, and refused when it is named.

        Args:
            selection: What to commit; everything by default.
            merge: Merge texts that were also changed in the folder.

        Raises:
            ConflictError: Files changed underneath, and were not or could not be merged.
            WorkspaceError: Nothing changed, a path is no change, or the folder cannot be written.
        """
        return await self._work(self._commit, selection, merge)

    async def discard(self, selection: Sequence[str | Selection] | None = None) -> None:
        """Drop changes from the view; no sandbox may be open on it.

        Raises:
            WorkspaceError: A path is no change.
        """
        await self._work(self._discard, selection)

    def granting(self, granted: Sequence[str]) -> Workspace:
        """Return the same workspace with other hidden files shown; no sandbox may be open on the view.

        Args:
            granted: Globs of them.
        """
        hidden, _ = self._secrets.rules
        return Workspace.open(
            self.folder,
            self._state,
            hidden=hidden,
            granted=granted,
            in_place=self._in_place,
            patience=self._patience,
        )

    async def merged(self, path: str) -> Merged:
        """Return a text that both changed, merged, with markers where they disagree.

        Raises:
            WorkspaceError: It cannot be merged.
        """

        def work() -> Merged:
            return merge_change(self._one(path), self._lower, self._upper(), self._bases)

        return await self._work(work)

    async def resolve(self, path: str, text: str) -> None:
        """Make a text the view's version of a path, as one that has taken in what the folder has now.

        Raises:
            WorkspaceError: The path is no change.
        """
        await self._work(self._resolve, path, text)

    async def undo(self, commit: str | None = None) -> Commit:
        """Take a commit back, by default the newest in force.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        return await self._work(self._commits.turn, commit, forward=False)

    async def redo(self, commit: str | None = None) -> Commit:
        """Make a commit again that was taken back, by default the one taken back last.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        return await self._work(self._commits.turn, commit, forward=True)

    def history(self) -> list[Commit]:
        """Return every commit, oldest first, whether in force or taken back."""
        return self._commits.history()

    async def _work(self, what: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        def held() -> _R:
            with self._held():
                return what(*args, **kwargs)

        return await anyio.to_thread.run_sync(held)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other sessions from changing the folder meanwhile, and finish what was interrupted."""
        with locked(self.folder, self._patience):
            self._views.tidy()
            # First what was begun last: a commit drops changes from the view once the folder is done.
            self._views.finish()
            self._commits.recover()
            yield

    def _view(self, kind: ViewKind) -> View:
        present = self._views.kind()
        changed = {change.path for change in self._changes()}
        if present is not None and present != kind and changed:
            raise WorkspaceError(
                f"The session still has changes in a view of the kind {present}.",
                hint="Commit or discard them first; /diff shows them.",
            )
        layer = self._views.layer()
        if layer is None or present != kind or (kind == "overlay" and not changed):
            self._views.make(kind)
        else:
            layer.refresh(changed)
        if kind == "in-place":
            return View(kind, self.folder, self.folder, self._state / "work", None, mapped=self._mapped)
        hides = False
        if kind == "overlay":
            hides = hiding_layer(self._lower, str(self._state / "hidden"), self._tree.hidden(), self._shift)
        remove(str(self._state / "work"))
        (self._state / "work").mkdir(mode=0o700)
        mark(str(self._state / "seen"))
        return View(
            kind,
            self.folder,
            Path(self._upper()),
            self._state / "work",
            self._state / "hidden" if hides else None,
            mapped=self._mapped,
        )

    def _changed_outside(self) -> bool:
        kind = self._views.kind()
        if kind is None or kind == "in-place":
            return False
        moment = (self._state / "seen").stat().st_ctime_ns
        if kind == "snapshot":
            return changed_since(self.folder, moment)
        return self._tree.changed_since(moment)

    def _upper(self) -> str:
        layer = self._views.layer()
        return self._lower if layer is None else layer.upper

    def _changes(self, *, renames: bool = False) -> list[Change]:
        layer = self._views.layer()
        if layer is None:
            return []
        changes = layer.changes()
        self._bases.keep(changes, layer)
        return with_renames(changes, self._lower, layer.upper) if renames else changes

    def _changed_at(self, change: Change) -> int:
        info = lstat(self._upper(), change.path)
        return 0 if info is None else info.st_mtime_ns

    def _own_layer(self) -> Layer:
        layer = self._views.layer()
        if layer is None and self._views.kind() == "in-place":
            raise WorkspaceError(
                "This session works on the folder itself: what it writes is there already.",
                hint="Start a session without --in-place to see changes before they are made.",
            )
        if layer is None:
            raise WorkspaceError("There is nothing to commit.", hint="/diff shows what would change.")
        return layer

    def _one(self, path: str) -> Change:
        wanted = os.path.normpath(path)
        for change in self._changes(renames=True):
            if change.path == wanted:
                return change
        raise WorkspaceError(f"{display(path)} is not among the changes.", hint="/diff lists them.")

    def _texts(self, path: str) -> tuple[str, str]:
        both = texts(*sides(self._one(path), self._lower, self._upper()))
        if both is None:
            raise WorkspaceError(f"{display(path)} is no text.", hint="Choose it as a whole.")
        return both

    def _choose(self, selection: Sequence[str | Selection] | None, *, commit: bool) -> Choice:
        return choose(self._changes(), selection, self._lower, self._upper(), commit=commit)

    def _commit(self, selection: Sequence[str | Selection] | None, merging: bool) -> Commit:
        layer = self._own_layer()
        choice = self._choose(selection, commit=True)
        if not choice.changes:
            blocked = "What the view changes can not be committed: /diff says why."
            raise WorkspaceError(
                "There is nothing to commit.",
                hint=blocked if choice.left else "/diff shows what would change.",
            )
        contents = {path: mix(*self._texts(path), set(numbers)) for path, numbers in choice.hunks.items()}
        modes: dict[str, int] = {}
        conflicts = []
        for change in choice.changes:
            if not in_conflict(change, layer, self._bases):
                continue
            merged = None
            if merging and change.path not in choice.hunks:
                with contextlib.suppress(WorkspaceError):
                    merged = merge_change(change, self._lower, layer.upper, self._bases)
            if merged is not None and not merged.clashes:
                contents[change.path], modes[change.path] = merged.text, merged.mode
            else:
                conflicts.append(change.path)
        if conflicts:
            raise ConflictError(tuple(conflicts))
        return self._commits.make(choice, contents, modes, layer.upper)

    def _resolve(self, path: str, text: str) -> None:
        layer = self._own_layer()
        change = self._one(path)
        self._views.rewrite(change.path, text)
        self._bases.forget([change.path])
        layer.accept([change.path])

    def _discard(self, selection: Sequence[str | Selection] | None) -> None:
        layer = self._own_layer()
        if selection is None:
            paths = [change.path for change in layer.changes()]
            self._views.reset(paths)
            self._bases.forget(paths)
            return
        choice = self._choose(selection, commit=False)
        rewritten = {}
        for path, numbers in choice.hunks.items():
            both = self._texts(path)
            kept = {hunk.number for hunk in read_hunks(*both)} - set(numbers)
            rewritten[path] = mix(*both, kept)
        paths = [change.path for change in choice.changes if change.path not in rewritten]
        self._views.drop(paths, rewritten)
        self._bases.forget(paths)
        if not layer.changes():
            self._views.reset([])
