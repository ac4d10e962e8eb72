"""Paths deeper than the system takes: made step by step they are named, left, and can be dropped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmasos.sandbox.workspace.files import too_deep
from llmasos.sandbox.workspace.removal import remove
from tests.sandbox.conftest import MakeDesk

pytestmark = pytest.mark.anyio

# Longer than the system takes, deeper than one function may call itself, and both.
WAYS = {"long": ["n" * 200] * 40, "deep": ["d"] * 1_200, "both": ["m" * 50] * 1_200}
DEEP = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def dig(top: Path, way: list[str]) -> None:
    """Make folders within each other, as programs do that change into each, and a file in the last."""
    here = os.open(top, os.O_DIRECTORY)
    for name in way:
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("last", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here))
    os.close(here)


@pytest.fixture(autouse=True)
def _leave_nothing_too_deep(tmp_path: Path) -> Iterator[None]:
    """Remove what the fixture of the temporary folder cannot."""
    yield
    for path in tmp_path.iterdir():
        remove(str(path))


@DEEP
async def test_what_is_too_deep_is_left(make_desk: MakeDesk, way: list[str]) -> None:
    desk = make_desk({"a.txt": "one\n", "old/b.txt": "b"})
    before = desk.tree()
    agent = await desk.agent()
    agent.write("a.txt", "two\n")
    agent.touch("old/b.txt")
    dig(agent.upper / "old", way)
    assert await desk.space.names() == ["a.txt", "old/b.txt"]
    assert (await desk.space.summary()).blocked
    (left,) = (change for change in await desk.space.changes() if change.blocked)
    assert too_deep(left.path)
    assert not too_deep(os.path.dirname(left.path))
    shown, _ = await desk.space.diff(most_files=1_000)
    assert [change.path for change in shown if "too deep" in change.detail] == [left.path]
    assert (await desk.space.commit()).left == (left.path,)
    assert (desk.folder / "a.txt").read_text() == "two\n"
    assert not os.path.lexists(desk.folder / left.path)
    await desk.agent()
    assert await desk.kinds() == {left.path: "added"}
    await desk.space.discard([left.path])
    assert await desk.kinds() == {}
    await desk.space.undo()
    assert desk.tree() == before


@DEEP
@pytest.mark.parametrize("selection", [None, ["old"]])
async def test_what_is_too_deep_can_be_dropped(
    make_desk: MakeDesk, way: list[str], selection: list[str] | None
) -> None:
    desk = make_desk({"old/b.txt": "b"})
    before = desk.tree()
    agent = await desk.agent()
    agent.touch("old/b.txt")
    dig(agent.upper / "old", way)
    await desk.space.discard(selection)
    assert await desk.kinds() == {}
    agent = await desk.agent()
    assert desk.kind == "overlay" or os.listdir(agent.upper / "old") == ["b.txt"]
    assert desk.tree() == before


@DEEP
async def test_what_is_too_deep_in_the_folder_is_not_shown_and_stays(
    make_desk: MakeDesk, way: list[str]
) -> None:
    desk = make_desk({"a.txt": "one\n", "old/b.txt": "b"})
    dig(desk.folder / "old", way)
    agent = await desk.agent()
    assert await desk.space.changed_outside() is False
    assert await desk.space.names()
    assert desk.space.secret_files()
    assert await desk.kinds() == {}
    agent.write("a.txt", "two\n")
    for name in ("b.txt", way[0]):
        agent.remove(f"old/{name}")
    assert {"a.txt", "old/b.txt"} == set(await desk.kinds())
    await desk.space.commit()
    assert os.listdir(desk.folder / "old") == [way[0]]
    await desk.space.undo()
    assert (desk.folder / "old/b.txt").read_text() == "b"


@pytest.fixture
def shallow() -> Iterator[None]:
    """Let functions call themselves as often as they may without libraries that allow more."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow")
def test_a_removal_goes_to_the_bottom_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x").write_text("kept")
    dig(tmp_path, ["top", *WAYS["both"]])
    for name in ("b", "c"):
        dig(tmp_path / "top", [name, "inner"])
        (tmp_path / "top" / name / "link").symlink_to(tmp_path / "outside")
        (tmp_path / "top" / name / "inner").chmod(0)
    (tmp_path / "top").chmod(0)
    assert len(WAYS["both"]) > sys.getrecursionlimit()
    remove(str(tmp_path / "top"))
    remove(str(tmp_path / "top"))
    assert [path.name for path in tmp_path.rglob("*")] == ["outside", "x"]
