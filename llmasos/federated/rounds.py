"""The rounds of a training, the same for every backend: ask, guard, aggregate, evaluate, keep, tell."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from llmasos.federated.checkpoints import Checkpoint, keep
from llmasos.federated.events import (
    ClientFailed,
    EndState,
    Participant,
    RoundEnded,
    RunEnded,
    RunEvent,
    UpdateRejected,
)
from llmasos.federated.folder import RunFolder
from llmasos.federated.messages import SAMPLES, Task, arrays_of, bytes_of, metrics_of, weights_of, with_task
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import Score
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights, weights_sha256


@dataclass(frozen=True)
class Aggregate:
    """What became of a round's replies.

    Args:
        arrays: The new model; None when the quorum was missed.
        participants: Whose updates are in it.
        rejected: Whose are not, by node, with the reason.
        loss: The mean training loss over the participants' rows.
        epsilon: Spent so far; None without differential privacy.
    """

    arrays: ArrayRecord | None
    participants: Sequence[tuple[int, int, str]]
    rejected: Mapping[int, str]
    loss: float | None
    epsilon: float | None = None


class Aggregator(Protocol):
    """A strategy behind its guard."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Return the messages of a round."""

    def aggregate(self, server_round: int, arrays: ArrayRecord, replies: Sequence[Message]) -> Aggregate:
        """Return what replies with updates come to."""

    def state(self) -> tuple[Weights, Mapping[str, object]]:
        """Return what it keeps between rounds."""

    def restore(self, arrays: Weights, facts: Mapping[str, object]) -> None:
        """Go on with what it kept."""


Evaluate = Callable[[Weights], Score]


