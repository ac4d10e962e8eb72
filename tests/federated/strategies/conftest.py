"""A grid of clients that are functions, for tests of strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from llmasos.federated.messages import LOSS, PROXIMAL, SAMPLES, record_of, weights_of
from llmasos.federated.plan import Plan
from llmasos.federated.rounds import train_round
from llmasos.federated.strategies import Guarded
from llmasos.federated.weights import Weights


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower makes messages only in a process that knows which run it works for."""
    for name, value in {"_run_id": 1, "_node_id": 0, "_task_id": 0}.items():
        monkeypatch.setattr(TaskIdentity, name, value)


Train = Callable[[Weights, int], Weights]
"""Makes new weights of those of a round."""


def plan(**given: Any) -> Plan:
    """Return a plan for ten clients."""
    made = {"name": "p", "recipe": "logistic", "clients": 10, "data": {"sources": ["digits"]}, **given}
    return Plan.model_validate(made)


class FakeGrid(Grid):
    """Nodes 1, 2, ... whose replies a function makes; what it raises is an error reply."""

    def __init__(self, nodes: Iterable[int], answer: Callable[[Message], Message | None]) -> None:
        self.nodes, self.answer = list(nodes), answer
        self.sent: list[Message] = []
        self.received: list[Message] = []

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        replies = []
        for message in messages:
            self.sent.append(message)
            try:
                reply = self.answer(message)
            except Exception as error:
                reply = Message(Error(0, f"{type(error).__name__}: {error}"), reply_to=message)
            if reply is not None:
                replies.append(reply)
        self.received += replies
        return replies


def reply_of(
    message: Message, weights: Weights, samples: Any = 10, *, metrics: Mapping[str, Any] | None = None
) -> Message:
    """Return a client's reply to a train message."""
    measured = MetricRecord({SAMPLES: samples, **({LOSS: 1.0} if metrics is None else metrics)})
    return Message(RecordDict({"arrays": record_of(weights), "metrics": measured}), reply_to=message)


def clients(train: Train, samples: Mapping[int, int] | None = None) -> Callable[[Message], Message]:
    """Return clients that train by a function of the weights and the node, and use the proximal term."""

    def answer(message: Message) -> Message:
        node = message.metadata.dst_node_id
        weights = train(weights_of(message.content.array_records["arrays"]), node)
        metrics: dict[str, Any] = {LOSS: 1.0}
        if (mu := message.content.config_records["config"].get("proximal-mu")) is not None:
            metrics[PROXIMAL] = mu
        return reply_of(message, weights, (samples or {}).get(node, 10), metrics=metrics)

    return answer


def play(guarded: Guarded, grid: Grid, weights: Weights, number: int) -> Weights:
    """Run one round and return the model after it, which is the old one when the round does not count."""
    arrays, _ = train_round(guarded, grid, number, record_of(weights), ConfigRecord({}))
    return weights if arrays is None else weights_of(arrays)


def small() -> Weights:
    """Return a model of three arrays, one of them of integers."""
    return {
        "a": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
        "b": np.zeros(3, dtype=np.float64),
        "steps": np.array(5, dtype=np.int64),
    }


def moved(weights: Weights, by: float) -> Weights:
    """Return weights whose floats are moved by a number."""
    return {
        name: (array + array.dtype.type(by)) if array.dtype.kind == "f" else array + 1
        for name, array in weights.items()
    }
