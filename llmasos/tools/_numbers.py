"""Numbers that a model says, held to those that it was told."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def made_up(sentence: str, known: str) -> list[str]:
    """Return the numbers of a sentence that stand nowhere in what it is about."""
    told = {_plain(number) for number in _NUMBER.findall(known)}
    return [number for number in _NUMBER.findall(sentence) if not _known(_plain(number), told)]


def _plain(number: str) -> float:
    return float(number.replace(",", ""))


def _known(number: float, told: set[float]) -> bool:
    # A rounded number is known, too.
    return any(
        number == one or (one and abs(number - one) / abs(one) < 0.006) or round(one) == number
        for one in told
    )
