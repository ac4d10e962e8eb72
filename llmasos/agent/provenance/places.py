"""Places: which links, addresses and accounts of a text stay where they are when it is written anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from llmasos.agent.provenance.identifiers import identifiers
from llmasos.agent.provenance.normal import folded, words
from llmasos.decisions import Identifier

_LONGEST = 400_000
_MOST_COMPARED = 50_000
_NEAR = 8  # words on each side
_ALIKE = 0.5
_KINDS: tuple[Identifier, ...] = ("link", "address", "account", "host")


@dataclass(frozen=True)
class _Place:
    """Where something is named.

    Args:
        name: What is named.
        beside: The words before and behind it on its line, up to the next of its kind.
        below: The words of the last line before it that names nothing of its kind.
    """

    name: str
    beside: frozenset[tuple[int, str]]
    below: frozenset[str]


def kept(before: str, after: str) -> frozenset[str]:
    """Return what a new text names where the old one did; who takes another one's place is not among them.

    Lines may come, go and change their order. Where a line is reworded beyond recognition, as in a
    translation, what it names stays in its place when all of its kind are there, in their order.

    Args:
        before: The old text.
        after: The new one.
    """
    if len(before) + len(after) > _LONGEST:
        return frozenset()
    old, new = _places(before), _places(after)
    named = {place.name for places in new.values() for place in places}
    moved = {place.name for kind, places in new.items() for place in _moved(old[kind], places)}
    return frozenset(named - moved)


def _moved(old: Sequence[_Place], new: Sequence[_Place]) -> Iterator[_Place]:
    ordered = [place.name for place in old] == [place.name for place in new]
    comparison = _Comparison(old, ordered=ordered)
    for place in new:
        there = comparison.there(place)
        if (there or not ordered) and place.name not in there:
            yield place


class _Comparison:
    """Finds what the old text named where the new one names something.

    Anybody may have written either of them, so that what is compared is bounded, and places that look alike
    are looked for once.
    """

    def __init__(self, old: Sequence[_Place], *, ordered: bool) -> None:
        self._old = old
        self._ordered = ordered
        self._alike: dict[frozenset[tuple[int, str]], list[_Place]] = {}
        for place in old:
            self._alike.setdefault(place.beside, []).append(place)
        self._found: dict[tuple[Set[object], Set[object]], frozenset[str]] = {}
        self._budget = _MOST_COMPARED

    def there(self, place: _Place) -> frozenset[str]:
        """Return what stood where a place is; nothing when that cannot be said."""
        key = (place.beside, place.below)
        if key not in self._found:
            self._found[key] = frozenset(other.name for other in self._nearest(place))
        return self._found[key]

    def _nearest(self, place: _Place) -> list[_Place]:
        nearest = self._alike.get(place.beside, [])
        if not nearest and self._may(self._old):
            nearest = _nearest(self._old, [_alike(place.beside, other.beside) for other in self._old])
        if len(nearest) == 1:
            return nearest
        if nearest:
            if not self._may(nearest):
                return []
            return _nearest(nearest, [_alike(place.below, other.below) for other in nearest])
        if self._ordered or not self._may(self._old):
            return []
        # Where little is left of a line, it may still be known by where it stands.
        beside = [other for other in self._old if _alike(place.below, other.below) >= _ALIKE]
        return _nearest(beside, [_alike(place.beside, other.beside) for other in beside], least=0.01)

    def _may(self, places: Sequence[_Place]) -> bool:
        """Whether there is patience left to compare with some places."""
        if self._budget <= 0:
            return False
        self._budget -= len(places)
        return True


def _nearest(places: Sequence[_Place], likeness: Sequence[float], *, least: float = _ALIKE) -> list[_Place]:
    """Return those of some places that are the most alike, where they are so at all."""
    most = max(likeness, default=0.0)
    return [place for place, alike in zip(places, likeness, strict=True) if alike == most >= least]


def _alike(one: Set[object], other: Set[object]) -> float:
    """Return how much of two sets of words is the same: 0 to 1."""
    size = len(one) + len(other)
    return 2 * len(one & other) / size if size else 1.0


def _places(text: str) -> Mapping[Identifier, list[_Place]]:
    found: dict[Identifier, list[_Place]] = {kind: [] for kind in _KINDS}
    below: dict[Identifier, frozenset[str]] = dict.fromkeys(_KINDS, frozenset())
    for line in text.splitlines():
        spots = _spots(line)
        for kind in _KINDS:
            ends = [0, *(end for _, end in spots[kind])]
            starts = [*(start for start, _ in spots[kind]), len(line)]
            for number, (start, end) in enumerate(spots[kind]):
                ahead = words(folded(line[ends[number] : start]))[-_NEAR:]
                behind = words(folded(line[end : starts[number + 1]]))[:_NEAR]
                beside = {*((0, word) for word in ahead), *((1, word) for word in behind)}
                found[kind].append(_Place(spots[kind][start, end], frozenset(beside), below[kind]))
            if not spots[kind] and line.strip():
                below[kind] = frozenset(words(folded(line)))
    return found


def _spots(line: str) -> dict[Identifier, dict[tuple[int, int], str]]:
    """Return where a line names something, in their order."""
    spots: dict[Identifier, dict[tuple[int, int], str]] = {kind: {} for kind in _KINDS}
    if not line.strip():
        return spots
    low = line.lower()
    # Two words are read as prose, as the whole text is, and not as a file's name.
    for found in identifiers(f"- {line}"):
        if found.kind not in spots:
            continue
        wanted, start = found.text.lower(), low.find(found.text.lower())
        if start < 0:
            spots[found.kind][len(line), len(line)] = found.text
        while start >= 0:
            spots[found.kind][start, start + len(wanted)] = found.text
            start = low.find(wanted, start + len(wanted))
    return {kind: dict(sorted(places.items())) for kind, places in spots.items()}
