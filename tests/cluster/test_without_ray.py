"""Without Ray, everything but a Ray cluster works, and nothing imports it."""

import subprocess
import sys

import pytest

from llmasos.cluster import ClusterError, nodes

PARTS = ("", ".executor", ".fake", ".processes", ".ray", ".ray_executor", ".nodes", ".__main__")


def test_nothing_imports_ray() -> None:
    modules = ["llmasos.kernel", *(f"llmasos.cluster{part}" for part in PARTS)]
    code = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ray" not in {name.partition(".")[0] for name in done.stdout.split()}


def test_the_process_of_a_task_imports_little() -> None:
    code = "import llmasos.cluster._child, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "asyncio", "anyio", "ray"} & {
        name.partition(".")[0] for name in done.stdout.split()
    }


def test_a_node_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "find_spec", lambda _: None)
    with pytest.raises(ClusterError, match="Ray is not installed"):
        nodes.up()
