"""The bytes to the terminal: whole frames at once, so that nothing flickers."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

# What is between them is drawn at once where the terminal knows it (mode 2026), and as it comes elsewhere.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"


class FrameOutput(Vt100_Output):
    """Output to a terminal that can keep several writes for one.

    Args:
        file: The terminal.
    """

    def __init__(self, file: TextIO) -> None:
        def size() -> Size:
            try:
                columns, rows = os.get_terminal_size(file.fileno())
            except OSError:
                columns, rows = 80, 24
            # A terminal that does not know its size says that it is nothing.
            return Size(rows=rows or 24, columns=columns or 80)

        super().__init__(
            file,
            size,
            term=os.environ.get("TERM"),
            # https://no-color.org: any value that is not empty counts.
            default_color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
            enable_cpr=False,
        )
        self._held = 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Keep what is written, and write it at the end."""
        self._held += 1
        if self._held == 1:
            self.write_raw(_BEGIN)
        try:
            yield
        finally:
            self._held -= 1
            if not self._held:
                self.write_raw(_END)
                self.flush()

    def erase_down(self) -> None:
        """Erase from the beginning of the cursor's row to the end of the screen."""
        # tmux puts a screen that is erased from its very first cell into its history, and that would stay.
        self.erase_end_of_line()
        self.cursor_forward(1)
        super().erase_down()
        self.cursor_backward(1)

    def flush(self) -> None:
        """Write what was kept, unless a frame is open."""
        if not self._held:
            super().flush()


class Paper(io.TextIOBase):
    """A standard stream whose text is handed on.

    Args:
        stream: The stream that it stands for.
        write: Takes the text.
    """

    def __init__(self, stream: TextIO, write: Callable[[str], None]) -> None:
        self._stream = stream
        self._write = write

    def write(self, text: str) -> int:
        """Hand text on."""
        self._write(text)
        return len(text)

    def isatty(self) -> bool:
        """Return whether it is a terminal, which it is."""
        return True

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The terminal's encoding."""
        return self._stream.encoding


@contextmanager
def printed_to(write: Callable[[str], None]) -> Iterator[None]:
    """Hand all that is printed on standard output and error to a function."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Paper(out, write), Paper(err, write)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
