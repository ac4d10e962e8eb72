"""The Ray backend, on real clusters: the same bits as here, faults, stops, and a cluster that runs already."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.cluster import nodes
from llmasos.cluster.nodes import Node, Offer
from llmasos.federated.events import ClientFailed, RoundEnded, RunEvent
from llmasos.federated.port import FederatedError
from llmasos.federated.runs import Runs
from tests.integration.federated.conftest import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def rounds(told: list[RunEvent]) -> list[RoundEnded]:
    return [event for event in told if isinstance(event, RoundEnded)]


def hashes(told: list[RunEvent]) -> dict[int, str]:
    return {event.round: event.weights_sha256 for event in rounds(told)}


def participants(told: list[RunEvent]) -> list[list[str]]:
    return [[one.client for one in event.participants] for event in rounds(told)]


async def prepared(bench: Bench, sources: list[str], **given: Any) -> str:
    return await bench.prepared(sources, backend="ray", **given)


@pytest.mark.parametrize("strategy", ["fedavg", "fedprox"])
async def test_a_run_on_ray_has_the_bits_of_a_local_one(
    bench: Bench, hospitals: list[str], strategy: str
) -> None:
    given: dict[str, Any] = {"rounds": 3, "strategy": strategy, "sample": 0.8, "recipe": "mlp"}
    local = await bench.told(await bench.prepared(hospitals, **given))
    name = await prepared(bench, hospitals, **given)
    clustered = await bench.told(name)
    assert bench.runs.status(name).state == "completed"
    assert hashes(clustered) == hashes(local)
    assert participants(clustered) == participants(local)
