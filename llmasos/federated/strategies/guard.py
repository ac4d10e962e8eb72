"""The guard: any of Flower's strategies, given only updates that may count, and never left waiting."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.app.exception import AppExitException
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from llmasos.federated.events import Participant
from llmasos.federated.messages import LOSS, SAMPLES, record_of, said, weights_of
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError
from llmasos.federated.privacy import Budget, Draw, budget, release, secret_normals
from llmasos.federated.strategies.choose import needed, tune
from llmasos.federated.strategies.roster import gathered, seeded
from llmasos.federated.strategies.sieve import Sieve
from llmasos.federated.strategies.updates import Unfit, Update, as_replies, as_types, mean
from llmasos.federated.strategies.verdict import Refusal, Total, Verdict
from llmasos.federated.weights import Weights, weights_sha256

_KEPT = 100
"""Accepted norms that are remembered for rounds with too few updates for a median."""


class Guarded(Strategy):  # type: ignore[misc, unused-ignore]
    """A strategy of Flower's behind a guard.

    Replies that are errors, unreadable, incomplete, of wrong shapes or types, not finite, out of norm, or
    trained without FedProx's term are named in `verdict` and never reach the strategy. The rest reaches it as
    float64 in the order of the nodes, so that a mean is exact to 1e-15 and the same in whatever order they
    came; what it makes is cast back to the model's types. With central privacy it gets one update, the
    private mean, so that also what FedAdam and FedYogi remember is private; the norm is then bounded by
    clipping alone, for a median would let one client decide over the others.

    Args:
        strategy: What aggregates.
        plan: What was agreed.
        reference: The model's weights: names, shapes and types.
        names: What the clients at the nodes are called; a node's number when it is not here.
        samples: How many rows the nodes have; no client may count more.
        draw: Where central privacy's noise comes from; the system's secure generator but in tests.
    """

    def __init__(
        self,
        strategy: Strategy,
        plan: Plan,
        reference: Mapping[str, npt.NDArray[Any]],
        *,
        names: Mapping[int, str] | None = None,
        samples: Mapping[int, int] | None = None,
        draw: Draw = secret_normals,
    ) -> None:
        for name, array in reference.items():
            if array.dtype.kind not in "fiub":
                raise FederatedError(
                    f"{name} is of type {array.dtype}, which cannot be averaged",
                    hint="Let the recipe return arrays of numbers.",
                )
        self.strategy, self.plan = strategy, plan
        self.current: Weights = dict(reference)
        self.sieve = Sieve(plan, dict(names or {}), dict(samples or {}))
        self.draw = draw
        self.verdict = Verdict(0, needed=needed(plan))
        self.norms: list[float] = []
        self.missed = 0
        self.taken: dict[str, int] = {}
        self._asked: list[int] = []

    def summary(self) -> None:
        """Log what the strategy is."""
        self.strategy.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Return a round's messages to clients that are drawn by the plan's seed and the round.

        With central privacy the draw is secret.

        Raises:
            FederatedError: Too few clients are there within the plan's time.
        """
        self.current = weights_of(arrays)
        secret = self.plan.privacy.kind == "central"
        seed = secrets.randbits(256) if secret else f"{self.plan.seed}/{server_round}/train"
        roster = gathered(grid, needed(self.plan), self.plan.guard.join_seconds)
        with seeded(seed), self._own_errors():
            messages = list(self.strategy.configure_train(server_round, arrays, config, roster))
        self._asked = [message.metadata.dst_node_id for message in messages]
        return messages

    def ask_only(self, nodes: Iterable[int]) -> None:
        """Say which of the clients that were drawn are asked in fact; no others are missed."""
        self._asked = list(nodes)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Return a new model and the training's metrics, or two Nones when the round does not count.

        Raises:
            FederatedError: Too many rounds in a row did not count, or the new model is not finite.
        """
        came = self.sieve.sift(replies, self._asked, self.current)
        self._count_local(came.nodes)
        accepted, wild = self.sieve.within_norm(came.updates, self.norms)
        refused = (*came.rejected, *wild)
        hostile = {one.client for one in refused} - {one.client for one in accepted}
        verdict = Verdict(server_round, (), came.failed, refused, needed(self.plan, len(hostile)))
        if len(accepted) < verdict.needed:
            return self._missed(verdict)
        self.norms = [*self.norms, *(update.norm for update in accepted)][-_KEPT:]
        loss = mean([(update.samples, update.metrics[LOSS]) for update in accepted if LOSS in update.metrics])
        participants = tuple(
            Participant(client=one.client, samples=one.samples, update_sha256=self._told(one.sha256))
            for one in accepted
        )
        tune(self.strategy, self.plan, len(accepted), len(hostile))
        given = [self._private(accepted)] if self.plan.privacy.kind == "central" else accepted
        return self._settle(replace(verdict, participants=participants, train_loss=loss), given)

    def aggregate_total(
        self, server_round: int, total: Total
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Return what `aggregate_train` does, for a mean that a secure aggregation made."""
        self._count_local(())
        failed = tuple(Refusal(self.sieve.called(node), reason) for node, reason in total.failed)
        rejected = tuple(Refusal(self.sieve.called(node), reason) for node, reason in total.rejected)
        verdict = Verdict(server_round, (), failed, rejected, self.plan.quorum)
        if total.mean is None or len(total.samples) < verdict.needed:
            return self._missed(verdict)
        participants = tuple(
            Participant(client=self.sieve.called(node), samples=samples)
            for node, samples in sorted(total.samples.items())
        )
        metrics = {} if total.loss is None else {LOSS: total.loss}
        only = Update(0, "all", sum(total.samples.values()), total.mean, metrics, "", 0.0)
        return self._settle(replace(verdict, participants=participants, train_loss=total.loss), [only])

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Return the messages that ask clients how good a model is."""
        roster = gathered(grid, 1, self.plan.guard.join_seconds)
        with seeded(f"{self.plan.seed}/{server_round}/evaluate"), self._own_errors():
            return list(self.strategy.configure_evaluate(server_round, arrays, config, roster))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Return the metrics over all clients that could tell them, weighed by their samples."""
        told: dict[int, Update] = {}
        for reply in sorted(replies, key=lambda one: one.metadata.src_node_id):
            with suppress(Unfit):
                if not reply.has_error():
                    node = reply.metadata.src_node_id
                    samples, metrics = self.sieve.metrics(reply)
                    told[node] = Update(node, self.sieve.called(node), samples, {}, metrics, "", 0.0)
        # What most measure is what is meant; who leaves a part of it out does not take it from the others.
        often = Counter(name for update in told.values() for name in update.metrics)
        meant = {name for name, times in often.items() if 2 * times > len(told)}
        fit = [update for update in told.values() if meant <= set(update.metrics)]
        with self._own_errors():
            return self.strategy.aggregate_evaluate(server_round, self._replies(fit))

    def _private(self, accepted: list[Update]) -> Update:
        privacy, asked = self.plan.privacy, len(self._asked) or self.plan.sampled
        arrays = release([one.arrays for one in accepted], self.current, privacy, asked, self.draw)
        samples = sum(one.samples for one in accepted)
        return Update(0, "all", samples, arrays, _mean_metrics(accepted), "", 0.0)

    def _settle(
        self, verdict: Verdict, updates: list[Update]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        with self._own_errors(), np.errstate(all="ignore"):
            made, metrics = self.strategy.aggregate_train(verdict.round, self._replies(updates))
            arrays = {} if made is None else as_types(weights_of(made), self.current)
        if not arrays:
            return self._missed(verdict)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FederatedError(
                f"the model is not finite any more after round {verdict.round}",
                hint="Lower the learning rates, or raise tau, and resume from the last checkpoint.",
            )
        self.missed = 0
        if self.plan.strategy.name == "krum":
            chosen = weights_sha256(arrays)
            shas = {update.client: update.sha256 for update in updates}
            left = tuple(one for one in verdict.participants if shas.get(one.client) == chosen)
            verdict = replace(verdict, participants=left or verdict.participants)
        if self.plan.privacy.kind == "central":
            self._count([one.client for one in verdict.participants])
        self.verdict = replace(verdict, budget=self.spent())
        return record_of(arrays), metrics

    def _missed(self, verdict: Verdict) -> tuple[None, None]:
        self.missed += 1
        self.verdict = replace(verdict, participants=(), train_loss=None, budget=self.spent())
        if self.missed > self.plan.guard.failed_rounds:
            refused = (*verdict.failed, *verdict.rejected)[:3]
            named = "; ".join(f"{one.client}: {one.reason}" for one in refused)
            raise FederatedError(
                f"round {verdict.round} needs {verdict.needed} updates and has too few, the "
                f"{_nth(self.missed)} time in a row" + (f" ({named})" if named else ""),
                hint="See to the clients that are named, or lower guard.quorum, and resume.",
            )
        return None, None

    def spent(self) -> Budget | None:
        """Return the privacy budget that is spent."""
        return budget(self.plan, max(self.taken.values(), default=0))

    def _count_local(self, came: Sequence[int]) -> None:
        # A locally private update is out once it was sent, whether it then counts or not.
        if self.plan.privacy.kind == "local":
            self._count([self.sieve.called(node) for node in self._asked or came])

    def _count(self, clients: Iterable[str]) -> None:
        for client in clients:
            self.taken[client] = self.taken.get(client, 0) + 1

    def _replies(self, updates: list[Update]) -> list[Message]:
        arrays_key = getattr(self.strategy, "arrayrecord_key", "arrays")
        return as_replies(updates, arrays_key, getattr(self.strategy, "weighted_by_key", SAMPLES))

    def _told(self, sha256: str) -> str:
        # A hash of what is to be hidden would let a guess be checked.
        return sha256 if self.plan.privacy.kind != "central" else ""

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except AppExitException as error:
            name = type(self.strategy).__name__
            raise FederatedError(f"{name} cannot go on: {said(str(error))}") from error


def _mean_metrics(updates: list[Update]) -> dict[str, float]:
    common = set.intersection(*(set(update.metrics) for update in updates))
    means = {name: mean([(one.samples, one.metrics[name]) for one in updates]) for name in sorted(common)}
    return {name: value for name, value in means.items() if value is not None}


def _nth(count: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(count, f"{count}th")
