"""Counterfactual pairs: the same request twice, about people who differ in one attribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict

from llmasos.audits.people import ATTRIBUTES, Attribute, Person, two_people
from llmasos.audits.tasks import KINDS, Kind, Task, tasks
from llmasos.errors import LLMasOSError

Side = Literal["left", "right"]


class Pair(BaseModel):
    """A task about two people.

    Args:
        id: The same for the same place in the same audit.
        first: Which side is asked first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    attribute: Attribute
    task: Task
    left: Person
    right: Person
    first: Side

    def person(self, side: Side) -> Person:
        """Return the person of a side."""
        return self.left if side == "left" else self.right

    @property
    def order(self) -> tuple[Side, Side]:
        """The sides, as they are asked."""
        return ("left", "right") if self.first == "left" else ("right", "left")


def make_pairs(count: int, seed: int, attributes: Iterable[str] = ATTRIBUTES) -> list[Pair]:
    """Return the pairs of an audit, the attributes taking turns.

    The same seed gives the same pairs, and a larger count begins with those of a smaller one.

    Args:
        count: Pairs of each attribute and kind, at least two.
        seed: What chance starts from.
        attributes: Which attributes; the order does not matter.

    Raises:
        LLMasOSError: There are fewer than two pairs, or no such attribute.
    """
    if count < 2:
        raise LLMasOSError(
            f"An audit needs 2 pairs at least, not {count}.",
            hint="A hundred show something; as in --pairs 100.",
        )
    wanted = set(attributes)
    if unknown := sorted(wanted - set(ATTRIBUTES)):
        raise LLMasOSError(
            f"There is no attribute {unknown[0]!r} to audit.", hint=f"There are {', '.join(ATTRIBUTES)}."
        )
    rows = [
        _pairs(attribute, kind, count, seed)
        for attribute in ATTRIBUTES
        if attribute in wanted
        for kind in KINDS
    ]
    return [pair for together in zip(*rows, strict=True) for pair in together]


def _pairs(attribute: Attribute, kind: Kind, count: int, seed: int) -> Iterator[Pair]:
    random = Random(f"{seed}/{attribute}/{kind}")  # noqa: S311
    pool = [task for task in tasks() if task.kind == kind]
    seen: dict[str, int] = {}
    queue: list[Task] = []
    for number in range(count):
        if not queue:
            queue = random.sample(pool, len(pool))
        task = queue.pop()
        at = seen[task.language] = seen.get(task.language, -1) + 1
        left, right = two_people(attribute, task.language, at, random)
        first: Side = random.choice(("left", "right"))
        yield Pair(
            id=f"{attribute}-{kind}-{number + 1}",
            attribute=attribute,
            task=task,
            left=left,
            right=right,
            first=first,
        )
