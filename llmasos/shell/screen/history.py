"""The lines that were sent earlier, in a file that may be full or unreadable."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prompt_toolkit.history import FileHistory


class LenientHistory(FileHistory):
    """A history whose file costs no line: one that cannot be kept is sent all the same."""

    def load_history_strings(self) -> Iterable[str]:
        """Return the lines, newest first; none where they cannot be read."""
        with suppress(OSError):
            return list(super().load_history_strings())
        return []

    def store_string(self, string: str) -> None:
        """Write a line, where that is possible."""
        # What the encoding has no bytes for are those that the terminal sent wrongly.
        with suppress(OSError, UnicodeEncodeError):
            super().store_string(string)
