"""Flows: which files hold what the person did not name, because a call of the session put it there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence

from llmasos.decisions import ArgumentOrigin

_WILD = frozenset("*?[")


class Flows:
    """Remembers where a session's calls have put what came from elsewhere."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def add(
        self,
        reads: Sequence[str],
        writes: Sequence[str],
        origins: Iterable[ArgumentOrigin],
        named: Callable[[str], bool],
        *,
        unseen: bool,
    ) -> None:
        """Remember what a call has done.

        Args:
            reads: Paths that it read.
            writes: Paths that it changed.
            origins: Where its arguments come from.
            named: Tells whether the person named a path, or another source.
            unseen: Whether it may have read more than can be seen.
        """
        others = [path for path in reads if path not in writes]
        foreign = any(self.holds(path) or not named(path) for path in others) or any(
            not span.source.trusted and not span.identifier and not named(span.source.name)
            for origin in origins
            for span in origin.spans
        )
        if foreign or (unseen and not others):
            self._paths.update(posixpath.normpath(path) for path in writes)

    def holds(self, path: str) -> bool:
        """Whether something that the person did not name may lie at a path, or below it."""
        path = posixpath.normpath(path)
        return any(
            one == path
            or not _WILD.isdisjoint(one + path)
            or path in ("", ".")
            or one in ("", ".")
            or one.startswith(f"{path}/")
            or path.startswith(f"{one}/")
            for one in self._paths
        )
