"""Endpoints for the tests of remote models."""

from collections.abc import Iterator

import pytest

from tests.models.remote.server import Host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A process that serves endpoints."""
    with Host() as host:
        yield host
