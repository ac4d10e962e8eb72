"""Modules of the code that was approved, for a kernel that runs them itself."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


class ApprovedFinder(MetaPathFinder):
    """Finds the modules of one plugin where they were laid out.

    Args:
        place: The folder.
        names: The modules at its top.
    """

    def __init__(self, place: Path, names: Collection[str]) -> None:
        self._place = str(place)
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module at the top is; those below it are found beside it."""
        if path is not None or fullname not in self._names:
            return None
        return PathFinder.find_spec(fullname, [self._place], target)


def installed_spec(name: str) -> ModuleSpec | None:
    """Return where a module at the top is installed, without importing it, and not where one was laid out."""
    for finder in sys.meta_path:
        spec = None if isinstance(finder, ApprovedFinder) else finder.find_spec(name, None)
        if spec is not None:
            return spec
    return None
