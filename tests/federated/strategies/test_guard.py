"""The guard lets only updates count that may, whoever sends what."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.federated.messages import LOSS, SAMPLES, record_of, weights_of
from llmasos.federated.port import FederatedError
from llmasos.federated.strategies import Guarded, choose
from llmasos.federated.strategies.sieve import Sieve
from llmasos.federated.weights import Weights, weights_sha256
from tests.federated.strategies.conftest import FakeGrid, clients, moved, plan, play, reply_of, small


def guarded(weights: Weights, samples: dict[int, int] | None = None, **given: Any) -> Guarded:
    made = plan(**given)
    return Guarded(choose(made), made, weights, names={n: f"c{n}" for n in range(1, 50)}, samples=samples)


def one_bad(answer: Callable[[Message, Weights], Message | None]) -> Callable[[Message], Message | None]:
    good = clients(lambda weights, node: moved(weights, 0.1))

    def reply(message: Message) -> Message | None:
        if message.metadata.dst_node_id == 3:
            return answer(message, weights_of(message.content.array_records["arrays"]))
        return good(message)

    return reply


def changed(name: str, array: Any) -> Callable[[Message, Weights], Message]:
    return lambda message, weights: reply_of(message, weights | {name: np.asarray(array)})


def told(**metrics: Any) -> Callable[[Message, Weights], Message]:
    samples = metrics.pop("samples", 10)
    return lambda message, weights: reply_of(message, weights, samples, metrics=metrics)


def without(message: Message, weights: Weights) -> Message:
    return reply_of(message, {"a": weights["a"], "steps": weights["steps"]})


def rubbish(message: Message, weights: Weights) -> Message:
    record = record_of(weights)
    record["b"] = Array("float64", (3,), "numpy.ndarray", b"not an array at all")
    return Message(RecordDict({"arrays": record, "metrics": MetricRecord({SAMPLES: 10})}), reply_to=message)


def bomb(message: Message, weights: Weights) -> Message:
    record = record_of(weights)
    header = record["b"].data.replace(b"(3,), }        ", b"(300000000000,)}")
    record["b"] = Array("float64", (3,), "numpy.ndarray", header)
    return Message(RecordDict({"arrays": record, "metrics": MetricRecord({SAMPLES: 10})}), reply_to=message)


def fails(message: Message, weights: Weights) -> Message:
    raise RuntimeError("no room\x1b[31m left")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (changed("a", np.full((2, 3), np.nan, np.float32)), "its a is not finite"),
        (changed("b", np.array([0, np.inf, 0.0])), "its b is not finite"),
        (changed("a", np.zeros((3, 2), np.float32)), r"its a has the shape \(3, 2\) and not \(2, 3\)"),
        (changed("a", np.zeros((2, 3), np.float64)), "its a is of type float64 and not float32"),
        (changed("a", np.zeros((2, 3), ">f4")), "its a is of type >f4 and not float32"),
        (changed("b", np.zeros(1_000)), "its b is larger"),
        (changed("steps", np.array(5.0)), "its steps is of type float64 and not int64"),
        (changed("more", np.zeros(2)), "its update has more, which the model has not"),
        (changed("b", np.full(3, 1e3)), "norm is 1.73e"),
        (changed("b", np.full(3, 1e300)), "norm of its update is not finite"),
        (without, "its update lacks b"),
        (rubbish, "its b cannot be read"),
        (bomb, "its b cannot be read"),
        (told(loss=math.nan), "its metric loss is nan"),
        (told(loss=1.0, samples=0), "its number of samples is 0"),
        (told(loss=1.0, samples=-3), "its number of samples is -3"),
        (told(loss=1.0, samples=2.5), "its number of samples is 2.5"),
        (told(loss=1.0, samples=[1, 2]), "its number of samples is None"),
        (told(loss=1.0, samples=2**62), f"it counts {2**62} samples, and has 10"),
        (lambda message, weights: Message(RecordDict(), reply_to=message), "it sent 0 sets of metrics"),
        (
            lambda message, weights: Message(
                RecordDict({"metrics": MetricRecord({SAMPLES: 10})}), reply_to=message
            ),
            "it sent 0 sets of weights",
        ),
    ],
)
def test_a_bad_update_is_named_and_does_not_count(
    answer: Callable[[Message, Weights], Message], reason: str
) -> None:
    weights = small()
    guard = guarded(weights, samples=dict.fromkeys(range(1, 11), 10))
    made = play(guard, FakeGrid(range(1, 11), one_bad(answer)), weights, 1)
    assert [one.client for one in guard.verdict.rejected] == ["c3"]
    assert re.search(reason, guard.verdict.rejected[0].reason)
    assert [one.client for one in guard.verdict.participants] == [f"c{n}" for n in range(1, 11) if n != 3]
    assert weights_sha256(made) == weights_sha256(moved(weights, 0.1))


def test_who_fails_or_is_silent_is_named_apart_from_who_is_refused() -> None:
    weights = small()
    guard = guarded(weights)
    play(guard, FakeGrid(range(1, 11), one_bad(fails)), weights, 1)
    assert [(one.client, one.reason) for one in guard.verdict.failed] == [
        ("c3", "RuntimeError: no room?[31m left")
    ]
    play(guard, FakeGrid(range(1, 11), one_bad(lambda message, _: None)), weights, 2)
    assert [(one.client, one.reason) for one in guard.verdict.failed] == [
        ("c3", "it did not answer within 600 s")
    ]
    assert guard.verdict.counted and not guard.verdict.rejected


def test_who_answers_twice_counts_once_and_who_was_not_asked_not_at_all() -> None:
    weights = small()
    guard = guarded(weights, sample=0.5)
    grid = FakeGrid(range(1, 11), clients(lambda given, node: moved(given, 0.1)))
    messages = guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)
    replies = list(grid.send_and_receive(messages))
    stranger = next(n for n in range(1, 11) if n not in {m.metadata.dst_node_id for m in messages})
    message = Message(messages[0].content, dst_node_id=stranger, message_type="train")
    guard.aggregate_train(1, [*replies, replies[0], grid.answer(message)])  # type: ignore[list-item]
    assert len(guard.verdict.participants) == 5
    assert {one.reason for one in guard.verdict.rejected} == {"it answered twice", "it was not asked"}


def test_an_update_out_of_norm_is_held_against_earlier_ones_when_there_are_few() -> None:
    weights = small()
    guard = guarded(weights, clients=2, guard={"quorum": 0.5})
    play(guard, FakeGrid((1, 2), clients(lambda given, node: moved(given, 0.1))), weights, 1)
    big = clients(lambda given, node: moved(given, 50.0 if node == 2 else 0.2))
    play(guard, FakeGrid((1, 2), big), weights, 2)
    assert [one.client for one in guard.verdict.participants] == ["c1"]
    assert "more than 10 times 0.3" in guard.verdict.rejected[0].reason


def test_updates_that_do_not_move_count() -> None:
    weights = small()
    guard = guarded(weights)
    play(guard, FakeGrid(range(1, 11), clients(lambda given, node: given)), weights, 1)
    assert len(guard.verdict.participants) == 10 and not guard.verdict.rejected


def test_a_round_without_its_quorum_leaves_the_model_and_three_in_a_row_end_the_run() -> None:
    weights = small()
    guard = guarded(weights, guard={"quorum": 0.8, "failed_rounds": 2})

    def answer(message: Message) -> Message:
        if message.metadata.dst_node_id > 7:
            raise RuntimeError("out of memory")
        return clients(lambda given, node: moved(given, 0.1))(message)

    grid = FakeGrid(range(1, 11), answer)
    for number in (1, 2):
        assert play(guard, grid, weights, number) is weights
        assert not guard.verdict.counted and len(guard.verdict.failed) == 3
    with pytest.raises(FederatedError, match=r"round 3 needs 8 updates.*third time.*c8: .*out of memory"):
        play(guard, grid, weights, 3)


def test_a_round_that_counts_forgives_earlier_ones() -> None:
    weights = small()
    guard = guarded(weights, guard={"failed_rounds": 1})
    good = FakeGrid(range(1, 11), clients(lambda given, node: moved(given, 0.1)))
    bad = FakeGrid(range(1, 11), lambda message: None)
    for number, grid in enumerate((bad, good, bad, good), start=1):
        play(guard, grid, weights, number)
    assert guard.missed == 0


def test_too_few_nodes_are_waited_for_a_while_only() -> None:
    weights = small()
    guard = guarded(weights, guard={"join_seconds": 0.01})
    grid = FakeGrid(range(1, 5), lambda message: None)
    with pytest.raises(FederatedError, match="4 of the 5 clients that a round needs are there"):
        play(guard, grid, weights, 1)


@pytest.mark.parametrize(("there", "sample", "asked"), [(100, 0.29, 29), (100, 1.0, 100), (90, 1.0, 90)])
def test_the_share_of_those_who_are_there_is_asked(there: int, sample: float, asked: int) -> None:
    weights = small()
    guard = guarded(weights, clients=100, sample=sample)
    grid = FakeGrid(range(1, there + 1), lambda message: None)
    assert len(guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)) == asked


def test_the_same_clients_are_asked_on_repeat_and_others_in_another_round_or_by_another_seed() -> None:
    weights = small()

    def asked(seed: int, number: int, order: int = 1) -> list[int]:
        guard = guarded(weights, clients=40, sample=0.25, seed=seed)
        grid = FakeGrid(list(range(1, 41))[::order], lambda message: None)
        messages = guard.configure_train(number, record_of(weights), ConfigRecord({}), grid)
        return [message.metadata.dst_node_id for message in messages]

    random.seed(1)
    before = random.getstate()
    assert asked(0, 1) == asked(0, 1) == asked(0, 1, -1)
    assert asked(0, 1) != asked(0, 2) and asked(0, 1) != asked(1, 1)
    assert random.getstate() == before


def exactly(updates: list[Weights], counts: list[int], name: str) -> Any:
    """Return the weighted mean, each sum exact."""
    stacked = np.stack([update[name].astype(np.float64).ravel() for update in updates])
    sums = [math.fsum(n * value for n, value in zip(counts, column, strict=True)) for column in stacked.T]
    return np.array(sums).reshape(updates[0][name].shape) / sum(counts)


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    seed=st.integers(0, 2**20),
)
def test_the_mean_is_exact_in_whatever_order_updates_come(counts: list[int], scale: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights: Weights = {"a": np.zeros((3, 2), np.float64), "b": np.zeros(5, np.float32)}
    updates = [
        {
            name: (scale * draw.standard_normal(like.shape)).astype(like.dtype)
            for name, like in weights.items()
        }
        for _ in counts
    ]
    made = []
    for order in (1, -1):
        guard = guarded(weights, clients=len(counts), guard={"norm": 1e6, "quorum": 0.01})
        answer = clients(lambda _, node: updates[node - 1], dict(enumerate(counts, start=1)))
        grid = FakeGrid(range(1, len(counts) + 1), answer)
        messages = guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)
        replies = list(grid.send_and_receive(messages))[::order]
        arrays, _ = guard.aggregate_train(1, replies)
        assert arrays is not None
        made.append(weights_of(arrays))
    assert weights_sha256(made[0]) == weights_sha256(made[1])
    assert np.abs(made[0]["a"] - exactly(updates, counts, "a")).max() <= 1e-14 * scale * 10
    single = exactly(updates, counts, "b")
    # The exact mean, rounded once to the model's type.
    assert np.abs(made[0]["b"] - single).max() <= np.spacing(np.float32(np.abs(single).max()))


def test_a_large_array_is_averaged_as_in_float64() -> None:
    draw = np.random.default_rng(0)
    weights: Weights = {"w": np.zeros(200_000, np.float32)}
    updates = [{"w": draw.uniform(-8, 8, 200_000).astype(np.float32)} for _ in range(10)]
    counts = [1, 10**6, 3, 7, 10**5, 2, 2, 999, 12, 5]
    guard = guarded(weights)
    answer = clients(lambda _, node: updates[node - 1], dict(enumerate(counts, start=1)))
    made = play(guard, FakeGrid(range(1, 11), answer), weights, 1)
    exact = sum(n * one["w"].astype(np.float64) for n, one in zip(counts, updates, strict=True)) / sum(counts)
    assert made["w"].dtype == np.float32
    assert np.abs(made["w"] - exact).max() <= 1e-6


@pytest.mark.parametrize(
    ("values", "dtype", "mean"),
    [
        ([1, 2], np.int64, 2),  # 1.5, to the even one
        ([2, 3], np.int64, 2),  # 2.5, to the even one
        ([2**53, 2**53], np.int64, 2**53),
        ([-7, -8], np.int64, -8),
        ([250, 255], np.uint8, 252),
        ([True, True], np.bool_, True),
        ([0, 1], np.bool_, False),
    ],
)
def test_integers_keep_their_type(values: list[int], dtype: Any, mean: int) -> None:
    weights: Weights = {"steps": np.array(0, dtype), "w": np.zeros(2, np.float16)}
    guard = guarded(weights, clients=2)
    grid = FakeGrid((1, 2), clients(lambda given, node: given | {"steps": np.array(values[node - 1], dtype)}))
    made = play(guard, grid, weights, 1)
    assert made["steps"].dtype == dtype and made["w"].dtype == np.float16
    assert made["steps"] == mean


def test_a_participant_is_told_with_its_samples_and_the_hash_of_its_update() -> None:
    weights = small()
    guard = guarded(weights, clients=3)
    answer = clients(lambda given, node: moved(given, 0.1 * node), {1: 4, 2: 5, 3: 6})
    play(guard, FakeGrid((3, 1, 2), answer), weights, 1)
    assert [(one.client, one.samples, one.update_sha256) for one in guard.verdict.participants] == [
        (f"c{n}", n + 3, weights_sha256(moved(weights, 0.1 * n))) for n in (1, 2, 3)
    ]
    assert guard.verdict.train_loss == 1.0


def test_only_the_chosen_update_is_told_to_be_in_krums_model() -> None:
    weights = small()
    guard = guarded(weights, strategy={"name": "krum", "byzantine": 2})
    made = play(
        guard, FakeGrid(range(1, 11), clients(lambda given, node: moved(given, 0.1 * node))), weights, 1
    )
    assert len(guard.verdict.participants) == 1
    assert guard.verdict.participants[0].update_sha256 == weights_sha256(made)


def test_krum_needs_what_it_needs_to_bear_hostile_clients() -> None:
    weights = small()
    guard = guarded(weights, strategy={"name": "krum", "byzantine": 3}, guard={"quorum": 0.1})

    def answer(message: Message) -> Message | None:
        return clients(lambda given, _: given)(message) if message.metadata.dst_node_id < 9 else None

    play(guard, FakeGrid(range(1, 11), answer), weights, 1)
    assert not guard.verdict.counted and guard.verdict.needed == 9


@pytest.mark.parametrize("silent", [0, 1, 2, 4])
def test_a_trimmed_mean_bears_two_hostile_clients_though_others_are_silent(silent: int) -> None:
    weights: Weights = {"w": np.zeros(3)}
    guard = guarded(weights, strategy={"name": "trimmed-mean", "trim": 0.2}, guard={"norm": 1e9})

    def answer(message: Message) -> Message | None:
        if message.metadata.dst_node_id > 10 - silent:
            return None
        far = {1: 1e6, 2: 2e6}
        return clients(lambda given, node: moved(given, far.get(node, node / 10)))(message)

    made = play(guard, FakeGrid(range(1, 11), answer), weights, 1)
    assert len(guard.verdict.participants) == 10 - silent
    assert (np.abs(made["w"]) <= 1).all()


def test_a_client_that_is_refused_many_times_lowers_no_bar() -> None:
    weights = small()
    guard = guarded(weights, strategy={"name": "krum", "byzantine": 3}, guard={"quorum": 0.1})
    grid = FakeGrid(range(1, 11), clients(lambda given, _: given))
    messages = guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)
    replies = list(grid.send_and_receive(messages))[:8]
    guard.aggregate_train(1, [*replies, replies[0], replies[0], replies[0]])
    assert guard.verdict.needed == 9 and not guard.verdict.counted


def test_a_model_that_is_not_finite_any_more_ends_the_run() -> None:
    weights: Weights = {"w": np.full(2, 65_000, np.float16)}
    guard = guarded(weights, strategy={"name": "fedadam", "server_learning_rate": 1000})
    grid = FakeGrid(range(1, 11), clients(lambda given, node: {"w": np.full(2, 65_472, np.float16)}))
    with pytest.raises(FederatedError, match="not finite any more after round 1"):
        play(guard, grid, weights, 1)


def test_metrics_that_do_not_fit_together_do_not_end_a_run() -> None:
    weights = small()
    guard = guarded(weights)
    made = play(guard, FakeGrid(range(1, 11), one_bad(told(speed=2.0))), weights, 1)
    assert made is not weights and len(guard.verdict.participants) == 10 and guard.verdict.train_loss == 1.0


def test_an_evaluation_is_over_the_clients_that_measured() -> None:
    weights = small()
    guard = guarded(weights)

    def answer(message: Message) -> Message:
        node = message.metadata.dst_node_id
        told = {1: {LOSS: math.nan, "accuracy": 0.0}, 2: {LOSS: 1.0}, 3: {LOSS: 4.0, "accuracy": 1.0}}
        metrics = MetricRecord(
            {SAMPLES: 30 if node == 3 else 10, **told.get(node, {LOSS: 1.0, "accuracy": 0.5})}
        )
        if node == 4:
            raise RuntimeError("gone")
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    grid = FakeGrid(range(1, 11), answer)
    messages = guard.configure_evaluate(1, record_of(weights), ConfigRecord({}), grid)
    metrics = guard.aggregate_evaluate(1, grid.send_and_receive(messages))
    assert metrics is not None
    assert metrics[LOSS] == pytest.approx((60 * 1 + 30 * 4) / 90)
    assert metrics["accuracy"] == pytest.approx((60 * 0.5 + 30 * 1) / 90)
    assert guard.aggregate_evaluate(1, []) is None

    guard.sieve = Sieve(guard.plan, {}, dict.fromkeys(range(1, 11), 20))
    metrics = guard.aggregate_evaluate(1, grid.send_and_receive(messages))
    assert metrics is not None and metrics["accuracy"] == pytest.approx(0.5)  # not the client of 30 rows


def test_flowers_own_loop_runs_a_guarded_strategy() -> None:
    weights = small()
    guard = guarded(weights)

    def answer(message: Message) -> Message:
        if message.metadata.message_type == "train":
            return clients(lambda given, node: moved(given, 0.1))(message)
        metrics = MetricRecord({SAMPLES: 2, LOSS: 0.5})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    result = guard.start(FakeGrid(range(1, 11), answer), record_of(weights), num_rounds=2)
    assert weights_of(result.arrays)["b"] == pytest.approx(np.full(3, 0.2))
    assert result.evaluate_metrics_clientapp[2] == {LOSS: pytest.approx(0.5)}


def test_what_cannot_be_averaged_is_refused_before_anything_starts() -> None:
    with pytest.raises(FederatedError, match="names is of type <U3"):
        guarded({"names": np.array(["abc"])})


def test_arrays_go_out_as_they_are() -> None:
    weights = small()
    guard = guarded(weights, strategy={"name": "fedadam"})
    grid = FakeGrid(range(1, 11), lambda message: None)
    message = guard.configure_train(1, record_of(weights), ConfigRecord({}), grid)[0]
    sent = message.content.array_records["arrays"]
    assert isinstance(sent, ArrayRecord) and weights_sha256(weights_of(sent)) == weights_sha256(weights)
