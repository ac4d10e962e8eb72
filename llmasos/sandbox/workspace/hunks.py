"""Hunks: the pieces of a text's change, as a unified diff shows them, to choose from."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from pydantic import BaseModel

_CONTEXT = 3
_Codes = list[tuple[str, int, int, int, int]]


class Hunk(BaseModel, frozen=True):
    """A piece of a change.

    Args:
        number: Its place in the file's diff, from 1 on.
        text: The piece as the unified diff shows it, its `@@` line first.
    """

    number: int
    text: str


class Selection(BaseModel, frozen=True):
    """What is chosen of the changes: a path with all below it, or some hunks of one file.

    Args:
        path: As the diff names it.
        hunks: Numbers of hunks; None stands for the whole.
    """

    path: str
    hunks: tuple[int, ...] | None = None


def split(text: str) -> list[str]:
    """Return the lines of a text with their ends; only a line feed ends a line."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def read_hunks(before: str, after: str) -> list[Hunk]:
    """Return the pieces in which two texts differ."""
    one, two = split(before), split(after)
    return [
        Hunk(number=number, text=_shown(one, two, codes)) for number, codes in enumerate(_groups(one, two), 1)
    ]


def mix(before: str, after: str, chosen: Collection[int]) -> str:
    """Return the text before with only the chosen hunks applied."""
    one, two = split(before), split(after)
    parts: list[str] = []
    at = 0
    for number, codes in enumerate(_groups(one, two), 1):
        first, last = codes[0], codes[-1]
        parts += one[at : first[1]]
        parts += two[first[3] : last[4]] if number in chosen else one[first[1] : last[2]]
        at = last[2]
    return "".join(parts + one[at:])


def _groups(one: Sequence[str], two: Sequence[str]) -> list[_Codes]:
    return list(difflib.SequenceMatcher(None, one, two).get_grouped_opcodes(_CONTEXT)) if one != two else []


def _shown(one: Sequence[str], two: Sequence[str], codes: _Codes) -> str:
    first, last = codes[0], codes[-1]
    parts = [f"@@ -{_span(first[1], last[2])} +{_span(first[3], last[4])} @@\n"]
    for tag, start, end, other_start, other_end in codes:
        if tag == "equal":
            parts += [f" {line}" for line in one[start:end]]
        else:
            parts += [f"-{line}" for line in one[start:end]]
            parts += [f"+{line}" for line in two[other_start:other_end]]
    return "".join(
        part if part.endswith("\n") else f"{part}\n\\ No newline at end of file\n" for part in parts
    )


def _span(start: int, end: int) -> str:
    count = end - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"
