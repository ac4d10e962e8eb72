"""Words that several commands show, and how they are counted and cut."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmasos.display import display, display_name
from llmasos.language import translated

if TYPE_CHECKING:
    from llmasos.api import CommitInfo, JobInfo, MergedFile

MODEL_STATES = {
    "remote": "an endpoint",
    "resident": "loaded",
    "cached": "on disk",
    "absent": "not fetched yet",
}


# What may not begin a line, and what may not end one.
_CLOSING = "，。、；：！？）》”’…"
_OPENING = "（《“‘"
_WORD = re.compile(rf"\s+|[{_OPENING}]?(?:[\x21-\x7e]+|.)[{_CLOSING}]*")

# What a person may answer in Chinese, in the letters that questions show.
_ANSWERS = {"是": "y", "好": "y", "否": "n", "不": "n", "总是": "a", "编辑": "e"}


def english_answer(answer: str) -> str:
    """Return a short answer in small letters, and such as `是` in the letter that the question shows."""
    said = answer.strip().lower()
    return _ANSWERS.get(said, said)


def fit(text: str, columns: int) -> str:
    """Return one line of text, cut with an ellipsis where it is wider than `columns` cells."""
    from rich.cells import cell_len

    # Of a long text only the beginning is measured; few of its letters take no room.
    head = text[: 4 * columns + 1]
    if len(head) == len(text) and cell_len(text) <= columns:
        return text
    width = 0
    for place, letter in enumerate(head):
        width += cell_len(letter)
        if width > columns - 1:
            return head[:place] + "…"
    return head + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return text with spaces up to a number of cells, before it where it stands at the right."""
    from rich.cells import cell_len

    spaces = " " * max(0, columns - cell_len(text))
    return spaces + text if right else text + spaces


def wrapped(text: str, columns: int, *, indent: int = 0) -> list[str]:
    """Return a line in lines of so many cells, broken between words, and between any two Chinese signs.

    Args:
        text: The line.
        columns: The cells; a word that is wider stays whole.
        indent: Cells by which all lines but the first are set in.
    """
    from rich.cells import cell_len

    lines, line = [], text[: len(text) - len(text.lstrip())]
    fresh = True
    for word in _WORD.findall(text.strip()):
        if not fresh and cell_len(line + word.rstrip()) > columns:
            lines.append(line.rstrip())
            line, fresh = " " * indent, True
        if not fresh or not word.isspace():
            line += word
            fresh = False
    return [*lines, line.rstrip()]


def clock_time(seconds: float) -> str:
    """Return seconds as a clock shows them, such as `0:07` or `1:02:03`."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{whole % 60:02}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 file` and `2 files`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def written(commit: CommitInfo, folder: str = "") -> str:
    """Return what a commit wrote, to which folder where one is given, and what it had to leave."""
    line = f"Wrote {count(len(commit.paths), 'file')}" + (f" to {display(folder)}." if folder else ".")
    if commit.left:
        names = ", ".join(map(display_name, commit.left[:5])) + (" …" if len(commit.left) > 5 else "")
        line += f" Not written, because they are no files, folders or links: {names}."
    return line


def resolved(merged: MergedFile) -> str:
    """Return what became of a file that was merged, and the next step."""
    name = display_name(merged.path)
    if not merged.conflicts:
        return f"{name} is merged; commit it."
    return (
        f"{name} holds both versions of {count(merged.conflicts, 'passage')} now, between "
        "markers. Have them put right in a next request, then commit it."
    )


def commit_line(commit: CommitInfo) -> str:
    """Return a commit in a line: id, time, how many files, the first names, whether it was undone."""
    when = commit.at.astimezone().strftime("%Y-%m-%d %H:%M") if commit.at else ""
    names = ", ".join(map(display_name, commit.paths[:3])) + (" …" if len(commit.paths) > 3 else "")
    undone = f"  {translated('(undone)')}" if commit.undone else ""
    files = pad(translated(count(len(commit.paths), "file")), 9, right=True)
    return f"{commit.id}  {when}  {files}  {names}{undone}"


def job_line(job: JobInfo) -> str:
    """Return a job in a line: id, state, time, bytes printed, the command."""
    state = "running" if job.running else "stopped" if job.exit_code is None else f"exit {job.exit_code}"
    told = pad(translated(state), 9)
    size = translated(f"{job.written:>12,} bytes")
    return f"{job.id:<5} {told} {job.seconds:>7.1f} s {size}  {display(job.command)}"
