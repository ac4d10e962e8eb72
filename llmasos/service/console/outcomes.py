"""Outcomes: what was written or dropped of a session's changes, told on the page that follows."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from llmasos.api import Choice, Diff
from llmasos.service.console.hunks import OfferedFile

_MOST = 200


@dataclass(frozen=True)
class Piece:
    """A file, or some hunks of it.

    Args:
        path: The file.
        hunks: The numbers that its hunks had; empty for the whole file.
        of: How many hunks it had.
    """

    path: str
    hunks: tuple[int, ...] = ()
    of: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a person's decision came to.

    Args:
        what: What was decided.
        commit: The commit that it made, if any.
        done: What was written or dropped.
        stayed: What is still offered.
        more: How many more files are, which the page does not name.
    """

    what: Literal["commit", "discard"]
    commit: str
    done: tuple[Piece, ...]
    stayed: tuple[Piece, ...]
    more: int = 0


def outcome(
    what: Literal["commit", "discard"],
    commit: str,
    paths: Iterable[str],
    files: Sequence[OfferedFile],
    choices: Sequence[Choice] | None,
    left: Diff,
) -> Outcome:
    """Return what came of a decision.

    Args:
        what: What was decided.
        commit: The commit that it made, if any.
        paths: The files that were written or dropped, in whole or in part.
        files: What was offered before.
        choices: What was chosen of it; None stands for all.
        left: What is offered now.
    """
    counts = {file.path: len(file.hunks) for file in files}
    parts = {choice.path: choice.hunks for choice in choices or () if choice.hunks}

    def rest(path: str) -> tuple[int, ...]:
        return tuple(number for number in range(1, counts[path] + 1) if number not in parts[path])

    return Outcome(
        what,
        commit,
        tuple(Piece(path, parts.get(path, ()), counts.get(path, 0)) for path in paths),
        tuple(
            Piece(path, rest(path) if path in parts else (), counts.get(path, 0))
            for path in (change.model_dump(mode="json")["path"] for change in left.changes)
        ),
        left.omitted,
    )


class Outcomes:
    """The newest outcomes, each found by a token that only the browser knows whose form it was."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Outcome] = OrderedDict()

    def keep(self, session: str, found: Outcome) -> str:
        """Keep an outcome, and return its token."""
        token = secrets.token_urlsafe(16)
        self._kept[session, token] = found
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return token

    def find(self, session: str, token: str) -> Outcome | None:
        """Return an outcome of a session; None when there is none of this token, or not any more."""
        return self._kept.get((session, token))
