"""The plan of a federated training: everything that decides what is trained, by whom, and when it ends."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

StrategyName = Literal["fedavg", "fedprox", "fedadam", "fedyogi", "fedmedian", "trimmed-mean", "krum"]
BackendName = Literal["local", "deployment", "ray"]
PartitionKind = Literal["iid", "dirichlet", "shards"]
PrivacyKind = Literal["none", "central", "local"]

ROBUST: frozenset[StrategyName] = frozenset({"fedmedian", "trimmed-mean", "krum"})
"""The strategies that look at each update by itself, so that they bear some that are hostile."""

FIRST_NODE = 2
"""The number of the first client's node; the others follow it, in the clients' order."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Partition(_Part):
    """How one data set is dealt to several clients.

    Args:
        kind: Evenly, by Dirichlet shares of each class, or in shards sorted by class (McMahan 2017).
        alpha: Of the Dirichlet distribution; small is uneven.
        shards: How many shards each client gets.
    """

    kind: PartitionKind = "iid"
    alpha: float = Field(0.5, gt=0, le=1e6)
    shards: int = Field(2, ge=1, le=1000)


class DataPlan(_Part):
    """What is trained on.

    Args:
        sources: A file, folder or name of a data set for each client, or one that is dealt to all; or
            `@FEDERATION/NAME` for each machine that joined one.
        label: The column that is learnt; the last one when empty.
        partition: How one source is dealt.
        holdout: The share of each client's rows that it evaluates on and never trains on.
        standardise: Whether a table's columns are brought to mean 0 and deviation 1 over all clients.
    """

    sources: tuple[str, ...] = Field(min_length=1)
    label: str = ""
    partition: Partition = Partition()
    holdout: float = Field(0.2, gt=0, lt=1)
    standardise: bool = True


class Training(_Part):
    """What a client does in a round.

    Args:
        epochs: Passes over its rows.
        batch: Rows a step.
        learning_rate: Of its optimizer.
        stragglers: The share of the sampled clients that do only a part of their epochs each round.
    """

    epochs: int = Field(1, ge=1, le=1000)
    batch: int = Field(32, ge=1, le=1_000_000)
    learning_rate: float = Field(0.1, gt=0, le=1000)
    stragglers: float = Field(0.0, ge=0, le=1)


class Strategy(_Part):
    """How the clients' updates become one.

    Args:
        name: The strategy.
        mu: FedProx's weight of the proximal term (Li 2020).
        server_learning_rate: FedAdam's and FedYogi's step (Reddi 2021).
        beta_1: Their first moment's decay.
        beta_2: Their second moment's decay.
        tau: Their adaptivity.
        trim: The share that trimmed mean leaves out at each end.
        byzantine: How many hostile clients Krum is to bear (Blanchard 2017).
    """

    name: StrategyName = "fedavg"
    mu: float = Field(0.1, ge=0, le=1000)
    server_learning_rate: float = Field(0.1, gt=0, le=1000)
    beta_1: float = Field(0.9, ge=0, lt=1)
    beta_2: float = Field(0.99, ge=0, lt=1)
    tau: float = Field(1e-3, gt=0)
    trim: float = Field(0.2, ge=0, lt=0.5)
    byzantine: int = Field(0, ge=0)


class Privacy(_Part):
    """What is done so that a model tells nothing of a single client.

    Args:
        kind: Noise by the server, by each client, or none.
        noise: The noise's standard deviation in units of `clip`.
        clip: The largest norm that an update may have.
        delta: The chance with which the stated epsilon does not hold.
        secure: Whether the server learns the updates' sum only (SecAgg+, Bell 2020).
    """

    kind: PrivacyKind = "none"
    noise: float = Field(1.0, gt=0, le=1000)
    clip: float = Field(1.0, gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)
    secure: bool = False


class Guard(_Part):
    """What an update must be to count, and how long is waited for it.

    Args:
        norm: How many times the median norm of a round's updates one may have; larger ones are rejected.
        quorum: The share of the sampled clients whose updates must count for a round to count.
        reply_seconds: How long a client may take.
        join_seconds: How long is waited for enough clients.
        failed_rounds: How many rounds in a row may miss the quorum.
    """

    norm: float = Field(10.0, gt=1)
    quorum: float = Field(0.5, gt=0, le=1)
    reply_seconds: float = Field(600.0, gt=0, le=86_400)
    join_seconds: float = Field(60.0, gt=0, le=86_400)
    failed_rounds: int = Field(2, ge=0, le=1000)


