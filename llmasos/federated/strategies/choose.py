"""Flower's strategies, by a plan."""

from __future__ import annotations

from typing import Any

from flwr.serverapp.strategy import (
    FedAdam,
    FedAvg,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    Strategy,
)

from llmasos.federated.messages import SAMPLES
from llmasos.federated.plan import Plan

_ROUNDING = 1 + 1e-9
"""Flower takes `int(nodes * fraction)`, where 100 * 0.29 is 28."""


def needed(plan: Plan, refused: int = 0) -> int:
    """Return how many updates a round needs: the quorum, or what Krum needs to bear hostile ones.

    Args:
        refused: How many updates were refused: these were hostile, and Krum has so many fewer to bear.
    """
    krum = 2 * max(0, plan.strategy.byzantine - refused) + 3 if plan.strategy.name == "krum" else 1
    return max(plan.quorum, krum)


def tune(strategy: Strategy, plan: Plan, updates: int, refused: int) -> None:
    """Let trimmed mean bear as many hostile clients as was planned, though some updates are missing.

    Flower takes `int(updates * trim)` at each end: 2 of 10, but 1 of 9.

    Args:
        updates: How many updates are left.
        refused: How many were refused, and so are not among them.
    """
    if isinstance(strategy, FedTrimmedAvg) and updates:
        planned = int(plan.strategy.trim * plan.sampled) - refused
        ends = min(max(planned, int(plan.strategy.trim * updates)), (updates - 1) // 2)
        strategy.beta = ends / updates * _ROUNDING


def choose(plan: Plan) -> Strategy:
    """Return Flower's strategy for a plan.

    With all clients there it asks `plan.sampled` of them, and the same share of those that are left when
    some are gone; it never waits for more nodes than a round needs.
    """
    chosen, at_least = plan.strategy, needed(plan)
    common: dict[str, Any] = {
        "fraction_train": plan.sampled / plan.clients * _ROUNDING,
        "fraction_evaluate": 1.0,
        "min_train_nodes": at_least,
        "min_evaluate_nodes": 1,
        "min_available_nodes": 1,
        "weighted_by_key": SAMPLES,
    }
    adaptive: dict[str, Any] = {
        "eta": chosen.server_learning_rate,
        "eta_l": plan.training.learning_rate,
        "beta_1": chosen.beta_1,
        "beta_2": chosen.beta_2,
        "tau": chosen.tau,
    }
    match chosen.name:
        case "fedavg":
            return FedAvg(**common)
        case "fedprox":
            return FedProx(**common, proximal_mu=chosen.mu)
        case "fedadam":
            return FedAdam(**common, **adaptive)
        case "fedyogi":
            return FedYogi(**common, **adaptive)
        case "fedmedian":
            return FedMedian(**common)
        case "trimmed-mean":
            return FedTrimmedAvg(**common, beta=chosen.trim)
        case "krum":
            return Krum(**common, num_malicious_nodes=chosen.byzantine)
