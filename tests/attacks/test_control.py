"""The attacks of the suite work where everything is allowed, so that the suite measures something."""

from __future__ import annotations

import anyio
import pytest

from tests.attacks.report import play_all
from tests.attacks.suite import load


def test_attacks_work_where_everything_is_allowed(tmp_path_factory: pytest.TempPathFactory) -> None:
    control = anyio.run(play_all, tmp_path_factory.mktemp("none"), load(), "none")
    assert [run.name for run in control.attacks if not run.shown] == []
    assert [run.name for run in control.benign if not run.shown] == []
