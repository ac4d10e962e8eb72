"""Which cluster is used, and that nothing needs Ray to say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmasos.cluster import records
from llmasos.cluster._tree import began
from llmasos.cluster.records import Node
from llmasos.federated.port import FederatedError
from llmasos.federated.ray import address
from llmasos.federated.ray.leftovers import remove_after


def node(*, alive: bool) -> Node:
    pid = os.getpid()
    since = began(pid) if alive else 1
    return Node(
        name="a", role="head", address="10.0.0.7:6379", host="", pid=pid, began=since, folder=Path("none")
    )


def test_the_settings_come_first_then_the_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    told = address.variables("")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert address.address() == ""
    monkeypatch.setattr(records, "nodes", lambda: [node(alive=False)])
    assert address.address() == ""
    monkeypatch.setattr(records, "nodes", lambda: [node(alive=True)])
    assert address.address() == "10.0.0.7:6379"
    for name, value in address.variables("10.0.0.8:6379").items():
        monkeypatch.setenv(name, value)
    assert address.address() == "10.0.0.8:6379"


def test_a_token_that_is_set_is_passed_on_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    monkeypatch.setenv("RAY_OTHER", "something")
    told = address.variables("")
    assert told["RAY_AUTH_TOKEN"] == "a token" and "RAY_OTHER" not in told
    assert told["LLMASOS_DATA_DIR"] == os.environ["LLMASOS_DATA_DIR"]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "find_spec", lambda _: None)
    with pytest.raises(FederatedError, match="Ray is not installed") as raised:
        address.address()
    assert "llmasos[cluster,federated]" in raised.value.hint


def test_nothing_of_the_backend_imports_ray() -> None:
    code = "import sys, llmasos.federated.ray.cohort, llmasos.federated.runs; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_goes_with_the_process_that_needs_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("left over")
    keeper = remove_after(folder)
    assert folder.exists() and keeper.stdin is not None
    keeper.stdin.close()
    assert keeper.wait() == 0 and not folder.exists()
