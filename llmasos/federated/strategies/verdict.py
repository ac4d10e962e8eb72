"""What became of a round."""

from __future__ import annotations

from dataclasses import dataclass

from llmasos.federated.events import Participant
from llmasos.federated.privacy import Budget
from llmasos.federated.weights import Weights


@dataclass(frozen=True)
class Refusal:
    """A client whose part in a round does not count, and why."""

    client: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What became of a round's replies.

    Args:
        participants: Whose updates are in the model; none when the round does not count.
        failed: Who gave no update.
        rejected: Whose update was refused.
        needed: How many updates the round needed.
        train_loss: Mean over the participants' samples.
        budget: Of privacy, spent so far; None without privacy.
    """

    round: int
    participants: tuple[Participant, ...] = ()
    failed: tuple[Refusal, ...] = ()
    rejected: tuple[Refusal, ...] = ()
    needed: int = 1
    train_loss: float | None = None
    budget: Budget | None = None

    @property
    def counted(self) -> bool:
        """Whether there is a new model."""
        return bool(self.participants)


@dataclass(frozen=True)
class Total:
    """The outcome of a secure aggregation: the mean of updates that nobody has seen.

    Args:
        mean: The weights' mean by samples, in float64; None when too few clients came to the end.
        samples: Of each node whose update is in it.
        loss: The mean training loss over these samples.
        failed: Nodes that dropped out, and why.
        rejected: Nodes that were left out, and why.
    """

    mean: Weights | None
    samples: dict[int, int]
    loss: float | None = None
    failed: tuple[tuple[int, str], ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
