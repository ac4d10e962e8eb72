"""Diffs at the terminal: a line a file, then the changes themselves, and what of them runs by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count

from rich.console import Console
from rich.text import Text

from llmasos.api import Diff
from llmasos.display import display, display_name
from llmasos.events import FileChange
from llmasos.language import translated
from llmasos.shell.words import pad

_MOST_RUNNING = 8
# What git writes with each commit; what of it runs by itself is shown all the same.
_GITS_OWN = re.compile(r"(?:.*/)?\.git/(?:(?:logs|refs|objects)/.*|index|\w*HEAD|COMMIT_EDITMSG)", re.DOTALL)
_KINDS = {"added": "green", "changed": "yellow", "deleted": "red", "renamed": "cyan"}


def show_diff(
    console: Console, diff: Diff, *, most_lines: int = 200, whole: bool = False, command: str = "/diff"
) -> None:
    """Write a diff: a line a file, then the changes themselves.

    Args:
        console: Where to write.
        diff: The diff.
        most_lines: How many lines of the changes are written at most.
        whole: Whether all lines are written, those of git's own files included, in which people read nothing.
        command: What shows all of it, where it is not whole.
    """
    for change in diff.changes:
        detail = f"  {display(change.detail)}" if change.detail else ""
        name = display_name(change.path)
        name = f"{display_name(change.source)} → {name}" if change.source else name
        console.print(
            Text.assemble((pad(translated(change.kind), 7), _KINDS[change.kind]), " ", name, (detail, "dim"))
        )
    if diff.omitted:
        console.print(translated(f"… and {diff.omitted:,} more changes"), style="dim")
    if diff.summary:
        console.print(Text(display(diff.summary, keep_newlines=True)))
    lines = [line for change in diff.changes for line in coloured_diff(change.diff)]
    shown = lines
    if not whole:
        read = [change for change in diff.changes if change.runs or not _GITS_OWN.fullmatch(change.path)]
        shown = [line for change in read for line in coloured_diff(change.diff)][:most_lines]
    for line in shown:
        console.print(line)
    if len(lines) > len(shown):
        more = f"… {len(lines) - len(shown)} more lines; {command} shows them all"
        console.print(translated(more), style="dim")
    # Last of all, where the person looks who is asked whether to write it.
    warn_of_running(console, diff.changes)


def warn_of_running(console: Console, changes: Sequence[FileChange]) -> None:
    """Write which changes run by themselves once they are written, if any do."""
    running = [f"{display_name(change.path)} ({display(change.runs)})" for change in changes if change.runs]
    names = ", ".join(running[:_MOST_RUNNING]) + (" …" if len(running) > _MOST_RUNNING else "")
    if running:
        warning = f"Runs by itself, outside of the sandbox, once it is written: {names}"
        console.print(Text(translated(warning), style="bold yellow"), soft_wrap=not console.is_terminal)


def coloured_diff(diff: str) -> list[Text]:
    """Return the lines of a unified diff, coloured."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    hunks = count(1)
    # Only a newline ends a line of a diff: a change of line endings alone has to be seen, too.
    lines = diff.removesuffix("\n").split("\n") if diff else []
    return [Text.assemble((display(line), styles.get(line[:1], "")), _number(line, hunks)) for line in lines]


def _number(line: str, hunks: Iterator[int]) -> tuple[str, str]:
    """Return the number by which a hunk can be committed, for the line that begins it."""
    return (f"  #{next(hunks)}" if line.startswith("@@ ") else "", "dim")
