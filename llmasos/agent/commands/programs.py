"""All programs that are more than their options and operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import (
    archives,
    awk,
    checkers,
    converters,
    git,
    interpreters,
    network,
    packages,
    queries,
    sed,
    shell_builtins,
    shells,
    starters,
)
from .simple import Runner
from .table import SPECS
from .words import Word

Handler = Callable[[Runner, str, Sequence[Word], str | None], None]

HANDLERS: Mapping[str, Handler] = {
    **sed.HANDLERS,
    **awk.HANDLERS,
    **interpreters.HANDLERS,
    **shells.HANDLERS,
    **starters.HANDLERS,
    **shell_builtins.HANDLERS,
    **archives.HANDLERS,
    **network.HANDLERS,
    **packages.HANDLERS,
    **queries.HANDLERS,
    **converters.HANDLERS,
    **checkers.HANDLERS,
    **git.HANDLERS,
}


def knows(name: str) -> bool:
    """Return whether it is known what a program does."""
    return name in HANDLERS or name in SPECS