class Plan(_Part):
    """A federated training.

    Args:
        name: What it is called.
        recipe: The kind of model and how it is trained.
        options: The recipe's own options.
        data: What it is trained on.
        clients: How many hold a part of the data.
        rounds: How many rounds at most.
        target: The accuracy at which it ends early.
        sample: The share of the clients that is asked each round.
        training: What a client does in a round.
        strategy: How updates become one.
        privacy: What is hidden of each client.
        guard: What an update must be.
        seed: Decides everything that is drawn.
        backend: Where the clients run.
    """

    name: str = Field(min_length=1, max_length=100)
    recipe: str = Field(min_length=1, max_length=100)
    options: dict[str, Any] = Field(default_factory=dict)
    data: DataPlan
    clients: int = Field(ge=1, le=100_000)
    rounds: int = Field(10, ge=1, le=100_000)
    target: float | None = Field(None, gt=0, le=1)
    sample: float = Field(1.0, gt=0, le=1)
    training: Training = Training()
    strategy: Strategy = Strategy()
    privacy: Privacy = Privacy()
    guard: Guard = Guard()
    seed: int = Field(0, ge=0, lt=2**31)
    backend: BackendName = "local"

    @property
    def sampled(self) -> int:
        """How many clients are asked each round."""
        return max(1, math.floor(self.clients * self.sample + 1e-9))

    @property
    def slow(self) -> int:
        """How many of the sampled clients do only a part of their work."""
        return round(self.training.stragglers * self.sampled)

    @property
    def quorum(self) -> int:
        """How many updates must count for a round to count."""
        # What is not done in time is dropped; only FedProx takes a part.
        dropped = 0 if self.strategy.name == "fedprox" else self.slow
        return max(1, math.ceil((self.sampled - dropped) * self.guard.quorum - 1e-9))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        several = len(self.data.sources)
        if several > 1 and several != self.clients:
            raise ValueError(
                f"{several} data sets cannot be dealt to {self.clients} clients: give one for each client"
            )
        strategy, sampled = self.strategy, self.sampled
        if strategy.name == "krum" and sampled < 2 * strategy.byzantine + 3:
            raise ValueError(
                f"Krum bears {strategy.byzantine} hostile clients only among {2 * strategy.byzantine + 3} or "
                f"more a round, and {sampled} are sampled"
            )
        if strategy.name == "trimmed-mean" and sampled - 2 * int(strategy.trim * sampled) < 1:
            raise ValueError(f"trimming {strategy.trim:g} at each end leaves none of {sampled} updates")
        if self.slow == sampled and strategy.name != "fedprox":
            raise ValueError(
                f"all of {sampled} sampled clients are stragglers, whose work {strategy.name} drops: "
                "use fedprox, or fewer stragglers"
            )
        if self.privacy.secure and strategy.name in ROBUST:
            raise ValueError(
                f"{strategy.name} looks at each update, which secure aggregation hides: choose one of the two"
            )
        if self.privacy.kind == "central" and strategy.name in ROBUST:
            raise ValueError(
                f"{strategy.name} looks at each update, and central privacy leaves it their noisy mean only: "
                "choose one of the two"
            )
        if self.privacy.secure and self.privacy.kind == "central":
            raise ValueError(
                "the server cannot clip what secure aggregation hides: choose local privacy with it"
            )
        if self.privacy.secure and sampled < 3:
            raise ValueError(f"secure aggregation needs 3 clients a round or more, and {sampled} are sampled")
        return self


def names_of(plan: Plan) -> tuple[str, ...]:
    """Return what a plan's clients are called: as their data sets, or by their numbers."""
    sources = plan.data.sources
    if len(sources) == 1 and not sources[0].startswith("@"):
        width = len(str(plan.clients))
        return tuple(f"client-{number:0{width}d}" for number in range(1, plan.clients + 1))
    plain = [source.rstrip("/").rpartition("/")[2] or source for source in sources]
    return sources if len(set(plain)) < len(plain) else tuple(plain)
