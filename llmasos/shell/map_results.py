"""The results of a map: a line of JSON for each input, shown, counted, kept and gone on with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.shell.output import say_json, say_text

if TYPE_CHECKING:
    from llmasos.events import Event

RESULTS = "results.jsonl"


class Lines:
    """Takes in the results as they come, and shows or keeps them.

    Args:
        file: Where they are kept, if anywhere.
        as_json: Whether they are printed as JSON.
        bar: Told how many are done, how many failed and how many there are.
    """

    def __init__(self, file: IO[str] | None, as_json: bool, bar: Callable[[int, int, float], None]) -> None:
        self.done = self.failed = 0
        self.total = 0.0
        self._file = file
        self._as_json = as_json
        self._bar = bar
        self._rest = ""

    def take(self, event: Event) -> None:
        """Take in what the map tells."""
        from llmasos.events import ActionOutput, Progress

        if isinstance(event, Progress) and event.total:
            self.total = event.total
            self._bar(self.done, self.failed, self.total)
        elif isinstance(event, ActionOutput) and event.stream == "stdout":
            *lines, self._rest = (self._rest + event.text).split("\n")
            for line in lines:
                self._add(line)

    def _add(self, line: str) -> None:
        try:
            result = json.loads(line)
        except ValueError:
            return
        good = result["status"] == "ok"
        self.done, self.failed = self.done + good, self.failed + (not good)
        if self._file is not None:
            self._file.write(f"{line}\n")
            self._file.flush()
        if self._as_json:
            say_json(line)
        elif self._file is None and good:
            say_text(result["output"], end="" if result["output"].endswith("\n") else "\n")


def opened(results: Path, *, resume: bool) -> IO[str]:
    """Open the results to add to; earlier ones are never written over.

    Raises:
        LLMasOSError: There are earlier results that nobody asked to go on with.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    file = results.open("a+b")
    if file.tell() and not resume:
        file.close()
        raise LLMasOSError(
            f"{results} has results already.", hint="Go on with --resume, or name another folder for --out."
        )
    # A line that was cut when it was stopped would spoil the one after it.
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    file.truncate(whole)
    return io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")


def done_before(results: Path) -> list[str]:
    """Return the inputs that are done by earlier results; a line without its end does not count."""
    found: list[str] = []
    for line in read_text(results).split("\n")[:-1] if results.exists() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        if result["status"] == "ok":
            found.append(result["item"])
    return found


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        LLMasOSError: It cannot be read.
    """
    try:
        return path.read_text()
    except OSError as error:
        raise LLMasOSError(f"{path} cannot be read: {error.strerror}.", hint="Check the name.") from None
    except UnicodeDecodeError:
        raise LLMasOSError(f"{path} is not in UTF-8.", hint="Save it in UTF-8.") from None
