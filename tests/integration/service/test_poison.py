"""Requests that no client means, against real engines: none of them leaves anything behind."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from benchmarks.tiny import make_tiny
from tests.integration.service.poison.attack import attack, left, standing, usual
from tests.integration.service.poison.requests import poison
from tests.integration.service.served import named, served

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

COUNT = 150


async def test_poison_leaves_the_kernel_and_its_engines_as_they_were(
    tmp_path: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tiny").mkdir()
    tiny = make_tiny(tmp_path / "tiny")
    async with served(tmp_path, named("smol", weights), named("tiny", tiny)) as it:
        said, stood = await usual(it), standing(it)
        tally = await attack(it, poison(1, COUNT, it.models, it.key))
        assert not tally.wrong, "\n".join(tally.wrong[:5])
        assert sum(answers.total() for answers in tally.answers.values()) == COUNT
        assert not left(it)
        assert await usual(it) == said
        assert standing(it) == stood
        records = await it.records()
        assert {body["status"] for body in records} == {"ok", "failed", "cancelled"}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
