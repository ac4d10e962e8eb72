"""What the tests of the service with real engines share."""

from pathlib import Path

import pytest

from benchmarks.weights import smollm_gguf


@pytest.fixture(scope="session")
def weights() -> Path:
    """The GGUF file of the small model."""
    return smollm_gguf()
