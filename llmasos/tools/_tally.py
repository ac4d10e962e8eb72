"""What becomes of many items: lines of JSON, their hash, and how it went in words."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from llmasos.display import display
from llmasos.errors import ToolError
from llmasos.tools.kernel import KernelContext

_NAMED_FAILURES = 5
_LONGEST = 300
_LARGEST_SAVED = 64_000_000


class Tally:
    """Adds up how the items of a map ended.

    Args:
        ctx: Where it is told.
        total: How many there are.
        saving: Keep the results for a file, in place of printing them.
    """

    def __init__(self, ctx: KernelContext, total: int, *, saving: bool) -> None:
        self._ctx = ctx
        self._total = total
        self._saving = saving
        self._lines: list[str] = []
        self._digest = hashlib.sha256()
        self._done = self._bytes = 0
        self._failures: list[str] = []
        self._failed = 0
        ctx.progress("Running", 0, total, "items")

    def add(self, result: Mapping[str, Any]) -> None:
        """Take in how an item ended, with `index`, `item`, `status`, `output`; they come in order."""
        line = json.dumps(result, ensure_ascii=False) + "\n"
        self._digest.update(line.encode("utf-8", "surrogateescape"))
        if result["status"] == "ok":
            self._done += 1
        else:
            self._failed += 1
            if self._failed <= _NAMED_FAILURES:
                self._failures.append(_failure(result))
        self._ctx.progress("Running", result["index"] + 1, self._total, "items")
        if not self._saving:
            self._ctx.output("stdout", line)
            return
        self._bytes += len(line)
        if self._bytes > _LARGEST_SAVED:
            raise ToolError(
                f"The items print more than {_LARGEST_SAVED // 1_000_000} MB together.",
                hint="Have each print less, or run it from a terminal: llmasos map.",
            )
        self._lines.append(line)

    def results(self) -> bytes:
        """Return the results as JSON lines."""
        return "".join(self._lines).encode("utf-8", "surrogateescape")

    def text(self, save_as: str) -> str:
        """Return how it went in words."""
        lines = [f"{self._done:,} of {self._total:,} items done, {self._failed:,} failed."]
        lines += self._failures
        if self._failed > _NAMED_FAILURES:
            lines.append(f"and {self._failed - _NAMED_FAILURES:,} more")
        lines.append(f"SHA-256 of the results: {self._digest.hexdigest()}")
        if save_as:
            lines.append(f"Saved in {save_as}, a line of JSON for each item.")
        return "\n".join(lines)


def _failure(result: Mapping[str, Any]) -> str:
    """Return a failure as a line: the item, how it ended, and the last thing that it printed."""
    code = result.get("exit_code")
    how = f"exit code {code}" if code is not None else result["status"]
    said = [line.strip() for line in result["output"].splitlines() if line.strip()]
    return display(": ".join([result["item"], how, *said[-1:]]))[:_LONGEST]


def not_done(names: Iterable[str], done: Counter[str]) -> list[str]:
    """Return the inputs that are left: one that comes several times is left out as often as it is done."""
    left = []
    for name in names:
        if done[name]:
            done[name] -= 1
        else:
            left.append(name)
    return left
