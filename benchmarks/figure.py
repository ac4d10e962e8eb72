"""One line of the table of what models do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ["| what | bound | measured | beside | met |", "| --- | --- | --- | --- | --- |"]


@dataclass(frozen=True)
class Figure:
    """A figure, its bound, and what it was made of.

    Args:
        what: What was measured.
        value: The figure.
        beside: Ours and the peer's figures, in words.
        bound: What it must be at least, or may be at most; None for one that only informs.
        least: Whether more is better.
        unit: What follows the number.
    """

    what: str
    value: float
    beside: str = ""
    bound: float | None = None
    least: bool = True
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.bound is None or (self.value >= self.bound if self.least else self.value <= self.bound)

    def markdown(self) -> str:
        """Return the line in Markdown."""
        word = "at least" if self.least else "at most"
        bound = "" if self.bound is None else f"{word} {self.bound:g}{self.unit}"
        met = "" if self.bound is None else "yes" if self.met else "**missed**"
        shown = f"{self.value:.3g}" if abs(self.value) < 1 else f"{self.value:,.2f}"
        return f"| {self.what} | {bound} | {shown}{self.unit} | {self.beside} | {met} |"


def ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Return the ratio of two medians."""
    return statistics.median(upper) / statistics.median(lower)
