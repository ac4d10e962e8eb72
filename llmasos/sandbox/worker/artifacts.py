"""What cells hand out: figures that they left open, and files that they name."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

LARGEST = 8_000_000
_PLACES = ("/workspace", "/tmp")

HandOut = Callable[[str, bytes], None]  # gets a name to go by, and the data


class Keeper:
    """Hands out files.

    Args:
        hand_out: Gets each one.
    """

    def __init__(self, hand_out: HandOut) -> None:
        self._hand_out = hand_out

    def keep(self, source: Any, name: str | None = None) -> None:
        """Hand out a file, or bytes, together with the cell's outcome.

        Args:
            source: The path of a regular file in the workspace or in /tmp, or bytes.
            name: What to go by.

        Raises:
            ValueError: It is too large, lies elsewhere, or is not a regular file.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
        else:
            data = _read(os.fsdecode(source))
            name = name or os.path.basename(os.fsdecode(source))
        if len(data) > LARGEST:
            raise ValueError("it has %d bytes; at most %d can be kept" % (len(data), LARGEST))
        self._hand_out(str(name or "file")[:200], data)


def _read(path: str) -> bytes:
    full = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    if not full.startswith(tuple(place + "/" for place in _PLACES)):
        raise ValueError("%s lies neither in the workspace nor in /tmp" % path)
    try:
        number = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(full):
            raise ValueError("%s is a link" % path) from error
        raise
    info = os.fstat(number)
    if not stat.S_ISREG(info.st_mode) or info.st_size > LARGEST:
        os.close(number)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("%s is not a regular file" % path)
        raise ValueError("%s has %d bytes; at most %d can be kept" % (path, info.st_size, LARGEST))
    with os.fdopen(number, "rb") as file:
        return file.read(LARGEST + 1)


def hand_out_figures(hand_out: HandOut) -> None:
    """Draw the figures that were left open, and close them."""
    plots = sys.modules.get("matplotlib.pyplot")
    if plots is None:
        return
    for number in plots.get_fignums():
        image = io.BytesIO()
        plots.figure(number).savefig(image, format="png")
        plots.close(number)
        hand_out("figure", image.getvalue())
