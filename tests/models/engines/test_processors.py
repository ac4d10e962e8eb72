"""How many threads are computed with."""

from pathlib import Path

import pytest

from llmasos.models.engines import processors
from llmasos.models.engines.processors import usable_cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the description of a machine with four cores of two threads each, all of which may be used."""
    for number in range(8):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("0")
        (topology / "core_id").write_text(str(number // 2))
    monkeypatch.setattr(processors, "_CPUS", tmp_path)
    monkeypatch.setattr(processors, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def test_there_is_a_thread_for_each_core(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == 4
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert usable_cores() == 2


@pytest.mark.parametrize(
    ("quota", "threads"), [("max 100000", 4), ("150000 100000", 2), ("1000 100000", 1), ("what", 4)]
)
def test_the_control_group_bounds_them(machine: Path, quota: str, threads: int) -> None:
    (machine / "cpu.max").write_text(quota)
    assert usable_cores() == threads


def test_a_machine_that_does_not_describe_itself_has_a_core_for_each_processor(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "_CPUS", machine / "nowhere")
    assert usable_cores() == 8
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(128)))
    assert usable_cores() == 16
