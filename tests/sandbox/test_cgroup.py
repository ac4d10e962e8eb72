"""Control groups are found in both versions, and a process is known by its number and its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.sandbox.broker import cgroup

V1 = """\
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
35 31 0:32 /above /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
"""


def test_version_1_has_a_folder_for_each_controller() -> None:
    found = cgroup._parents(V1, "8:pids:/\n4:memory:/above/mine\n1:cpu:/\n0::/\n")
    assert sorted(found) == [
        (["cpu"], "/sys/fs/cgroup/cpu/"),
        (["memory"], "/sys/fs/cgroup/memory/mine"),
        (["pids"], "/sys/fs/cgroup/pids/"),
    ]


def test_version_2_takes_the_nearest_group_that_hands_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "slice" / "scope").mkdir(parents=True)
    (tmp_path / "slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "slice" / "scope" / "cgroup.subtree_control").write_text("\n")
    table = f"41 31 0:38 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    assert cgroup._parents(table, "0::/slice/scope\n") == [([], str(tmp_path / "slice"))]


def test_without_controllers_there_are_no_groups(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no control groups"):
        cgroup.Groups("x", f"41 31 0:38 / {tmp_path} rw - cgroup2 cgroup2 rw\n", "0::/\n")


def test_a_number_used_again_is_not_taken_for_the_same_process() -> None:
    number, _, start = cgroup.own_name().partition("-")
    assert cgroup.alive(f"llmasos-{number}-{start}")
    assert not cgroup.alive(f"llmasos-{number}-{int(start) + 1}")
