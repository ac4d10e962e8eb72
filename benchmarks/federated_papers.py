"""Figures of papers, made with the product's own command path and put beside those that were published.

McMahan et al. 2017, table 1: rounds until the 2NN is right on 97% of MNIST's rows for the test. Here 70,000
rows are dealt, of which each client holds a seventh out, 10,000 in all.

Li et al. 2020, figure 1 and appendix C: synthetic(1,1), 30 devices with log-normal(4, 2) + 50 rows, a tenth
of them for the test, not standardised; logistic regression; 10 devices a round, of which 90% do a random part
of 20 epochs. FedAvg drops what these do. The accuracy is over all devices' rows for the test. The guard's
norm is out of the way: with one update a round it would hold FedAvg back from the jumps that are measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.figure import HEAD, Figure
from llmasos.federated.events import RoundEnded
from llmasos.federated.plan import Plan

Trained = Callable[[Plan], list[RoundEnded]]

SEEDS = (0, 1, 2)
TARGET = 0.97
BOUNDS = {"iid": 87, "shards": 664}
ROUNDS, LAST = 200, 20
LEAST_GAP = 15.0


def mnist_plan(partition: str, seed: int, **changed: Any) -> Plan:
    """Return McMahan's training: E=1, B=10, C=0.1, 100 clients."""
    return Plan.model_validate(
        {
            "name": f"McMahan 2017, {partition}",
            "recipe": "mlp",
            "data": {"sources": ["mnist"], "holdout": 1 / 7, "partition": {"kind": partition, "shards": 2}},
            "clients": 100,
            "sample": 0.1,
            "rounds": BOUNDS[partition],
            "target": TARGET,
            "training": {"epochs": 1, "batch": 10, "learning_rate": 0.1},
            "seed": seed,
            **changed,
        }
    )


def synthetic_plan(strategy: str, seed: int, *, iid: bool = False, rounds: int = ROUNDS) -> Plan:
    """Return Li's training; the seed decides the data, who is asked, and who is slow."""
    return Plan.model_validate(
        {
            "name": f"Li 2020, {strategy}",
            "recipe": "logistic",
            "data": {
                "sources": [f"synthetic-iid({seed})" if iid else f"synthetic(1,1,{seed})"],
                "holdout": 0.1,
                "standardise": False,
            },
            "clients": 30,
            "sample": 1 / 3,
            "rounds": rounds,
            "training": {"epochs": 20, "batch": 10, "learning_rate": 0.01, "stragglers": 0.9},
            "strategy": {"name": strategy, "mu": 1.0},
            "guard": {"norm": 1e9},
            "seed": seed,
        }
    )


def rounds_to_target(rounds: Sequence[RoundEnded], target: float = TARGET) -> int | None:
    """Return the first round with an accuracy, or None."""
    return next((one.round for one in rounds if one.accuracy is not None and one.accuracy >= target), None)


def settled(rounds: Sequence[RoundEnded]) -> float:
    """Return the mean accuracy of the last rounds, in percent."""
    return 100 * statistics.fmean(one.accuracy or 0.0 for one in rounds[-LAST:])


def mcmahan(trained: Trained) -> list[Figure]:
    """Count McMahan's rounds."""
    figures = []
    for partition, what in (("iid", "IID"), ("shards", "non-IID, 2 shards each")):
        found = [rounds_to_target(trained(mnist_plan(partition, seed))) for seed in SEEDS]
        # One that never came there took more than the bound.
        counts = [BOUNDS[partition] + 1 if one is None else one for one in found]
        figures.append(
            Figure(
                f"McMahan 2017, 2NN on MNIST, {what}: rounds to 97%",
                max(counts),
                f"the most of {', '.join(map(str, counts))}; the paper {BOUNDS[partition]}",
                BOUNDS[partition],
                least=False,
                unit="",
            )
        )
    return figures


def li(trained: Trained) -> list[Figure]:
    """Compare FedProx with FedAvg where most devices are slow."""
    figures = []
    for iid in (False, True):
        average, prox = (
            [settled(trained(synthetic_plan(strategy, seed, iid=iid))) for seed in SEEDS]
            for strategy in ("fedavg", "fedprox")
        )
        figures.append(
            Figure(
                f"Li 2020, {'IID' if iid else 'synthetic(1,1)'}, 90% stragglers: FedProx less FedAvg",
                statistics.fmean(prox) - statistics.fmean(average),
                f"{_told(prox)} beside {_told(average)}" + ("" if iid else "; the paper 22 on average"),
                None if iid else LEAST_GAP,
                unit=" points",
            )
        )
    return figures


def _told(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)


def lines(trained: Trained) -> list[str]:
    """Train as the papers did, and return what came of it."""
    made = []
    for measure in (mcmahan, li):
        for figure in measure(trained):
            print(figure.markdown(), flush=True)
            made.append(figure.markdown())
    return [
        "Papers' figures, over three seeds. MNIST's 70,000 rows are dealt to 100 clients, each of which",
        "holds a seventh out. On synthetic(1,1) accuracy, of FedProx with mu 1 and of FedAvg, is the mean of",
        "the last 20 of 200 rounds over the rows that all 30 devices hold out. Where devices are alike,",
        "FedProx's term only slows training down.",
        "",
        *HEAD,
        *made,
    ]
