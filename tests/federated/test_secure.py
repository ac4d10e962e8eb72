"""Secure aggregation: the sum is right, and it is all that the server learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto

from llmasos.federated.messages import LOSS, PROXIMAL, record_of, weights_of
from llmasos.federated.secure.client import register
from llmasos.federated.secure.masks import (
    MASKED,
    RECORD,
    agreed,
    decoded,
    encoded,
    new_keys,
    public_of,
    shared_stream,
    signed,
    stream,
)
from llmasos.federated.secure.server import secure_train
from llmasos.federated.strategies import Guarded, Total, choose
from llmasos.federated.weights import Weights, weights_sha256
from tests.federated.strategies.conftest import FakeGrid, clients, identity, plan, play, reply_of, small

assert identity  # a fixture for all tests here

Train = Callable[[Weights, int], Weights]


def update(weights: Weights, node: int) -> Weights:
    draw = np.random.default_rng(node)
    return {
        name: (array + draw.standard_normal(array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else array + 10 * node
        for name, array in weights.items()
    }


def samples_of(node: int) -> int:
    return 3 + 7 * node


def carried(content: RecordDict) -> RecordDict:
    return recorddict_from_proto(recorddict_to_proto(content))


class Federation(FakeGrid):
    """Nodes that each run a client program with a memory of its own, and may be cut off at a stage."""

    def __init__(
        self,
        clients: int,
        train: Train = update,
        lost: dict[int, str] | None = None,
        meddle: Callable[[Message], None] | None = None,
    ) -> None:
        super().__init__(range(1, clients + 1), self._answer)
        self.lost, self.meddle = lost or {}, meddle
        self.contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in self.nodes}
        self.app = ClientApp()

        def answer(message: Message, context: Context) -> Message:
            node = message.metadata.dst_node_id
            assert set(message.content) == {"arrays", "config"}
            trained = train(weights_of(message.content.array_records["arrays"]), node)
            metrics: dict[str, Any] = {LOSS: float(node), "private": 7.0}
            mu = message.content.config_records["config"].get("proximal-mu")
            return reply_of(
                message, trained, samples_of(node), metrics=metrics | ({PROXIMAL: mu} if mu else {})
            )

        register(self.app, answer)

    def _answer(self, message: Message) -> Message | None:
        node, stage = message.metadata.dst_node_id, message.metadata.message_type.removeprefix("train.")
        if self.lost.get(node) == stage:
            return None
        if self.meddle is not None:
            self.meddle(message)
        # Messages and memories are written and read as between machines.
        message.content = carried(message.content)
        reply = self.app(message, self.contexts[node])
        self.contexts[node].state = carried(self.contexts[node].state)
        reply.content = carried(reply.content)
        return reply

    def masked(self) -> dict[int, np.ndarray[Any, np.dtype[np.uint64]]]:
        return {
            reply.metadata.src_node_id: reply.content.array_records[MASKED][MASKED].numpy()
            for reply in self.received
            if reply.has_content() and MASKED in reply.content.array_records
        }


def run(grid: Federation, weights: Weights, **given: Any) -> tuple[Guarded, Total]:
    clients = len(grid.nodes)
    made = plan(clients=clients, privacy={"secure": True}, **{"guard": {"quorum": 0.4}, **given})
    guard = Guarded(choose(made), made, weights)
    messages = guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)
    return guard, secure_train(grid, messages, guard.sieve.checked, 5.0)


def mean_of(weights: Weights, nodes: list[int], train: Train = update) -> Weights:
    total = sum(samples_of(node) for node in nodes)
    parts = {n: train(weights, n) for n in nodes}
    return {
        name: np.sum([samples_of(n) / total * parts[n][name].astype(np.float64) for n in nodes], axis=0)
        for name in weights
    }


def far(total: Total, weights: Weights, nodes: list[int]) -> float:
    assert total.mean is not None
    exact = mean_of(weights, nodes)
    return max(float(np.abs(total.mean[name] - exact[name]).max()) for name in weights)


@pytest.mark.parametrize("clients", [3, 4, 6])
def test_the_mean_is_that_of_the_plain_updates_within_the_stated_bound(clients: int) -> None:
    weights, nodes = small(), list(range(1, clients + 1))
    guard, total = run(Federation(clients), weights)
    assert far(total, weights, nodes) <= 2.0**-25
    assert total.samples == {node: samples_of(node) for node in nodes}
    mean_loss = sum(samples_of(n) * n for n in nodes) / sum(samples_of(n) for n in nodes)
    assert total.loss == pytest.approx(mean_loss, abs=2.0**-25) and not total.failed
    arrays, metrics = guard.aggregate_total(1, total)
    assert arrays is not None and metrics is not None
    made = weights_of(arrays)
    assert [array.dtype for array in made.values()] == [array.dtype for array in weights.values()]
    assert made["steps"] == np.rint(mean_of(weights, nodes)["steps"])
    assert [one.client for one in guard.verdict.participants] == [str(node) for node in nodes]
    assert guard.verdict.train_loss == pytest.approx(mean_loss, abs=2.0**-25)


def test_the_model_is_the_same_bits_whatever_the_keys() -> None:
    hashes = set()
    for lost in ({}, {}, {2: "unmask"}):
        guard, total = run(Federation(4, lost=lost), small())
        arrays, _ = guard.aggregate_total(1, total)
        assert arrays is not None
        hashes.add(weights_sha256(weights_of(arrays)))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        ({2: "setup"}, [1, 3, 4, 5]),
        ({2: "share"}, [1, 3, 4, 5]),
        ({2: "collect"}, [1, 3, 4, 5]),
        ({2: "unmask"}, [1, 2, 3, 4, 5]),
        ({1: "share", 3: "collect"}, [2, 4, 5]),
        ({1: "collect", 3: "collect"}, [2, 4, 5]),
        ({1: "collect", 3: "unmask"}, [2, 3, 4, 5]),
    ],
)
def test_who_drops_out_is_borne(lost: dict[int, str], left: list[int]) -> None:
    weights = small()
    _, total = run(Federation(5, lost=lost), weights)
    assert sorted(total.samples) == left
    assert far(total, weights, left) <= 2.0**-25
    assert [node for node, _ in total.failed] == [node for node in sorted(lost) if node not in left]


def test_nobody_is_left_alone_with_one_other() -> None:
    _, total = run(Federation(3, lost={1: "collect"}), small())
    assert total.mean is None


@pytest.mark.parametrize("stage", ["setup", "share", "collect", "unmask"])
def test_too_many_who_drop_out_fail_the_round(stage: str) -> None:
    weights = small()
    guard, total = run(Federation(5, lost=dict.fromkeys((1, 3, 5), stage)), weights)
    assert total.mean is None and total.failed
    assert guard.aggregate_total(1, total) == (None, None)
    assert not guard.verdict.counted and guard.missed == 1


def test_more_clients_than_one_has_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.federated.secure.server._NEIGHBOURS", 4)
    weights, left = small(), [n for n in range(1, 10) if n != 5]
    _, total = run(Federation(9, lost={5: "collect"}), weights)
    assert sorted(total.samples) == left and far(total, weights, left) <= 2.0**-25


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedadam", "fedyogi"])
def test_a_round_is_the_same_with_and_without_it(name: str) -> None:
    ends = []
    for secure in (True, False):
        made = plan(clients=4, strategy={"name": name}, privacy={"secure": secure})
        guard = Guarded(choose(made), made, small())
        grid = Federation(4)
        if not secure:
            grid.answer = clients(update, {n: samples_of(n) for n in range(1, 5)})
        ends.append(play(guard, grid, small(), 1))
    for plain, hidden in zip(ends[0].values(), ends[1].values(), strict=True):
        assert plain == pytest.approx(hidden, abs=1e-6)


# What the server sees


def spread(values: np.ndarray[Any, Any]) -> float:
    """Return chi square of the bytes against the uniform distribution, in standard deviations."""
    counts = np.bincount(values.astype("<u8").view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float((np.sum((counts - expected) ** 2 / expected) - 255) / np.sqrt(2 * 255))


def test_what_the_server_gets_of_one_client_tells_nothing() -> None:
    weights: Weights = {"w": np.zeros(20_000, np.float32)}

    def train(weights: Weights, node: int) -> Weights:
        return {"w": np.full(20_000, np.float32(node))}

    grids = [Federation(4, train, lost=lost) for lost in ({}, {}, {3: "collect"})]
    totals = [run(grid, weights)[1] for grid in grids]
    plain = {n: encoded(samples_of(n) * np.append(np.full(20_000, float(n)), n), 4) for n in range(1, 5)}
    seen = [vector for grid in grids for vector in grid.masked().values()]
    assert len(seen) == 11
    for vector in seen:
        # Uniform in every byte, and so is the difference to the update and to every other that was seen.
        assert abs(spread(vector)) < 6
        assert all(abs(spread(vector - one)) < 6 for one in plain.values())
        assert all(abs(spread(vector - other)) < 6 for other in seen if other is not vector)
        assert abs(np.corrcoef(vector.astype(float)[:-1], vector.astype(float)[1:])[0, 1]) < 0.05

    assert all(spread(one) > 1000 for one in plain.values())

    # Nor does the sum, before the clients' own masks are taken away; then it is exactly the updates' sum.
    blind = sum(grids[0].masked().values(), np.zeros(20_001, np.uint64))
    assert abs(spread(blind)) < 6
    assert totals[0].mean is not None
    whole = sum(samples_of(n) * n for n in range(1, 5)) / sum(samples_of(n) for n in range(1, 5))
    assert totals[0].mean["w"] == pytest.approx(np.full(20_000, whole), abs=2.0**-25)


def test_nothing_else_of_a_clients_metrics_leaves_it() -> None:
    grid = Federation(3)
    run(grid, small(), strategy={"name": "fedprox"})
    told = {
        name for reply in grid.received for record in reply.content.metric_records.values() for name in record
    }
    assert told == {"num-examples", PROXIMAL}


def test_a_client_without_the_proximal_term_is_left_out_and_its_masks_are_taken_away() -> None:
    weights = small()

    class Forgetful(Federation):
        def _answer(self, message: Message) -> Message | None:
            reply = super()._answer(message)
            if message.metadata.dst_node_id == 2 and reply and "metrics" in reply.content.metric_records:
                reply.content.metric_records["metrics"].pop(PROXIMAL)
            return reply

    guard, total = run(Forgetful(5), weights, strategy={"name": "fedprox"})
    assert [node for node, _ in total.rejected] == [2] and "proximal" in total.rejected[0][1]
    assert far(total, weights, [1, 3, 4, 5]) <= 2.0**-25
    guard.aggregate_total(1, total)
    assert [one.client for one in guard.verdict.rejected] == ["2"]


# What a client refuses


def altered(stage: str, change: Callable[[RecordDict], None], node: int = 2) -> Callable[[Message], None]:
    def meddle(message: Message) -> None:
        if message.metadata.message_type == f"train.{stage}" and message.metadata.dst_node_id == node:
            change(message.content)

    return meddle


def both(content: RecordDict) -> None:
    record = content.config_records[RECORD]
    record["gone"] = [*record["gone"], record["alive"][0]]  # type: ignore[misc, index]


def others_key(content: RecordDict) -> None:
    content.config_records["mask"]["2"] = new_keys()[1]


def same_key(content: RecordDict) -> None:
    content.config_records["mask"]["1"] = content.config_records["mask"]["3"]


def few(content: RecordDict) -> None:
    content.config_records[RECORD]["alive"] = ["2"]


def stale(content: RecordDict) -> None:
    content.config_records[RECORD]["session"] = "0" * 32


def swapped(content: RecordDict) -> None:
    sealed = content.config_records["sealed"]
    sealed["1"], sealed["3"] = sealed["3"], sealed["1"]


@pytest.mark.parametrize(
    ("stage", "change", "reason"),
    [
        ("share", others_key, "not those that were sent"),
        ("share", same_key, "the same public key"),
        ("share", stale, "not what comes next"),
        ("collect", stale, "not what comes next"),
        ("collect", swapped, "InvalidToken"),
    ],
)
def test_a_client_refuses_what_an_honest_server_would_not_send(
    stage: str, change: Callable[[RecordDict], None], reason: str
) -> None:
    _, total = run(Federation(5, meddle=altered(stage, change)), small())
    assert [node for node, _ in total.failed] == [2]
    assert reason in total.failed[0][1] and sorted(total.samples) == [1, 3, 4, 5]


@pytest.mark.parametrize("change", [both, few, stale])
def test_a_client_hands_out_no_shares_for_lists_that_do_not_fit(
    change: Callable[[RecordDict], None],
) -> None:
    grid = Federation(5, lost={4: "collect"}, meddle=altered("unmask", change))
    run(grid, small())
    refused = [reply for reply in grid.received if reply.has_error()]
    assert [reply.metadata.src_node_id for reply in refused] == [2]


def test_a_client_hands_out_shares_once() -> None:
    grid = Federation(5)
    run(grid, small())
    again = next(m for m in grid.sent if m.metadata.message_type == "train.unmask")
    with pytest.raises(Exception, match="not what comes next"):
        grid.app(again, grid.contexts[again.metadata.dst_node_id])
    assert not grid.contexts[again.metadata.dst_node_id].state.config_records


@pytest.mark.parametrize("value", [1e12, np.inf, np.nan])
def test_a_client_does_not_send_what_does_not_fit(value: float) -> None:
    def train(weights: Weights, node: int) -> Weights:
        made = update(weights, node)
        return made | {"b": np.full(3, value)} if node == 2 else made

    weights = small()
    _, total = run(Federation(4, train), weights)
    assert total.failed == ((2, "ValueError: the update is not finite, or too large for secure aggregation"),)
    assert far(total, weights, [1, 3, 4]) <= 2.0**-25


# What it is made of


def test_numbers_come_back_from_their_whole_numbers() -> None:
    values = np.array([0.0, 1.0, -1.0, 2.0**-24, 1e6, -123.456])
    assert np.abs(decoded(encoded(values, 10)) - values).max() <= 2.0**-25
    total = encoded(values, 10) * np.uint64(10)
    assert np.abs(decoded(total) - 10 * values).max() <= 10 * 2.0**-25
    with pytest.raises(ValueError, match="too large"):
        encoded(np.array([2.0**38]), 2)


def test_shared_streams_cancel_and_seeds_make_different_ones() -> None:
    (mine, my_public), (other, other_public) = new_keys(), new_keys()
    assert public_of(mine) == my_public and agreed(mine, other_public) == agreed(other, my_public)
    ours, theirs = shared_stream(mine, other_public, 50), shared_stream(other, my_public, 50)
    assert not (signed(1, 2, ours) + signed(2, 1, theirs)).any()
    assert not np.array_equal(stream(bytes(32), 50), stream(bytes(31) + b"\1", 50))
    assert np.array_equal(stream(bytes(32), 50)[:20], stream(bytes(32), 20))
