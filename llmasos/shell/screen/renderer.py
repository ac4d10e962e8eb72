"""Drawing over the last frame where the terminal has broken its rows anew, because it got narrower."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout import Layout
from prompt_toolkit.layout.screen import Char, Screen
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import Renderer
from prompt_toolkit.styles import BaseStyle

# What terminals that break rows anew say of themselves. None can be asked whether it does; of one that says
# nothing it is not assumed, as going too far up would erase what was written above the frame.
_REFLOWING = (
    *("VTE_VERSION", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "ALACRITTY_WINDOW_ID"),
    *("KONSOLE_VERSION", "WT_SESSION"),
)
_REFLOWING_TERMS = ("tmux", "xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm")
# These inherit what the terminal that they were started in says.
_CUTTING = ("STY", "XTERM_VERSION")


def reflows(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal breaks rows anew that have become too long for it.

    Args:
        environment: The variables that the terminal has set, among others.
    """
    if "TMUX" in environment:
        return True
    if any(name in environment for name in _CUTTING):
        return False
    known = any(name in environment for name in _REFLOWING)
    return known or environment.get("TERM", "").startswith(_REFLOWING_TERMS)


def place(widths: Iterable[int], columns: int) -> tuple[int, int]:
    """Return the row, from 0, and the cell in it, at which letters end that a terminal breaks at its edge.

    Args:
        widths: The cells that each letter takes.
        columns: The cells of the terminal.
    """
    row = cell = 0
    for width in widths:
        if cell + width > columns:
            row, cell = row + 1, 0
        cell += width
    return row, cell


class FrameRenderer(Renderer):
    """Draws frames, each over the one before.

    Args:
        style: The styles.
        output: Where to.
        reflowing: Whether the terminal breaks rows anew.
    """

    def __init__(self, style: BaseStyle, output: Output, *, reflowing: bool) -> None:
        super().__init__(style, output)
        self._reflowing = reflowing

    def render(self, app: Application[Any], layout: Layout, is_done: bool = False) -> None:
        """Draw a frame."""
        self._find_cursor()
        before = self._last_screen
        super().render(app, layout, is_done)
        if self._reflowing and before is not None and self._shorter(before):
            # tmux breaks a row by the cells that it ever had, unless the whole of it was erased.
            self._last_screen = None
            super().render(app, layout, is_done)

    def erase(self, leave_alternate_screen: bool = True) -> None:
        """Take the last frame away."""
        self._find_cursor()
        super().erase(leave_alternate_screen)

    def _find_cursor(self) -> None:
        """Note how far beneath the frame's beginning the cursor is by now."""
        drawn, before = self._last_screen, self._last_size
        columns = self.output.get_size().columns
        if not self._reflowing or drawn is None or before is None or columns >= before.columns:
            return
        x, y = self._cursor_pos
        rows = [_written(drawn.data_buffer[number]) for number in range(y)]
        above = sum(place(widths, columns)[0] + 1 for widths in rows)
        row, cell = place((drawn.data_buffer[y][number].width for number in range(x)), columns)
        self._cursor_pos = Point(cell, above + row)

    def _shorter(self, before: Screen) -> bool:
        """Return whether a row has become shorter with the last frame."""
        drawn = self._last_screen
        return drawn is not None and any(
            len(_written(drawn.data_buffer[number])) < len(_written(before.data_buffer[number]))
            for number in range(min(drawn.height, before.height))
        )


def _written(row: Mapping[int, Char]) -> list[int]:
    """Return the cells of each letter of a row, up to the last one that can be seen."""
    last = max((number for number, letter in row.items() if letter.char.strip()), default=-1)
    return [row[number].width for number in range(last + 1)]
