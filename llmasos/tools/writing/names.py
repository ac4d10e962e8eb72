"""Names that a task gives, which the text has to give, too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmasos.tools.translation.language import names_language

_NAME = re.compile(r"(?<![\w.'’-])[A-Z][\w’'-]*(?:[ ](?:of |de |van |von )?[A-Z][\w’'-]*)*")
# Where a sentence, a line or something quoted begins, any word is written so.
_BEGINS = re.compile(r"(?:\A|[.!?:\n“\"'(-])\s*\Z")
# Kinds of text, and what they are written in, are named by requests and not by texts.
_OURS = re.compile(r"(?:I(?:['’]\w+)?|[A-Z]{2,5}|Markdown|Word|LinkedIn|Facebook|Instagram|Twitter)\Z")
# A task is too short for a guess by its letters, and other languages write more words so.
_ENGLISH = re.compile(
    r"\b(?:the|an?|to|of|at|in|for|from|with|about|and|that|who|because|my|our|his|her|their|write|draft|invite)\b"
)
_MESSAGE = re.compile(
    r"\b(?:letter|e?-?mail|message|note|card|reply|answer|apology|invitation|reminder|thanks|write(?=\sto\b))\b",
    re.IGNORECASE,
)
_SURE = 3
_MOST = 5


def names_in(task: str) -> tuple[str, ...]:
    """Return the names of people, places and days that an English task gives; of other languages none.

    Args:
        task: What text is wanted.
    """
    if len(set(_ENGLISH.findall(task.casefold()))) < _SURE:
        return ()
    found: dict[str, None] = {}
    for match in _NAME.finditer(task):
        begins = _BEGINS.search(task[: match.start()])
        name = match[0].partition(" ")[2] if begins else match[0]
        if name and not _OURS.match(name) and not names_language(name):
            found[name] = None
    return tuple(found)[:_MOST]


def addressee(task: str, names: Sequence[str]) -> str:
    """Return which of the names a letter, or another message, goes to; empty where the task says to none.

    Args:
        task: What text is wanted.
        names: The names that it gives.
    """
    message = _MESSAGE.search(task)
    rest = task[message.end() :] if message else ""
    # Who goes from one place to another goes there.
    heads = {name: rest.partition(f" to {name}") for name in names}
    return next((name for name, (head, to, _) in heads.items() if to and " from " not in head), "")
