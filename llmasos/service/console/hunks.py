"""Changed files as the page offers them: whole, or hunk by hunk where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from llmasos.api import Choice, Diff
from llmasos.events import FileChange
from llmasos.service.console.diffs import MOST_LINES
from llmasos.service.console.forms import Form
from llmasos.service.refusals import Refusal

_INSIDE = (" ", "+", "-", "\\")


class OfferedHunk(NamedTuple):
    """A piece of a file's diff, its `@@` line first.

    Args:
        number: Its place, from 1 on.
        text: The piece.
        added: How many lines it adds.
        removed: How many it removes.
    """

    number: int
    text: str
    added: int
    removed: int


class OfferedFile(NamedTuple):
    """A changed file.

    Args:
        change: What is changed.
        path: As the kernel takes it.
        sent: The path as forms carry it.
        hunks: What can be chosen of it; empty where it is taken or left as a whole.
    """

    change: FileChange
    path: str
    sent: str
    hunks: tuple[OfferedHunk, ...]


def offered(diff: Diff) -> list[OfferedFile]:
    """Return the files of a diff."""
    found = []
    for change in diff.changes:
        path = change.model_dump(mode="json")["path"]
        hunks = hunks_of(change.diff) if change.kind == "changed" else ()
        # Names may hold what no form carries unchanged, such as newlines.
        found.append(OfferedFile(change, path, quote(path, safe=""), hunks if len(hunks) > 1 else ()))
    return found


def hunks_of(diff: str) -> tuple[OfferedHunk, ...]:
    """Return the hunks of a file's diff; none of one that is not whole, or too long to be shown whole."""
    lines = diff.removesuffix("\n").split("\n")
    starts = [place for place, line in enumerate(lines) if line.startswith("@@")]
    if not starts or len(lines) > MOST_LINES:
        return ()
    found = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True), 1):
        body = lines[start + 1 : end]
        if not all(line.startswith(_INSIDE) for line in body):
            return ()
        added, removed = (sum(line.startswith(sign) for line in body) for sign in "+-")
        found.append(OfferedHunk(number, "\n".join(lines[start:end]), added, removed))
    return tuple(found)


def chosen(files: Sequence[OfferedFile], form: Form) -> list[Choice] | None:
    """Return what a form chooses of the files; None means all.

    Raises:
        Refusal: It chooses nothing.
    """
    ticked = {unquote(name) for name in form.all("file")}
    choices = [
        choice
        for number, file in enumerate(files, 1)
        if file.path in ticked and (choice := _choice(file, form.all(f"hunk-{number}")))
    ]
    if not choices:
        raise Refusal("Nothing is chosen.", hint="Go back, and tick files or hunks.")
    whole = len(choices) == len(files) and not any(choice.hunks for choice in choices)
    return None if whole else choices


def _choice(file: OfferedFile, ticked: Sequence[str]) -> Choice | None:
    numbers = tuple(hunk.number for hunk in file.hunks if str(hunk.number) in ticked)
    if file.hunks and not numbers:
        return None
    return Choice(path=file.path, hunks=numbers if len(numbers) < len(file.hunks) else None)
