"""What is said when Ray cannot be imported."""

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


async def _make() -> object:
    return object()
