"""The local grid runs Flower's own strategies and ClientApps."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from llmasos.federated.local.grid import Answering, CrewGrid
from llmasos.federated.local.workers import Workers


def make_app() -> ClientApp:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        what = context.node_config.get("what")
        if what == "raises":
            raise RuntimeError("no data here")
        while what == "waits" and not Path(str(context.node_config["for"])).exists():
            pass
        if what == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        arrays = message.content["arrays"]
        assert isinstance(arrays, ArrayRecord)
        rounds = context.state.setdefault("kept", ConfigRecord({"rounds": 0}))
        assert isinstance(rounds, ConfigRecord)
        done = rounds["rounds"]
        assert isinstance(done, int)
        rounds["rounds"] = done + 1
        drawn = random.random() + float(np.random.random())
        new = arrays["w"].numpy() + float(context.node_config["step"]) + drawn
        metrics = MetricRecord({"num-examples": context.node_id, "rounds": done + 1})
        return Message(
            RecordDict({"arrays": ArrayRecord({"w": Array(new)}), "metrics": metrics}), reply_to=message
        )

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return Message(
            RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": 0.5})}), reply_to=message
        )

    return app


def grid_of(nodes: dict[int, dict[str, str | int | float | bool]], workers: int = 2) -> CrewGrid:
    return CrewGrid(Workers(Answering(make_app), workers), nodes, seconds=60.0, seed=7)


@pytest.fixture
def grid() -> Iterator[CrewGrid]:
    made = grid_of({node: {"step": float(node)} for node in range(2, 8)})
    yield made
    made.close()


def trained(grid: CrewGrid, rounds: int = 3) -> tuple[np.ndarray, int]:
    random.seed(0)
    result = FedAvg(fraction_train=0.5).start(
        grid, ArrayRecord({"w": Array(np.zeros(4))}), num_rounds=rounds, timeout=60.0
    )
    return result.arrays["w"].numpy(), len(result.evaluate_metrics_clientapp)


def test_replies_are_given_out_while_others_are_worked_on(tmp_path: Path) -> None:
    waited = tmp_path / "go on"
    grid = grid_of({2: {"step": 1.0}, 3: {"step": 1.0, "what": "waits", "for": str(waited)}})
    content = RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(2))})})
    replies = grid.send_and_receive([Message(content, node, "train", group_id="1") for node in (2, 3)])
    assert not next(replies).has_error()
    waited.touch()
    assert [reply.has_error() for reply in replies] == [False]
    grid.close()


def test_a_strategy_of_flowers_runs_unchanged_and_the_same_each_time(grid: CrewGrid) -> None:
    first, evaluated = trained(grid)
    assert evaluated == 3 and np.all(first > 0)
    for workers in (1, 2, 5):
        again = grid_of({node: {"step": float(node)} for node in range(2, 8)}, workers)
        assert trained(again)[0].tobytes() == first.tobytes()
        again.close()


def ask(grid: CrewGrid, nodes: list[int]) -> list[Message]:
    content = RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(2))})})
    return list(grid.send_and_receive([Message(content, node, "train", group_id="1") for node in nodes]))


def test_replies_come_in_the_order_of_the_messages(grid: CrewGrid) -> None:
    nodes = [7, 3, 5, 2, 6, 4]
    assert [reply.metadata.src_node_id for reply in ask(grid, nodes)] == nodes


def test_what_a_node_keeps_is_its_own(grid: CrewGrid) -> None:
    ask(grid, [2, 3])
    kept = {reply.metadata.src_node_id: reply.content["metrics"]["rounds"] for reply in ask(grid, [3, 4])}
    assert kept == {3: 2, 4: 1}


def test_a_client_that_fails_is_an_error_of_its_own() -> None:
    grid = grid_of({2: {"step": 1.0}, 3: {"what": "raises"}, 4: {"what": "dies"}, 5: {"step": 1.0}})
    replies = ask(grid, [2, 3, 4, 5])
    grid.close()
    assert [reply.has_error() for reply in replies] == [False, True, True, False]
    assert [reply.error.reason for reply in replies[1:3]] == [
        "it raised RuntimeError: no data here",
        "it died (signal 9)",
    ]


def test_messages_can_be_pushed_and_pulled(grid: CrewGrid) -> None:
    content = RecordDict({"arrays": ArrayRecord({"w": Array(np.zeros(2))})})
    names = grid.push_messages([grid.create_message(content, "train", node, "1") for node in (2, 3)])
    assert [reply.metadata.src_node_id for reply in grid.pull_messages(names)] == [2, 3]
    assert not list(grid.pull_messages(names))
