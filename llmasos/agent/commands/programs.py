"""All programs that are more than their options and operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import (
    archives,
    awk,
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
    **git.HANDLERS,
}
