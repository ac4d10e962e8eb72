"""Changes of files on the wire: what a view holds, and what of it is committed or dropped."""

from __future__ import annotations

from datetime import datetime

from llmasos.api.wire import Wire
from llmasos.events import FileChange, FileName


class Choice(Wire):
    """A changed path, whole or only some hunks of its diff, numbered from 1."""

    path: FileName
    hunks: tuple[int, ...] | None = None


class ChangesRequest(Wire):
    """The changes to commit or discard; none means all.

    `merge` merges text files that were changed in the folder in the meantime, instead of refusing them.
    """

    choices: tuple[Choice, ...] | None = None
    merge: bool = False


class CommitChoice(Wire):
    """A commit to undo or redo; empty means the newest."""

    commit: str = ""


class Diff(Wire):
    """What a session's view would change in its folder."""

    changes: tuple[FileChange, ...] = ()
    omitted: int = 0
    summary: str = ""

    def unified(self) -> str:
        """Return the whole diff as one text."""
        return "".join(
            change.diff or f"{change.kind} {change.path} {change.detail}\n" for change in self.changes
        )


class CommitInfo(Wire):
    """A commit as it was written to the folder, undone or done again.

    `left` are changes that cannot be written, such as pipes, and stay in the view.
    """

    id: str
    paths: tuple[FileName, ...]
    at: datetime | None = None
    undone: bool = False
    left: tuple[FileName, ...] = ()


class MergedFile(Wire):
    """A file that was changed on both sides, merged; what clashes stands between conflict markers."""

    path: FileName
    text: str
    conflicts: int
