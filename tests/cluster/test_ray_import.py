"""What is said when Ray cannot be imported, or its cluster cannot be reached."""

import socket
import sys
from pathlib import Path

import pytest

from llmasos.cluster.port import ClusterError
from llmasos.cluster.ray import RayCluster

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
async def test_a_failing_import_is_said_and_leaves_no_folder(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules, temporary = tmp_path / "modules", tmp_path / "temporary"
    modules.mkdir()
    temporary.mkdir()
    (modules / "ray.py").write_text(f"raise {error}('broken')\n")
    monkeypatch.syspath_prepend(modules)
    for name in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(ClusterError):
        await RayCluster().place(_make)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("prefix", ["", "ray://"])
async def test_a_cluster_where_nobody_listens_is_named_at_once(prefix: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{prefix}127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"{address} cannot be reached: .*refused") as caught:
        await RayCluster(address).place(_make)
    assert "models.cluster" in caught.value.hint


async def _make() -> object:
    return object()
