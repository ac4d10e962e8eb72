"""A folder and a session's view of it: diff, commit, discard, undo and redo."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import anyio.to_thread

from llmasos.events import FileChange
from llmasos.sandbox.port import OWNER_SHIFT, View, ViewKind
from llmasos.sandbox.workspace.bases import Bases
from llmasos.sandbox.workspace.changes import Change
from llmasos.sandbox.workspace.commits import Commit, Commits
from llmasos.sandbox.workspace.conflicts import Merged
from llmasos.sandbox.workspace.diff import Summary, describe, summarise
from llmasos.sandbox.workspace.edits import Edits
from llmasos.sandbox.workspace.folder import files, locked, usable
from llmasos.sandbox.workspace.hunks import Hunk, Selection, read_hunks
from llmasos.sandbox.workspace.journal import is_interrupted
from llmasos.sandbox.workspace.secrets import Secrets
from llmasos.sandbox.workspace.tree import Tree
from llmasos.sandbox.workspace.triggers import may_run
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
        self._state = state
        self._secrets = secrets
        self._in_place = in_place
        self._patience = patience
        lower, shift = str(folder), OWNER_SHIFT if os.geteuid() == 0 else 0
        self._views = Views(lower, str(state), secrets, shift)
        bases = Bases(lower, self._views.place)
        self._commits = Commits(lower, state / "commits", self._views, bases, shift)
        self._edits = Edits(lower, self._views, bases, self._commits)

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
        wanted: ViewKind = "in-place" if self._in_place else kind

        def show() -> View:
            return self._views.show(wanted, {change.path for change in self._edits.changes()})

        return await self._work(show)

    async def changed_outside(self) -> bool:
        """Tell whether the view has to be mounted again, because others changed the folder.

        An overlay shows new contents of the folder's files by itself, but not always that names came or went.
        """
        return await self._work(self._views.changed_outside)

    async def changes(self) -> list[Change]:
        """Return what the view changes."""
        return await self._work(self._edits.changes, renames=True)

    async def changed(self) -> frozenset[tuple[str, int]]:
        """Return the paths that the view changes, each with the time of its last change in ns."""

        def look() -> frozenset[tuple[str, int]]:
            return frozenset(
                (change.path, self._edits.changed_at(change)) for change in self._edits.changes()
            )

        return await self._work(look)

    async def names(self) -> list[str]:
        """Return the paths of the first files that the view shows, those nearest to the top first."""

        def look() -> list[str]:
            found = set(files(str(self.folder), self._secrets, _OUTLINED))
            layer = self._views.layer()
            for change in self._edits.changes():
                if change.kind == "deleted":
                    found.discard(change.path)
                elif layer is not None and not os.path.isdir(os.path.join(layer.upper, change.path)):
                    found.add(change.path)
            return sorted(found, key=lambda name: (name.count("/"), name))

        return await self._work(look)

    async def diff(self, *, most_files: int = _MOST_FILES) -> tuple[list[FileChange], int]:
        """Return the changes with their diffs, and how many more there are."""

        def work() -> tuple[list[FileChange], int]:
            changes = self._edits.changes(renames=True)
            first = changes[:most_files]
            if len(changes) > len(first):
                # What runs by itself must not be among what is left out.
                first = sorted(changes, key=lambda change: not may_run(change.path))[:most_files]
                first.sort(key=lambda change: change.path)
            shown = [describe(change, str(self.folder), self._edits.upper) for change in first]
            return shown, len(changes) - len(shown)

        return await self._work(work)

    async def summary(self) -> Summary:
        """Return the changes in numbers."""

        def work() -> Summary:
            changes = self._edits.changes(renames=True)
            return summarise(changes, str(self.folder), self._edits.upper) if changes else Summary()

        return await self._work(work)

    async def hunks(self, path: str) -> list[Hunk]:
        """Return the pieces of a text's change, numbered as the diff shows them.

        Raises:
            WorkspaceError: The path is no change, or is no text.
        """
        return await self._work(lambda: read_hunks(*self._edits.texts(path)))

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
        return await self._work(self._edits.commit, selection, merge=merge)

    async def discard(self, selection: Sequence[str | Selection] | None = None) -> None:
        """Drop changes from the view; no sandbox may be open on it.

        Raises:
            WorkspaceError: A path is no change.
        """
        await self._work(self._edits.discard, selection)

    async def copy_view(self, state: Path) -> None:
        """Give another session on the folder this view; no sandbox may be open on it.

        Args:
            state: The other session's state, which has no view yet.

        Raises:
            WorkspaceError: It cannot be copied.
        """

        def copy() -> None:
            # Looking for the changes keeps what they started from, which goes along.
            self._views.copy(str(state), {change.path for change in self._edits.changes()})

        return await self._work(copy)

    def secret_files(self) -> list[Path]:
        """Return what is hidden in the folder or would be if it were not granted, folders for all in them."""
        hidden, _ = self._secrets.rules
        tree = Tree(str(self.folder), str(self._state / "secrets.json"), Secrets(hidden))
        return [self.folder / path for path in tree.hidden()]

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
        return await self._work(self._edits.merged, path)

    async def resolve(self, path: str, text: str) -> None:
        """Make a text the view's version of a path, as one that has taken in what the folder has now.

        Raises:
            WorkspaceError: The path is no change.
        """
        await self._work(self._edits.resolve, path, text)

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
