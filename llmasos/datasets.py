"""How files that are data sets are named, on a command line and in a session's view."""

from __future__ import annotations

import re

TABLES = (".csv", ".tsv", ".parquet", ".pq")
"""What the names of tables end with, in small letters."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What federations and their machines can be called."""

JOINED = re.compile(rf"@({NAME.pattern})/({NAME.pattern})")
"""How the data set of a machine that joined a federation is named: the federation, and the machine."""

_SIZED = re.compile(r"(.+)(@\d+x\d+(?:x\d+)?)", re.DOTALL)


def parted(named: str) -> tuple[str, str]:
    """Return a path, and the size of images after it, such as `@28x28x1`; empty where there is none."""
    sized = _SIZED.fullmatch(named)
    return (sized[1], sized[2]) if sized else (named, "")
