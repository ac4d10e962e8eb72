"""The commits of a workspace: made, taken back and made again, each to its end or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmasos.errors import ConflictError, WorkspaceError, command
from llmasos.events import FileName, display
from llmasos.sandbox.workspace.bases import Bases
from llmasos.sandbox.workspace.choice import Choice
from llmasos.sandbox.workspace.draft import draft
from llmasos.sandbox.workspace.journal import Journal, Manifest
from llmasos.sandbox.workspace.stamps import Stamp
from llmasos.sandbox.workspace.transaction import Transaction, disk_error
from llmasos.sandbox.workspace.views import Views


class Commit(BaseModel, frozen=True):
    """Changes that were written to the folder, or taken back from it.

    Args:
        id: Its name.
        paths: What it changes.
        state: Whether it is in force.
        at: When it was made.
        left: What could not be committed and is still the view's: special files, and what lies over secrets.
    """

    id: str
    paths: tuple[FileName, ...]
    state: Literal["applied", "undone"]
    at: datetime
    left: tuple[FileName, ...] = ()


class Commits:
    """What a session has written to a folder, and the view that follows it.

    Args:
        folder: The person's folder.
        journal: Where the journal lies.
        views: The session's view.
        bases: What the view's changes started from.
        shift: What is added to owners in the view.
    """

    def __init__(self, folder: str, journal: Path, views: Views, bases: Bases, shift: int) -> None:
        self._lower = folder
        self._journal = Journal(journal)
        self._views = views
        self._bases = bases
        self._shift = shift

    def history(self) -> list[Commit]:
        """Return every commit, oldest first, whether in force or taken back."""
        return [_commit(manifest) for manifest in self._journal.manifests()]

    def recover(self) -> None:
        """Bring what a crash interrupted to its end, or back."""
        manifest = self._journal.interrupted()
        if manifest is not None:
            self._carry_out(manifest)

    def make(
        self, choice: Choice, contents: Mapping[str, bytes], modes: Mapping[str, int], upper: str
    ) -> Commit:
        """Write what was chosen to the folder.

        Args:
            choice: The changes.
            contents: What is written in place of the view's.
            modes: Permissions in place of the view's.
            upper: The view's version of the folder.

        Raises:
            ConflictError: A path changed at the last moment.
            WorkspaceError: The folder cannot be written.
        """
        try:
            manifest, expected = draft(
                self._journal, choice, contents, modes, self._lower, upper, self._shift
            )
            self._journal.write(manifest)
        except OSError as error:
            raise disk_error(error) from error
        self._carry_out(manifest, expected)
        return _commit(manifest.to("applied"), choice.left)

    def turn(self, commit: str | None, *, forward: bool) -> Commit:
        """Take a commit back, or make one again that was taken back.

        Args:
            commit: Its name; None stands for the newest in force, or the one taken back last.
            forward: Whether to make it again.

        Raises:
            WorkspaceError: There is none, or its files have changed since.
        """
        manifest = self._find(commit, forward)
        self._transaction(manifest, forward=forward).check()
        manifest = manifest.to("redoing" if forward else "undoing")
        self._journal.write(manifest)
        self._carry_out(manifest)
        return _commit(manifest.to("applied" if forward else "undone"))

    def _find(self, commit: str | None, forward: bool) -> Manifest:
        state = "undone" if forward else "applied"
        word = "redo" if forward else "undo"
        found = [one for one in self._journal.manifests() if commit is None or one.id == commit]
        if commit is not None and not found:
            raise WorkspaceError(
                f"There is no commit {display(commit)}.", hint=f"{command('history')}, lists them."
            )
        able = [one for one in found if one.state == state]
        if not able:
            what = f"The commit {commit} is {found[0].state} already." if commit is not None else ""
            raise WorkspaceError(what or f"There is nothing to {word} in this session.")
        return max(able, key=lambda one: one.moved) if forward else able[-1]

    def _transaction(self, manifest: Manifest, *, forward: bool) -> Transaction:
        return Transaction(self._lower, self._journal.place(manifest.id), manifest, forward=forward)

    def _carry_out(self, manifest: Manifest, expected: dict[str, Stamp] | None = None) -> None:
        """Bring a commit that is on its way to its end, or where that cannot be, back."""
        forward = manifest.state != "undoing"
        try:
            self._transaction(manifest, forward=forward).run(expected)
        except (OSError, ConflictError) as error:
            try:
                self._transaction(manifest, forward=not forward).run()
            except OSError as worse:
                raise disk_error(worse) from worse
            if manifest.state == "applying":
                self._journal.forget(manifest.id)
            else:
                self._journal.write(manifest.to("undone" if forward else "applied"))
            raise (disk_error(error) if isinstance(error, OSError) else error) from error
        if manifest.state == "applying":
            self._settle(manifest)
        else:
            self._take_over(manifest.paths)
        self._journal.write(manifest.to("applied" if forward else "undone"))

    def _settle(self, manifest: Manifest) -> None:
        """Take what was committed out of the view."""
        layer = self._views.layer()
        if layer is None:
            return
        self._views.drop([step.path for step in manifest.steps if not step.rest], {})
        layer.accept([step.path for step in manifest.steps if step.rest])
        self._bases.forget(manifest.paths)
        changes = layer.changes()
        # What the view keeps of a text starts from what was just written, which others may change at once.
        self._bases.keep(changes, layer)
        if not changes:
            self._views.reset([])

    def _take_over(self, paths: Sequence[str]) -> None:
        """Have the view show what was done in the folder, except for what it changes itself."""
        layer = self._views.layer()
        if layer is None:
            return
        own = {change.path for change in layer.changes()}
        if not own:
            self._views.reset([])
        self._views.drop([path for path in paths if path not in own], {})


def _commit(manifest: Manifest, left: tuple[str, ...] = ()) -> Commit:
    return Commit(
        id=manifest.id,
        paths=manifest.paths,
        state="undone" if manifest.state == "undone" else "applied",
        at=manifest.at,
        left=left,
    )
