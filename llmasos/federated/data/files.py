"""Files of data sets: opened without following links, and checked to be what they are called."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from llmasos.display import display
from llmasos.federated.port import DataError

MAX_BYTES = 4 << 30
"""How many bytes a data set may take in memory."""

_BLOCK = 1 << 20
_OTHER_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_NOT_IN_TEXT = bytes(code for code in range(32) if code not in b"\t\n\v\f\r")


def shown(*names: str, most: int = 5) -> str:
    """Return names as an error tells them: printable, and not too many."""
    told = ", ".join(repr(display(name[:60])) for name in names[:most])
    return f"{told} and {len(names) - most} more" if len(names) > most else told


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; a link, a device or a pipe in its place is not followed, and nothing waits.

    Raises:
        DataError: It is missing, is no plain file, is empty, or cannot be read.
    """
    name = shown(path.name)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DataError(f"There is no file {name}.", hint="Check its name and folder.") from None
    except OSError as error:
        if path.is_symlink():
            raise DataError(f"{name} is a link.", hint="Name the file that it leads to.") from None
        raise DataError(f"{name} cannot be read: {error.strerror}.", hint="Check its permissions.") from None
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise DataError(f"{name} is not a file but a folder or a device.", hint="Name a plain file.")
        if not info.st_size:
            raise DataError(f"{name} is empty.", hint="Give a file with rows.")
        try:
            yield file
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error}.", hint="Check the disk it lies on.") from error


def check_text(file: BinaryIO, name: str) -> None:
    """Check that a file is UTF-8 text, with or without a byte order mark, and go back to its start.

    Raises:
        DataError: It is binary or of another encoding; says in which line.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    lines, before = 1, 0
    for block in iter(lambda: file.read(_BLOCK), b""):
        if not before and block[:2] in _OTHER_MARKS:
            encoding = _OTHER_MARKS[block[:2]]
            raise DataError(f"{name} is {encoding} text, not UTF-8.", hint="Save it as UTF-8.")
        if len(block.translate(None, _NOT_IN_TEXT)) != len(block):
            raise DataError(
                f"{name} is not text: it holds control characters.", hint="Export the data as CSV once more."
            )
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            # The decoder may still have held the last bytes of the block before.
            line = lines + error.object[: error.start].count(b"\n")
            raise _not_utf8(name, line) from None
        lines += block.count(b"\n")
        before += len(block)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_utf8(name, lines) from None
    file.seek(0)


def _not_utf8(name: str, line: int) -> DataError:
    return DataError(
        f"{name} is not UTF-8: line {line} has bytes of another encoding, perhaps Latin-1.",
        hint="Save it as UTF-8, for example with `iconv -f latin1 -t utf8`.",
    )


def check_room(rows: int, columns: int, name: str, most: int) -> None:
    """Check that a data set of 4-byte numbers does not take too much memory.

    Raises:
        DataError: It would.
    """
    if rows * columns * 4 > most:
        raise DataError(
            f"{name} would take {rows * columns * 4 / 2**20:,.0f} MiB in memory, as {rows:,} rows of "
            f"{columns:,} numbers; {most / 2**20:,.0f} MiB is the most.",
            hint="Leave out columns of texts with many values, give fewer rows, or deal it to more clients.",
        )
