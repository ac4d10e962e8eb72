"""The place of a session's view: made and dropped whole, so that a crash leaves the old or the new one."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from llmasos.errors import WorkspaceError, command
from llmasos.sandbox.port import View, ViewKind
from llmasos.sandbox.workspace.changes import Layer
from llmasos.sandbox.workspace.files import (
    copy_tree,
    mark,
    set_user_xattrs,
    user_xattrs,
    write_like,
    write_whole,
)
from llmasos.sandbox.workspace.folder import changed_since
from llmasos.sandbox.workspace.git_view import find_indexes, returned, shown, shown_again
from llmasos.sandbox.workspace.opening import lstat, open_file
from llmasos.sandbox.workspace.overlay import OverlayLayer
from llmasos.sandbox.workspace.removal import remove
from llmasos.sandbox.workspace.secrets import Secrets, hiding_layer
from llmasos.sandbox.workspace.snapshot import SnapshotLayer
from llmasos.sandbox.workspace.tree import Tree


class Views:
    """The view of one session, of one kind at a time.

    Args:
        folder: The person's folder.
        state: The state of the session.
        secrets: What is not shown.
        shift: What is added to owners.
    """

    def __init__(self, folder: str, state: str, secrets: Secrets, shift: int) -> None:
        self.place = os.path.join(state, "view")
        self._state = state
        self._tree = Tree(folder, os.path.join(state, "folders.json"), secrets)
        self._folder = folder
        self._secrets = secrets
        self._shift = shift
        self._layer: Layer | None = None

    def tidy(self) -> None:
        """Finish the making of a view that a crash interrupted."""
        new = f"{self.place}.new"
        if lstat(self.place) is None and lstat(os.path.join(new, "kind")) is not None:
            os.rename(new, self.place)
        remove(new)
        remove(f"{self.place}.old")

    def kind(self) -> ViewKind | None:
        """Return the kind of the present view; None when none was made yet."""
        try:
            with open(os.path.join(self.place, "kind")) as file:
                kind: ViewKind = json.load(file)
        except FileNotFoundError:
            return None
        return kind

    def layer(self) -> Layer | None:
        """Return where the view's changes are kept; None when it has none of its own."""
        if self._layer is None:
            arguments = (self._folder, self.place, self._secrets, self._shift)
            kind = self.kind()
            if kind == "overlay":
                self._layer = OverlayLayer(*arguments)
            elif kind == "snapshot":
                self._layer = SnapshotLayer(*arguments)
        return self._layer

    def show(self, kind: ViewKind, changed: Set[str]) -> View:
        """Return the view for mounting, made or brought up to what the folder is now.

        Args:
            kind: What it is to be.
            changed: The paths that it changes.

        Raises:
            WorkspaceError: It changes something, and is of another kind; or it cannot be made.
        """
        present = self.kind()
        if present is not None and present != kind and changed:
            raise WorkspaceError(
                f"The session still has changes in a view of the kind {present}.",
                hint=f"Write them ({command('commit')}) or drop them ({command('discard')}) first.",
            )
        layer = self.layer()
        try:
            if layer is None or present != kind or (kind == "overlay" and not changed):
                self.make(kind)
            else:
                layer.refresh(changed)
        except OSError as error:
            raise WorkspaceError(
                f"A view of {self._folder} cannot be made: {error.strerror}.",
                hint="See to that, then try again; a copy needs as much room as the folder takes.",
            ) from error
        mapped = os.geteuid() == 0
        folder, state = Path(self._folder), Path(self._state)
        if kind == "in-place":
            return View(kind, folder, folder, state / "work", None, mapped=mapped)
        hides = self._hide(changed)
        remove(str(state / "work"))
        (state / "work").mkdir(mode=0o700)
        mark(str(state / "seen"))
        upper = Path(self.place) / "upper"
        return View(kind, folder, upper, state / "work", state / "hidden" if hides else None, mapped=mapped)

    def _hide(self, changed: Set[str]) -> bool:
        """Hide what is not shown, from git as well, and return whether there is a layer for it."""
        layer = self.layer()
        assert layer is not None
        hidden = self._tree.hidden()
        indexes = {}
        for path in find_indexes(self._folder, self._tree.folders()):
            if path in changed:
                self._show_again(layer.upper, path, hidden)
                continue
            if layer.kind == "overlay" and lstat(layer.upper, path) is not None:
                # It would go on covering the folder's, and be taken for a change when that one changes.
                layer.drop([path])
            data = shown(self._folder, path, hidden, self._shift)
            if data is None and layer.kind == "snapshot":
                # Earlier, something may have been hidden that is granted now.
                with open_file(self._folder, path) as file:
                    data = file.read()
            if data is not None:
                indexes[path] = data
        if isinstance(layer, SnapshotLayer):
            layer.stand_in(indexes)
            return False
        return hiding_layer(self._folder, os.path.join(self._state, "hidden"), hidden, indexes, self._shift)

    def _show_again(self, upper: str, path: str, hidden: Sequence[str]) -> None:
        """Have an index that the view has changed fit what is hidden now."""
        data = shown_again(self._folder, upper, path, hidden, self._secrets.ungranted().hides)
        info = lstat(upper, path)
        if data is not None and info is not None:
            written = os.path.join(self.place, "rewritten")
            remove(written)
            write_like(written, data, info, 0)
            os.replace(written, os.path.join(upper, path))

    def returned_index(self, path: str) -> bytes | None:
        """Return a changed git index as the folder is to have it; None when it cannot be read."""
        layer = self.layer()
        if layer is None:
            return None
        return returned(self._folder, layer.upper, path, self._secrets.ungranted().hides, self._shift)

    def changed_outside(self) -> bool:
        """Tell whether others changed the folder in a way that a mounted view does not show."""
        kind = self.kind()
        if kind is None or kind == "in-place":
            return False
        moment = os.stat(os.path.join(self._state, "seen")).st_ctime_ns
        if kind == "snapshot":
            return changed_since(Path(self._folder), moment)
        return self._tree.changed_since(moment)

    def make(self, kind: ViewKind) -> None:
        """Make a view that shows the folder as it is, in place of the present one."""
        new = f"{self.place}.new"
        remove(new)
        os.mkdir(new, 0o700)
        if kind == "overlay":
            OverlayLayer.make(self._folder, new, self._shift)
        elif kind == "snapshot":
            SnapshotLayer.make(self._folder, new, self._secrets, self._shift)
        write_whole(os.path.join(new, "kind"), json.dumps(kind).encode())
        if lstat(self.place) is not None:
            os.rename(self.place, f"{self.place}.old")
        os.rename(new, self.place)
        remove(f"{self.place}.old")
        self._layer = None

    def copy(self, state: str, own: Set[str]) -> None:
        """Make the same view in another state of the folder.

        Args:
            state: The other state, which has no view yet.
            own: The paths that the view changes.

        Raises:
            WorkspaceError: There is no room, for instance.
        """
        layer = self.layer()
        if layer is None:
            return
        place = os.path.join(state, "view")
        new = f"{place}.new"
        os.makedirs(new, 0o700)
        try:
            layer.copy(new, own)
            for name in ("base", "bases.json"):
                if lstat(self.place, name) is not None:
                    copy_tree(os.path.join(self.place, name), os.path.join(new, name))
        except OSError as error:
            raise WorkspaceError(
                f"The view of {self._folder} cannot be copied: {error.strerror}.",
                hint="Free space, or write or drop its changes first.",
            ) from error
        write_whole(os.path.join(new, "kind"), json.dumps(layer.kind).encode())
        os.rename(new, place)

    def reset(self, paths: Sequence[str]) -> None:
        """Have the view show nothing but the folder.

        Args:
            paths: All that it changes.
        """
        kind = self.kind()
        if kind == "overlay":
            self.make(kind)
        elif paths:
            self.drop(paths, {})

    def drop(self, paths: Sequence[str], texts: Mapping[str, str]) -> None:
        """Drop changes, and rewrite files that keep a part of theirs; what a crash interrupts is finished.

        Args:
            paths: What the view shows as the folder has it.
            texts: The new contents of files of the view.
        """
        intent = {"paths": list(paths), "texts": dict(texts)}
        write_whole(os.path.join(self.place, "dropping.json"), json.dumps(intent).encode())
        self.finish()

    def finish(self) -> None:
        """Finish the dropping of changes that was begun."""
        begun = os.path.join(self.place, "dropping.json")
        layer = self.layer()
        if layer is None or lstat(begun) is None:
            return
        with open(begun, "rb") as file:
            intent = json.loads(file.read())
        layer.drop(intent["paths"])
        for path, text in intent["texts"].items():
            self.rewrite(path, text)
        os.unlink(begun)

    def rewrite(self, path: str, text: str) -> None:
        """Give a file of the view a new content."""
        layer = self.layer()
        info = lstat(layer.upper, path) if layer is not None else None
        if layer is None or info is None:
            return
        target = os.path.join(layer.upper, path)
        written = os.path.join(self.place, "rewritten")
        remove(written)
        with open(written, "wb") as file:
            file.write(text.encode())
        if os.geteuid() == 0:
            os.chown(written, info.st_uid, info.st_gid)
        set_user_xattrs(written, user_xattrs(target))
        os.chmod(written, stat.S_IMODE(info.st_mode))
        os.replace(written, target)


def needs_finishing(state: str) -> bool:
    """Tell whether a crash interrupted the dropping of changes."""
    return lstat(os.path.join(state, "view", "dropping.json")) is not None
