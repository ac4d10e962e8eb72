"""The story of a run: what its folder tells, with what a later start has done anew taken once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from llmasos.federated.events import ClientFailed, RoundEnded, RunEnded, UpdateRejected
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import Plan
from llmasos.federated.report.comparison import Comparison, kept
from llmasos.federated.schema import Schema

Refusal = ClientFailed | UpdateRejected

_T = TypeVar("_T")
_LARGEST = 1e30


@dataclass(frozen=True)
class Story:
    """What a report is made of.

    Args:
        clients: How many rows each client has, as it joined.
        rounds: Those that are done, in order.
        refusals: Who gave no update that counts, in which round and why.
        end: How it ended; None while it has not.
        comparison: With the same model trained centrally.
    """

    id: str
    plan: Plan
    schema: Schema | None
    clients: dict[str, int]
    rounds: tuple[RoundEnded, ...]
    refusals: tuple[Refusal, ...]
    started: datetime | None
    end: RunEnded | None
    comparison: Comparison

    @property
    def last(self) -> RoundEnded | None:
        """The last round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def epsilon(self) -> float | None:
        """What was spent of privacy; None without it."""
        spent = [one.epsilon for one in self.rounds if one.epsilon is not None]
        return max(spent) if spent else None

    @property
    def parts(self) -> Counter[str]:
        """In how many rounds each client's update counted."""
        return Counter(one.client for ended in self.rounds for one in ended.participants)

    def absent(self) -> list[str]:
        """Return the clients none of whose updates is in the model."""
        parts = self.parts
        return [name for name in self.clients if not parts[name]]


def story_of(folder: RunFolder, ended: RunEnded | None = None) -> Story:
    """Return what a run's folder tells.

    Args:
        folder: The run's folder.
        ended: How it ends, where that is not told yet.

    Raises:
        FederatedError: There is no plan.
    """
    plan, started = folder.plan, None
    clients: dict[str, int] = {}
    rounds: dict[int, RoundEnded] = {}
    refusals: list[Refusal] = []
    end: RunEnded | None = None
    for event, _ in folder.told():
        match event.type:
            case "run_started":
                plan, started, end = event.plan, started or event.at, None
                rounds = {number: one for number, one in rounds.items() if number <= event.after}
                refusals = [one for one in refusals if one.round <= event.after]
            case "client_joined":
                clients[event.client] = event.samples
            case "round_ended":
                rounds[event.round] = event
            case "client_failed" | "update_rejected":
                refusals.append(event)
            case "run_ended":
                end = event
    return Story(
        id=folder.id,
        plan=plan,
        schema=folder.schema,
        clients=clients,
        rounds=tuple(rounds[number] for number in sorted(rounds)),
        refusals=tuple(refusals),
        started=started,
        end=ended or end,
        comparison=kept(folder),
    )


def finite(value: float | None) -> float | None:
    """Return a number that can be drawn, or None."""
    return value if value is not None and abs(value) < _LARGEST else None


def thinned(things: Sequence[_T], most: int) -> list[_T]:
    """Return at most so many of some things, evenly, with the first and the last."""
    if len(things) <= most:
        return list(things)
    step = (len(things) - 1) / (most - 1)
    return [things[round(place * step)] for place in range(most)]
