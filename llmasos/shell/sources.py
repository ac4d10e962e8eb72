"""Data sets as they are named on a command line: paths, globs, built-in names, machines of federations."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmasos.datasets import JOINED, TABLES, parted
from llmasos.errors import LLMasOSError


def sources(named: Sequence[str]) -> list[str]:
    """Return the data sets that are named, with paths from the root on.

    A folder that holds only tables stands for each of them; what is no path is left to the kernel, which
    knows what is built in, and who joined a federation.

    Raises:
        LLMasOSError: A glob matches nothing, or something cannot be read.
    """
    found = list(dict.fromkeys(source for one in named for source in _found(one)))
    for source in found:
        try:
            source.encode()
        except UnicodeEncodeError:
            raise LLMasOSError(f"The name {source} is not UTF-8.", hint="Rename it.") from None
    return found


def _found(named: str) -> Iterator[str]:
    if JOINED.fullmatch(named):
        yield named
        return
    path = Path(named).expanduser()
    if path.exists():
        yield from _readable(path)
        return
    if glob.has_magic(named):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        if not matches:
            raise LLMasOSError(f"No file matches {named}.", hint="Check the pattern, or quote a name.")
        for match in matches:
            yield from _readable(Path(match))
        return
    plain, size = parted(named)
    if size and Path(plain).expanduser().exists():
        for source in _readable(Path(plain).expanduser()):
            yield f"{source}{size}"
        return
    if os.sep in named or path.suffix.lower() in TABLES:
        raise LLMasOSError(f"There is no file or folder {named}.", hint="Check its name.")
    yield named


def _readable(path: Path) -> Iterator[str]:
    # The kernel follows no links; what a person names is meant.
    path = path.resolve()
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise LLMasOSError(f"{path} cannot be read.", hint="Check its permissions.")
    inside = sorted(path.iterdir()) if path.is_dir() else []
    tables = [one for one in inside if one.suffix.lower() in TABLES and one.is_file()]
    if tables and not any(one.is_dir() for one in inside):
        for table in tables:
            yield from _readable(table)
        return
    yield str(path)
