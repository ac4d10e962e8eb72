"""Known values that are written so in a text that little but their letters is left, or encoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from llmasos.secrets.needles import Needles, copied
from llmasos.secrets.rewritten import Rewritten, core, unescaped, visible


class Disguise(NamedTuple):
    """Where a value may stand in a text, and whether it certainly does."""

    start: int
    end: int
    value: str
    certain: bool


def disguised(text: str, needles: Needles) -> Iterator[Disguise]:
    """Yield where the letters of values stand in a text, as it is and without its escapes."""
    for reading in _readings(text):
        written, flat = reading if isinstance(reading, str) else reading.text, core(reading)
        for hit in needles.find(flat.text):
            start, end = flat.before(hit.start, hit.end)
            certain = not hit.plain or copied(hit.value, written[start:end])
            yield Disguise(*flat.place(hit.start, hit.end), hit.value, certain)


def begun(text: str, needles: Needles) -> int:
    """Return from where on a text may be the beginning of a value in another writing, or its length."""
    cuts = [len(text)]
    for reading in _readings(text):
        flat = core(reading)
        at = needles.begun(flat.text)
        if at < len(flat.text):
            cuts.append(flat.place(at, at + 1)[0])
    return min(cuts)


def _readings(text: str) -> Iterator[Rewritten | str]:
    seen = visible(text)
    yield seen
    if (meant := unescaped(seen)) is not None:
        yield meant
