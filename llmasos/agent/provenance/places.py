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
    alike: dict[frozenset[tuple[int, str]], list[_Place]] = {}
    for place in old:
        alike.setdefault(place.beside, []).append(place)
    budget = _MOST_COMPARED
    for place in new:
        nearest = alike.get(place.beside, [])
        if not nearest and budget > 0:
            budget -= len(old)
            nearest = _nearest(old, [_alike(place.beside, other.beside) for other in old])
        if len({other.name for other in nearest}) > 1:
            nearest = _nearest(nearest, [_alike(place.below, other.below) for other in nearest])
        elif not nearest and not ordered and budget > 0:
            # Where little is left of a line, it may still be known by where it stands.
            budget -= len(old)
            beside = [other for other in old if _alike(place.below, other.below) >= _ALIKE]
            nearest = _nearest(beside, [_alike(place.beside, other.beside) for other in beside], least=0.01)
        if (nearest or not ordered) and not any(other.name == place.name for other in nearest):
            yield place


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
