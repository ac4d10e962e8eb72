"""Changes that others made to the same files meanwhile, and how texts are merged with them."""

from __future__ import annotations

from dataclasses import dataclass

from llmasos.errors import WorkspaceError, command
from llmasos.events import display
from llmasos.sandbox.workspace.bases import Bases, merge
from llmasos.sandbox.workspace.changes import Change, Layer
from llmasos.sandbox.workspace.diff import sides
from llmasos.sandbox.workspace.opening import open_file


@dataclass(frozen=True)
class Merged:
    """Both versions of a text in one.

    Args:
        text: With markers where they disagree.
        mode: The permissions of whichever version changed them.
        clashes: In how many passages they disagree.
    """

    text: str
    mode: int
    clashes: int


def in_conflict(change: Change, layer: Layer, bases: Bases) -> bool:
    """Tell whether the folder's version of a path is another than the one the view started from."""
    if layer.moved_on(change.path):
        return not bases.is_folders(change.path)
    # What the folder had once and the view changed, somebody deleted.
    return change.kind == "added" and not change.blocked and bases.has(change.path)


def merge_change(change: Change, lower: str, upper: str, bases: Bases) -> Merged:
    """Merge the folder's and the view's version of a text.

    Raises:
        WorkspaceError: One of them is no text, or the version that both started from was not kept.
    """
    base = bases.read(change.path)
    before, after = sides(change, lower, upper)
    merged = None
    if base is not None and before is not None and after is not None and before.kind == after.kind == "file":
        with open_file(lower, change.path) as theirs, open_file(upper, change.path) as ours:
            merged = merge(base[0], theirs.read(), ours.read())
    if merged is None or base is None or before is None or after is None:
        raise WorkspaceError(
            f"{display(change.path)} cannot be merged: it is no text, or its base was not kept.",
            hint=f"Drop the agent's version ({command('discard', 'PATH')}), or put yours aside.",
        )
    mode = after.mode if after.mode != base[1] else before.mode
    return Merged(merged[0], mode, clashes=merged[1])
