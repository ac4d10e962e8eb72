"""A tiny model with random weights, made once."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.tiny import make_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a tiny model."""
    folder = make_tiny(tmp_path_factory.mktemp("tiny"))
    # Each cache that is freed collects garbage, among all that was imported by now.
    gc.freeze()
    yield folder
    gc.unfreeze()
