"""Secrets are not in the view, and finding them again costs only what changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from llmasos.config import HIDDEN
from llmasos.sandbox import Workspace
from llmasos.sandbox.workspace.secrets import Secrets
from llmasos.sandbox.workspace.tree import Tree
from tests.sandbox.conftest import fill

pytestmark = pytest.mark.anyio

GRANTED = (".env.example",)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (".env", True),
        ("deep/down/.env.local", True),
        (".env.example", False),
        ("server.PEM", True),
        ("x.pem/file", True),
        ("home/.aws/credentials", True),
        ("credentials", False),
        ("aws/credentials", False),
        (".ssh/known_hosts", True),
        ("environment", False),
        ("notes.key.txt", False),
        ("secrets.yaml", True),
    ],
)
def test_names_and_ends_of_paths_are_matched(path: str, hidden: bool) -> None:
    assert Secrets(HIDDEN, GRANTED).hides(path) is hidden


async def test_an_overlay_gets_a_layer_of_whiteouts(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fill(folder, {"a/b/.env": "S", "a/b/c": "c", ".ssh/id": "S", "d": "d", "a/.env.example": "e"})
    (folder / "a/b").chmod(0o750)
    os.utime(folder / "a/b", ns=(7, 7))
    view = await Workspace.open(folder, tmp_path / "state", hidden=HIDDEN, granted=GRANTED).view()
    assert view.hidden is not None
    found = {os.fspath(path.relative_to(view.hidden)): path.lstat() for path in view.hidden.rglob("*")}
    assert found.keys() == {"a", "a/b", "a/b/.env", ".ssh"}
    for name in ("a/b/.env", ".ssh"):
        assert stat.S_ISCHR(found[name].st_mode)
        assert found[name].st_rdev == 0
    assert stat.S_IMODE(found["a/b"].st_mode) == 0o750
    assert found["a/b"].st_mtime_ns == 7


async def test_nothing_to_hide_needs_no_layer(tmp_path: Path) -> None:
    fill(tmp_path / "folder", {"a": "a"})
    assert (
        await Workspace.open(tmp_path / "folder", tmp_path / "state", hidden=HIDDEN).view()
    ).hidden is None


async def test_a_snapshot_has_no_copy_of_secrets(tmp_path: Path) -> None:
    fill(tmp_path / "folder", {".env": "S", ".ssh/id": "S", "a": "a"})
    view = await Workspace.open(tmp_path / "folder", tmp_path / "state", hidden=HIDDEN).view("snapshot")
    assert [path.name for path in view.upper.rglob("*")] == ["a"]
    assert view.hidden is None


def test_only_folders_that_changed_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = tmp_path / "folder", str(tmp_path / "cache")
    fill(folder, {"a/.env": "S", "b/x": "x", "b/c/y": "y"})
    secrets = Secrets((".env",))
    monkeypatch.setattr("llmasos.sandbox.workspace.tree._SETTLED", 0)
    assert Tree(str(folder), cache, secrets).hidden() == ["a/.env"]
    (folder / "b/.env").write_text("S")
    read = []
    scandir = os.scandir

    def seen(path: str) -> object:
        read.append(os.path.relpath(path, folder))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", seen)
    assert Tree(str(folder), cache, secrets).hidden() == ["a/.env", "b/.env"]
    assert read == ["b"]
    assert Tree(str(folder), cache, Secrets(("x",))).hidden() == ["b/x"]


async def test_names_that_come_and_go_are_seen_from_outside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fill(folder, {"deep/down/a": "a"})
    space = Workspace.open(folder, tmp_path / "state")
    await space.view()
    assert not await space.changed_outside()
    (folder / "deep/down/b").write_text("b")
    assert await space.changed_outside()
    await space.view()
    assert not await space.changed_outside()
