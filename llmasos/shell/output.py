"""What everything here writes to standard output and error with: foreign text is shown, never obeyed."""

from __future__ import annotations

import shutil
import sys
import traceback
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from llmasos.display import Stream, display, display_json
from llmasos.language import translated
from llmasos.shell.words import wrapped

T = TypeVar("T", bound=Any)
_NARROWEST, _SET_IN = 24, 6


def say(line: str = "", *, err: bool = False) -> None:
    """Write one line, whatever it holds, in the person's language where it is ours.

    Args:
        line: The line; a newline in it is shown as `\\n`.
        err: To standard error.
    """
    print(display(translated(line)), file=sys.stderr if err else sys.stdout, flush=True)


def say_wrapped(line: str, indent: int) -> None:
    """Write one line; a terminal that is too narrow for it has it broken between words.

    Args:
        line: The line.
        indent: Cells by which what follows is set in; less where hardly any room would be left.
    """
    if not sys.stdout.isatty():
        say(line)
        return
    columns = shutil.get_terminal_size().columns
    indent = indent if columns - indent >= _NARROWEST else _SET_IN
    for each in wrapped(display(translated(line)), columns, indent=indent):
        print(each, flush=True)


def say_found(
    found: T, as_json: bool, lines: Callable[[T], Iterable[str]], *, indent: int | None = None
) -> None:
    """Write what was asked for, in lines for people, or as JSON with a line for each of several.

    Args:
        found: One model of the API, or a list of them.
        as_json: Which of both.
        lines: Returns the lines.
        indent: Cells by which the rest of a line is set in that is too long; None leaves it to the terminal.
    """
    if not as_json:
        for line in lines(found):
            if indent is None:
                say(line)
            else:
                say_wrapped(line, indent)
        return
    for one in found if isinstance(found, list | tuple) else [found]:
        say_json(one.model_dump_json())


def say_text(text: str, *, end: str = "\n", of: Stream | None = None) -> None:
    """Write text of several lines.

    Args:
        text: The text.
        end: What follows it.
        of: What the text is a piece of, if it is one.
    """
    print(display(text, keep_newlines=True) if of is None else of.show(text), end=end, flush=True)


def say_json(text: str) -> None:
    """Write one line of JSON, with the same value in characters that no terminal obeys.

    Args:
        text: The JSON.
    """
    print(display_json(text), flush=True)


def say_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an error that nobody expected; Python itself would write its text as it is."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print(display(text, keep_newlines=True), end="", file=sys.stderr, flush=True)


def standard_output() -> BinaryIO:
    """Return where a file's bytes go: as they are into a pipe, and as they may be seen on a terminal."""
    return _Terminal() if sys.stdout.isatty() else sys.stdout.buffer


def write_file(text: str) -> None:
    """Write a file's text like its bytes."""
    standard_output().write(text.encode("utf-8", "surrogateescape"))


class _Terminal(BytesIO):
    """Shows what is written."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._stream = Stream()

    def write(self, data: Any) -> int:
        sys.stdout.write(self._stream.show(self._decoder.decode(bytes(data))))
        return len(data)
