"""The papers' trainings in short, by the product's own path; benchmarks.federated has them in full."""

from __future__ import annotations

import pytest

from benchmarks.federated_papers import mnist_plan, rounds_to_target, settled, synthetic_plan
from llmasos.federated.events import RoundEnded
from llmasos.federated.plan import Plan
from tests.integration.federated.conftest import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


async def trained(bench: Bench, plan: Plan) -> list[RoundEnded]:
    told = await bench.told((await bench.runs.prepare(plan)).id)
    return [event for event in told if isinstance(event, RoundEnded)]


async def test_where_classes_are_apart_it_takes_more_rounds(bench: Bench) -> None:
    counts = {}
    for partition in ("iid", "shards"):
        data = {"sources": ["digits"], "holdout": 1 / 7, "partition": {"kind": partition, "shards": 2}}
        plan = mnist_plan(partition, 0, data=data, clients=50, target=0.9, rounds=60)
        counts[partition] = rounds_to_target(await trained(bench, plan), 0.9)
    assert counts["iid"] is not None and counts["iid"] <= 45
    assert counts["shards"] is None or counts["shards"] > counts["iid"]


async def test_where_most_are_slow_fedprox_is_ahead_of_fedavg(bench: Bench) -> None:
    average, prox = [
        settled(await trained(bench, synthetic_plan(strategy, 0, rounds=40)))
        for strategy in ("fedavg", "fedprox")
    ]
    assert prox >= average + 15