class Rounds:
    """Trains until all rounds are done, the target is reached, or it cannot go on.

    Args:
        plan: What is trained.
        schema: What the clients agreed on.
        grid: Reaches the clients.
        aggregator: Makes one model of their updates.
        clients: What each node is called.
        folder: Where checkpoints go.
        tell: Told each event.
        evaluate: Evaluates on rows that no client has; None has the clients evaluate.
    """

    def __init__(
        self,
        plan: Plan,
        schema: Schema,
        grid: Grid,
        aggregator: Aggregator,
        clients: Mapping[int, str],
        folder: RunFolder,
        tell: Callable[[RunEvent], None],
        evaluate: Evaluate | None = None,
    ) -> None:
        self._plan = plan
        self._schema = schema
        self._grid = grid
        self._aggregator = aggregator
        self._clients = clients
        self._folder = folder
        self._tell = tell
        self._evaluate = evaluate
        self._missed = 0

    def run(self, weights: Weights, after: int = 0) -> Weights:
        """Train, and return the model that came of it.

        Args:
            weights: What to begin with.
            after: The rounds that are done already.
        """
        state: EndState = "completed"
        reason, number = "", after
        for number in range(after + 1, self._plan.rounds + 1):
            weights, ended = self._round(number, weights)
            keep(self._folder, Checkpoint(number, weights, *self._aggregator.state()))
            self._tell(ended)
            self._missed = 0 if ended.participants else self._missed + 1
            if self._missed > self._plan.guard.failed_rounds:
                state = "failed"
                reason = f"in {self._missed} rounds in a row too few clients gave an update that counts"
                break
            if self._plan.target and ended.accuracy is not None and ended.accuracy >= self._plan.target:
                state, reason = "target", f"the accuracy is {ended.accuracy:.4f}"
                break
        sha256 = weights_sha256(weights)
        self._tell(
            RunEnded(run=self._folder.id, state=state, rounds=number, reason=reason, weights_sha256=sha256)
        )
        return weights

    def _round(self, number: int, weights: Weights) -> tuple[Weights, RoundEnded]:
        began = time.monotonic()
        random.seed(f"{self._plan.seed} {number}")
        arrays = arrays_of(weights)
        asked = self._tasks(
            number, self._aggregator.configure_train(number, arrays, ConfigRecord(), self._grid)
        )
        down, up = sum(map(bytes_of, asked)), 0
        replies = list(self._grid.send_and_receive(asked, timeout=self._plan.guard.reply_seconds))
        up += sum(map(bytes_of, replies))
        self._name_failures(number, asked, replies)
        made = self._aggregator.aggregate(number, arrays, [reply for reply in replies if reply.has_content()])
        for node, reason in made.rejected.items():
            self._tell(
                UpdateRejected(run=self._folder.id, round=number, client=self._name(node), reason=reason)
            )
        if made.arrays is not None:
            weights = weights_of(made.arrays)
        score, more_down, more_up = self._score(number, weights, [m.metadata.dst_node_id for m in asked])
        return weights, RoundEnded(
            run=self._folder.id,
            round=number,
            participants=tuple(
                Participant(client=self._name(node), samples=samples, update_sha256=sha256)
                for node, samples, sha256 in (made.participants if made.arrays is not None else ())
            ),
            train_loss=made.loss,
            loss=score.loss if score else None,
            accuracy=score.accuracy if score else None,
            weights_sha256=weights_sha256(weights),
            bytes_down=down + more_down,
            bytes_up=up + more_up,
            seconds=time.monotonic() - began,
            epsilon=made.epsilon,
        )

    def _tasks(self, number: int, messages: Sequence[Message]) -> list[Message]:
        """Give each client its work; some of it only a part, where the plan has stragglers (Li 2020)."""
        plan = self._plan
        generator = np.random.default_rng([plan.seed, number])
        slow = set(generator.permutation(len(messages))[: round(plan.training.stragglers * len(messages))])
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
            client=self._name(message.metadata.dst_node_id),
            recipe=plan.recipe,
            options=plan.options,
            schema=self._schema,
            holdout=0.0 if self._evaluate else plan.data.holdout,
            epochs=epochs,
            batch=plan.training.batch,
            learning_rate=plan.training.learning_rate,
            seed=plan.seed,
            round=number,
        )

    def _name_failures(self, number: int, asked: Sequence[Message], replies: Sequence[Message]) -> None:
        silent = {message.metadata.dst_node_id: "it did not answer in time" for message in asked}
        for reply in replies:
            node = reply.metadata.src_node_id
            silent.pop(node, None)
            if reply.has_error():
                silent[node] = reply.error.reason or f"error {reply.error.code}"
        for node, reason in silent.items():
            self._tell(
                ClientFailed(run=self._folder.id, round=number, client=self._name(node), reason=reason)
            )

    def _score(self, number: int, weights: Weights, nodes: Sequence[int]) -> tuple[Score | None, int, int]:
        """Return how well the model does, and the bytes that were sent to and from clients for it."""
        if self._evaluate is not None:
            return self._evaluate(weights), 0, 0
        content = RecordDict({"arrays": arrays_of(weights)})
        messages = [Message(content, node, "evaluate", group_id=str(number)) for node in nodes]
        asked = [with_task(message, self._task(message, number, 1)) for message in messages]
        replies = list(self._grid.send_and_receive(asked, timeout=self._plan.guard.reply_seconds))
        return _pooled([metrics_of(reply) for reply in replies]), sum(map(bytes_of, asked)), 0

    def _name(self, node: int) -> str:
        return self._clients.get(node, str(node))


def _pooled(scores: Sequence[MetricRecord]) -> Score | None:
    """Return the mean over all rows; what is not finite does not count."""
    total = loss = right = 0.0
    for score in scores:
        samples, one, accuracy = (score.get(name) for name in (SAMPLES, "loss", "accuracy"))
        if not (isinstance(samples, int) and isinstance(one, float) and isinstance(accuracy, float | int)):
            continue
        if samples > 0 and np.isfinite(one) and 0 <= accuracy <= 1:
            total, loss, right = total + samples, loss + samples * one, right + samples * accuracy
    return Score(loss / total, right / total) if total else None


def enough(plan: Plan, clients: int) -> None:
    """Check that there are as many clients as a plan needs.

    Raises:
        FederatedError: There are too few.
    """
    if clients < plan.clients:
        raise FederatedError(
            f"The training needs {plan.clients} clients, and {clients} are there.",
            hint="Start the others, or plan with fewer clients.",
        )
