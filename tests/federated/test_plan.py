"""What a plan of a training may say, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from llmasos.federated.plan import DataPlan, Plan


def plan(**given: Any) -> Plan:
    data = given.pop("data", {"sources": ["digits"]})
    return Plan.model_validate({"name": "p", "recipe": "mlp", "clients": 10, "data": data, **given})


def test_a_plan_is_the_same_after_it_was_written_down() -> None:
    made = plan(strategy={"name": "fedprox", "mu": 0.1}, target=0.95, rounds=20)
    assert Plan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("clients", "sample", "sampled"), [(10, 1.0, 10), (100, 0.1, 10), (3, 0.1, 1), (30, 1 / 3, 10)]
)
def test_some_of_the_clients_are_asked(clients: int, sample: float, sampled: int) -> None:
    assert plan(clients=clients, sample=sample).sampled == sampled


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": {"sources": ["a.csv", "b.csv"]}}, "2 data sets cannot be dealt to 10 clients"),
        ({"strategy": {"name": "krum", "byzantine": 4}}, "only among 11 or more"),
        ({"strategy": {"name": "trimmed-mean", "trim": 0.5}}, "less than 0.5"),
        ({"strategy": {"name": "fedmean"}}, "fedavg"),
        ({"strategy": {"name": "fedprox", "mu": -1}}, "greater than or equal to 0"),
        ({"privacy": {"secure": True}, "strategy": {"name": "krum"}}, "choose one of the two"),
        ({"privacy": {"kind": "central"}, "strategy": {"name": "fedmedian"}}, "noisy mean only"),
        ({"privacy": {"secure": True, "kind": "central"}}, "choose local privacy"),
        ({"privacy": {"secure": True}, "sample": 0.2}, "needs 3 clients a round"),
        ({"rounds": 0}, "greater than or equal to 1"),
        ({"target": 95}, "less than or equal to 1"),
        ({"data": DataPlan(sources=("x",)).model_dump() | {"holdout": 1.0}}, "less than 1"),
        ({"speed": 3}, "Extra inputs"),
    ],
)
def test_what_is_impossible_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        plan(**given)
