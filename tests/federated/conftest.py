"""Trainings whose backend only plays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federated.played import BACKENDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Return the backend that plays, where the programs of runs find it."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *([before] if before else [])]))
    yield BACKENDS
