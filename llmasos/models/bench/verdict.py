"""The verdict: what a model with its marks can be trusted with, as far as so many requests can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmasos.models.bench.marks import Mark

# Two-sided 95 % of a normal distribution.
_Z = 1.959964
# What share of all actions a model has to get right, even at the low end of what its marks allow: nine in
# ten for several in a row, three in four where each is looked at, and half.
_LEVELS = (
    (0.9, "It can be trusted with whole turns: nearly every action is the one that was meant."),
    (0.75, "It can be trusted with single actions; look at each before you approve it."),
    (0.5, "Use it for simple requests, and commit nothing unseen."),
)
_WIDEST = 0.4
_USABLE = 0.8


def interval(right: int, asked: int) -> tuple[float, float]:
    """Return between which shares of all requests a model gets right, with 95 % confidence.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).

    Args:
        right: Requests that it got right.
        asked: Of how many.
    """
    if not asked:
        return 0.0, 1.0
    share, part = right / asked, _Z**2 / asked
    centre = share + part / 2
    half = math.sqrt(part * (share * (1 - share) + part / 4))
    return max(0.0, (centre - half) / (1 + part)), min(1.0, (centre + half) / (1 + part))


def verdict(marks: Sequence[Mark]) -> str:
    """Return in words what a model with these marks can be trusted with."""
    asked, right = len(marks), sum(one.arguments for one in marks)
    if not asked:
        return "Nothing was measured."
    low, high = interval(right, asked)
    usable = interval(sum(one.valid for one in marks), asked)
    shares = f"{100 * low:.0f} to {100 * high:.0f} %"
    said = f"Right in {right} of {asked} requests: {shares} of all such requests, with 95 % confidence."
    if high - low > _WIDEST:
        return f"{said} These are too few to say what it can be trusted with; measure with more."
    for least, words in _LEVELS:
        if low >= least:
            return f"{said} {words}{_wrong(low)}"
    if usable[1] < _USABLE:
        return f"{said} It often writes nothing that can be used; choose another model."
    return f"{said} It does not choose tools well enough to act; use it for text only."


def _wrong(low: float) -> str:
    """Say how many actions may be wrong, where that is one in a few."""
    one_in = math.floor(1 / (1 - low))
    return f" Up to one action in {one_in} may be wrong." if one_in <= 10 else ""
