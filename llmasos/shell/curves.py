"""Curves in text: a line of figures drawn with the dots of Braille characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The bits of a Braille character's dots, by row and column (Unicode 16, chapter 21.1).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800


def plot(figures: Sequence[float], columns: int, lines: int) -> list[str]:
    """Return a curve of figures, the first one at the left and the largest one at the top.

    Args:
        figures: What is drawn; those that are not finite are left out.
        columns: Characters of each line.
        lines: How many lines.
    """
    cells = [[0] * columns for _ in range(lines)]
    finite = [one for one in figures if math.isfinite(one)]
    if finite:
        low, high = min(finite), max(finite)
        wide, tall = 2 * columns - 1, 4 * lines - 1
        before: int | None = None
        for x in range(wide + 1):
            figure = _at(figures, x / wide * (len(figures) - 1))
            if not math.isfinite(figure):
                before = None
                continue
            y = tall - round((figure - low) / (high - low) * tall) if high > low else tall
            # A step is drawn as a line from the height before.
            begun = y if before is None else before
            for each in range(min(y, begun), max(y, begun) + 1):
                cells[each // 4][x // 2] |= _DOTS[each % 4][x % 2]
            before = y
    return ["".join(chr(_EMPTY + cell) for cell in line) for line in cells]


def _at(figures: Sequence[float], place: float) -> float:
    """Return the figure at a place between two, on the line from the one to the other."""
    left = int(place)
    right = min(left + 1, len(figures) - 1)
    return figures[left] + (figures[right] - figures[left]) * (place - left if right > left else 0.0)
