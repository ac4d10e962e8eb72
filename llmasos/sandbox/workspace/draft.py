"""Drafting a commit: everything it needs is in the journal before the folder is touched."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping

from llmasos.errors import WorkspaceError
from llmasos.events import display
from llmasos.sandbox.workspace.changes import Change
from llmasos.sandbox.workspace.choice import Choice
from llmasos.sandbox.workspace.journal import Journal, Manifest, Node, Step, read_node
from llmasos.sandbox.workspace.opening import held_folder, lstat, lstat_in
from llmasos.sandbox.workspace.stamps import Stamp, stamp

_FileId = tuple[int, int]


def draft(
    journal: Journal,
    choice: Choice,
    contents: Mapping[str, bytes],
    modes: Mapping[str, int],
    lower: str,
    upper: str,
    shift: int,
) -> tuple[Manifest, dict[str, Stamp]]:
    """Copy what a commit takes away and what it brings into the journal.

    Args:
        journal: Where it is kept; the manifest is not written yet.
        choice: What is committed.
        contents: What is written in place of the view's.
        modes: Permissions in place of the view's.
        lower: The person's folder.
        upper: The view's version of it.
        shift: What was added to owners.

    Returns:
        The commit, and what each path of the folder was when it was copied.
    """
    manifest = journal.begin()
    draft = _Draft(journal, manifest.id, lower, upper, shift)
    try:
        steps = []
        expected = {}
        for number, change in enumerate(choice.changes):
            expected[change.path] = stamp(lower, change.path)
            before = draft.before(change, number)
            after = draft.after(change, number, before, contents.get(change.path), modes.get(change.path))
            rest = change.path in choice.hunks
            steps.append(Step(path=change.path, before=before, after=after, rest=rest))
        journal.sync(manifest.id)
    except BaseException:
        journal.forget(manifest.id)
        raise
    folders = _unwritable({os.path.dirname(change.path) for change in choice.changes}, lower)
    return manifest.model_copy(update={"steps": tuple(steps), "modes": folders}), expected


class _Draft:
    def __init__(self, journal: Journal, commit: str, lower: str, upper: str, shift: int) -> None:
        self._journal = journal
        self._commit = commit
        self._lower = lower
        self._upper = upper
        self._shift = shift
        self._befores: dict[_FileId, tuple[str, Node]] = {}
        self._afters: dict[_FileId, tuple[str, Node]] = {}

    def before(self, change: Change, number: int) -> Node:
        """Return what lies in the folder, with its content kept."""
        if change.kind == "added":
            return Node()
        node = read_node(self._lower, change.path)
        if node.kind != "file":
            return node
        node = self._kept(self._befores, self._lower, change.path, f"before-{number}", node)
        above, name = os.path.split(change.path)
        with held_folder(self._lower, above) as folder:
            info = None if folder is None else lstat_in(folder, name)
            if info is not None and info.st_nlink > 1 and not node.link:
                # Other names of this file may stay; on the way back it is to be the same file again.
                same = os.path.join(self._journal.place(self._commit), f"{node.blob}.same")
                with contextlib.suppress(OSError):
                    os.link(name, same, src_dir_fd=folder, follow_symlinks=False)
        return node

    def after(
        self, change: Change, number: int, before: Node, content: bytes | None, mode: int | None
    ) -> Node:
        """Return what the folder is to have, with its content kept."""
        if change.kind == "deleted":
            return Node()
        node = read_node(self._upper, change.path)
        name = f"after-{number}"
        if content is not None:
            node = self._journal.keep_data(self._commit, name, content, node)
            node = node.model_copy(update={"mode": before.mode if mode is None else mode})
        elif node.kind == "file":
            node = self._kept(self._afters, self._upper, change.path, name, node)
        elif node.kind == "none":
            raise WorkspaceError(f"{display(change.path)} is gone from the view.", hint="Try again.")
        # The right to run as the owner is never given by an agent, because the owner here is another.
        special = (stat.S_ISUID | stat.S_ISGID) & ~before.mode if node.kind == "file" else 0
        owner = (max(node.owner[0] - self._shift, 0), max(node.owner[1] - self._shift, 0))
        return node.model_copy(update={"owner": owner, "mode": node.mode & ~special})

    def _kept(
        self, known: dict[_FileId, tuple[str, Node]], root: str, path: str, name: str, node: Node
    ) -> Node:
        info = lstat(root, path)
        if info is not None and info.st_nlink > 1:
            first = known.get((info.st_dev, info.st_ino))
            if first is not None:
                return first[1].model_copy(update={"link": first[0]})
        node = self._journal.keep_file(self._commit, name, root, path, node)
        if info is not None:
            known[(info.st_dev, info.st_ino)] = (path, node)
        return node


def _unwritable(folders: set[str], lower: str) -> dict[str, int]:
    """Return the permissions of the folders that have to be opened up to be written."""
    found = {}
    for folder in folders:
        info = lstat(lower, folder)
        if info is not None and stat.S_ISDIR(info.st_mode) and info.st_mode & 0o300 != 0o300:
            found[folder] = stat.S_IMODE(info.st_mode)
    return found
