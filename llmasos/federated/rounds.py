"""The rounds of a training, the same for every backend: ask, guard, aggregate, evaluate, keep, tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from llmasos.federated.checkpoints import Checkpoint, keep, last_round
from llmasos.federated.events import (
    ClientFailed,
    EndState,
    Refused,
    RoundEnded,
    RunEnded,
    RunEvent,
    UpdateRejected,
)
from llmasos.federated.folder import RunFolder
from llmasos.federated.messages import ACCURACY, LOSS, Task, record_of, weights_of, with_task
from llmasos.federated.metered import MeteredGrid
from llmasos.federated.plan import Plan
from llmasos.federated.recipes import Score
from llmasos.federated.schema import Schema
from llmasos.federated.secure.server import secure_train
from llmasos.federated.strategies import Guarded, state_of
from llmasos.federated.weights import Weights, weights_sha256

Evaluate = Callable[[Weights], Score]


class Rounds:
    """Trains until all rounds are done, the target is reached, or it cannot go on.

    Args:
        plan: What is trained.
        schema: What the clients agreed on.
        grid: Reaches the clients.
        strategy: Makes one model of the updates that may count.
        folder: Where checkpoints go.
        tell: Told each event.
        evaluate: Evaluates on rows that no client trains on; None has the clients evaluate.
    """

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        grid: Grid,
        strategy: Guarded,
        folder: RunFolder,
        tell: Callable[[RunEvent], None],
        evaluate: Evaluate | None = None,
    ) -> None:
        self._plan = plan
        # How many rows each of very many clients has is nobody else's business.
        self._schema = schema.model_copy(update={"rows": ()})
        self._grid = MeteredGrid(grid)
        self._strategy = strategy
        self._folder = folder
        self._tell = tell
        self._evaluate = evaluate
        self._keeper = ThreadPoolExecutor(1)
        self._kept: Future[None] | None = None

    def run(self, weights: Weights, after: int = 0) -> Weights:
        """Train, and return the model that came of it.

        Args:
            weights: What to begin with.
            after: The rounds that are done already.

        Raises:
            FederatedError: It cannot go on; the last round's checkpoint stays.
        """
        number, ended = after, self._last(after)
        try:
            with self._keeper:
                while number < self._plan.rounds and not self._reached(ended):
                    number += 1
                    weights, ended = self._round(number, weights)
                    self._keep(ended, weights)
                self._wait_for_kept()
        finally:
            # A signal may have cut the first wait short, and the run's end is told after its last round.
            self._keeper.shutdown()
        state: EndState = "completed"
        reason = ""
        if ended is not None and self._reached(ended):
            state, reason = "target", f"the accuracy is {ended.accuracy:.4f}"
        sha256 = weights_sha256(weights)
        self._tell(
            RunEnded(run=self._folder.id, state=state, rounds=number, reason=reason, weights_sha256=sha256)
        )
        return weights

    def _last(self, number: int) -> RoundEnded | None:
        """Return how the round before ended, and tell it if a crash came between its checkpoint and that."""
        ended = last_round(self._folder, number)
        told = (event.round for event, _ in self._folder.told() if isinstance(event, RoundEnded))
        if ended is not None and number > max(told, default=0):
            self._tell(ended)
        return ended

    def _reached(self, ended: RoundEnded | None) -> bool:
        target = self._plan.target
        return bool(target and ended and ended.accuracy is not None and ended.accuracy >= target)

    def _keep(self, ended: RoundEnded, weights: Weights) -> None:
        """Put a round on the disk, and then tell it, while the next one is under way."""
        memory = state_of(self._strategy)
        checkpoint = Checkpoint(ended.round, weights, memory.weights, memory.facts, ended)

        def work() -> None:
            keep(self._folder, checkpoint)
            self._tell(ended)

        self._wait_for_kept()
        self._kept = self._keeper.submit(work)

    def _wait_for_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.result()

    def _round(self, number: int, weights: Weights) -> tuple[Weights, RoundEnded]:
        began = time.monotonic()
        self._grid.forget()
        try:
            made, _ = train_round(
                self._strategy, self._grid, number, record_of(weights), ConfigRecord(), self._tasks
            )
        finally:
            self._tell_refused(number)
        if made is not None:
            weights = weights_of(made)
        verdict = self._strategy.verdict
        score = self._score(number, weights)
        return weights, RoundEnded(
            run=self._folder.id,
            round=number,
            participants=verdict.participants,
            failed=tuple(Refused(client=one.client, reason=one.reason) for one in verdict.failed),
            rejected=tuple(Refused(client=one.client, reason=one.reason) for one in verdict.rejected),
            train_loss=verdict.train_loss,
            loss=score.loss if score else None,
            accuracy=score.accuracy if score else None,
            weights_sha256=weights_sha256(weights),
            bytes_down=self._grid.down,
            bytes_up=self._grid.up,
            seconds=time.monotonic() - began,
            epsilon=verdict.budget.epsilon if verdict.budget else None,
        )

    def _tell_refused(self, number: int) -> None:
        verdict, run = self._strategy.verdict, self._folder.id
        if verdict.failed or verdict.rejected:
            self._wait_for_kept()
        for one in verdict.failed:
            self._tell(ClientFailed(run=run, round=number, client=one.client, reason=one.reason))
        for one in verdict.rejected:
            self._tell(UpdateRejected(run=run, round=number, client=one.client, reason=one.reason))

    def _tasks(self, number: int, messages: Sequence[Message]) -> list[Message]:
        """Give each client its work; some of it only a part, where the plan has stragglers (Li 2020)."""
        plan = self._plan
        generator = np.random.default_rng([plan.seed, number])
        slow = set(generator.permutation(len(messages))[: plan.slow])
        asked = []
        for place, message in enumerate(messages):
            epochs = plan.training.epochs
            if place in slow:
                epochs = int(generator.integers(1, plan.training.epochs + 1))
                if plan.strategy.name != "fedprox":
                    # What is not done in time is dropped; only FedProx takes a part.
                    continue
            asked.append(with_task(message, self._task(message, number, epochs)))
        return asked

    def _task(self, message: Message, number: int, epochs: int) -> Task:
        plan = self._plan
        return Task(
            client=self._strategy.sieve.called(message.metadata.dst_node_id),
            recipe=plan.recipe,
            options=plan.options,
            schema=self._schema,
            holdout=plan.data.holdout,
            epochs=epochs,
            batch=plan.training.batch,
            learning_rate=plan.training.learning_rate,
            privacy=plan.privacy,
            seed=plan.seed,
            round=number,
        )

    def _score(self, number: int, weights: Weights) -> Score | None:
        if self._evaluate is not None:
            return self._evaluate(weights)
        drawn = self._strategy.configure_evaluate(number, record_of(weights), ConfigRecord(), self._grid)
        asked = [with_task(message, self._task(message, number, 1)) for message in drawn]
        replies = self._grid.send_and_receive(asked, timeout=self._plan.guard.reply_seconds)
        metrics = self._strategy.aggregate_evaluate(number, replies) or MetricRecord()
        loss, accuracy = metrics.get(LOSS), metrics.get(ACCURACY)
        if isinstance(loss, int | float) and isinstance(accuracy, int | float):
            return Score(float(loss), float(accuracy))
        return None


def train_round(
    strategy: Guarded,
    grid: Grid,
    number: int,
    arrays: ArrayRecord,
    config: ConfigRecord,
    dressed: Callable[[int, Sequence[Message]], Sequence[Message]] = lambda number, messages: messages,
) -> tuple[ArrayRecord | None, MetricRecord | None]:
    """Return the model after a round and the training's metrics, or Nones when the round does not count.

    Every wait ends after the times of the plan's guard. What became of each client is in `strategy.verdict`.

    Args:
        number: Of the round, from 1 on.
        arrays: The model before it.
        config: What else clients are told.
        dressed: Returns the messages that are sent of those that the strategy made.

    Raises:
        FederatedError: The run cannot go on.
    """
    messages = dressed(number, strategy.configure_train(number, arrays, config, grid))
    strategy.ask_only([message.metadata.dst_node_id for message in messages])
    seconds = strategy.plan.guard.reply_seconds
    if strategy.plan.privacy.secure:
        return strategy.aggregate_total(number, secure_train(grid, messages, strategy.sieve.checked, seconds))
    return strategy.aggregate_train(number, grid.send_and_receive(messages, timeout=seconds))
