"""Whatever is edited, commits, undo and redo give exactly the trees that a plain folder would have."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmasos.sandbox.port import ViewKind
from tests.sandbox.conftest import Agent, Desk, fill, tree

NAMES = st.sampled_from(["a", "b", "c\n", "d\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "remove", "mkdir", "anew", "link", "hardlink", "mode", "attribute", "rename"]
        ),
        PATHS,
        PATHS,
        st.sampled_from([b"", b"one\n", b"two\n", b"\0" * 9]),
    ),
    max_size=12,
)
FILES: dict[str, bytes | str] = {"a/a": "aa", "a/b/a": "aba", "b": "b", "c\n/a": "ca", "d\udcff/b": "db"}


def edit(agent: Agent, what: str, path: str, other: str, data: bytes, plain: Path) -> None:
    """Edit a view where the edit makes sense, as a plain folder tells that has had the same edits."""
    place, second = plain / path, plain / other
    if not _is_folder(place.parent):
        return
    if what == "write" and not _is_folder(place):
        agent.write(path, data)
    elif what == "remove" and os.path.lexists(place):
        agent.remove(path)
    elif what == "mkdir" and not os.path.lexists(place):
        agent.mkdir(path)
    elif what == "anew" and _is_folder(place):
        agent.remove(path)
        agent.mkdir(path)
    elif what == "link" and not os.path.lexists(place):
        agent.link(path, "a/b")
    elif what == "hardlink" and not os.path.lexists(place) and _is_file(second):
        agent.hardlink(path, other)
    elif what == "mode" and (_is_file(place) or _is_folder(place)):
        agent.touch(path).chmod(0o700 | len(data))
    elif what == "attribute" and (_is_file(place) or _is_folder(place)):
        os.setxattr(agent.touch(path), "user.note", data)
    elif what == "rename" and not os.path.lexists(place) and _is_file(second):
        agent.rename(other, path)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@pytest.mark.parametrize("kind", ["overlay", "snapshot"])
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=st.lists(EDITS, min_size=1, max_size=3))
def test_commits_give_the_trees_that_plain_edits_give(
    kind: ViewKind, rounds: list[list[tuple[str, str, str, bytes]]]
) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        anyio.run(_play, base, kind, rounds)
    finally:
        shutil.rmtree(base)


async def _play(base: Path, kind: ViewKind, rounds: list[list[tuple[str, str, str, bytes]]]) -> None:
    fill(base / "folder", FILES)
    shutil.copytree(base / "folder", base / "plain", symlinks=True)
    desk = Desk(base / "folder", base / "state", kind)
    plain = Agent(base / "none", base / "plain", overlay=False)
    trees = [desk.tree()]
    for edits in rounds:
        agent = await desk.agent()
        for step in edits:
            edit(agent, *step, base / "plain")
            edit(plain, *step, base / "plain")
        assert desk.tree() == trees[-1]
        if await desk.space.changes():
            await desk.space.diff()
            await desk.space.commit()
            trees.append(tree(base / "plain"))
        assert desk.tree() == tree(base / "plain")
        assert await desk.space.changes() == []
    for expected in reversed(trees[:-1]):
        await desk.space.undo()
        assert desk.tree() == expected
    for expected in trees[1:]:
        await desk.space.redo()
        assert desk.tree() == expected
    await desk.agent()
    assert await desk.space.changes() == []


@pytest.mark.parametrize("kind", ["overlay", "snapshot"])
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(edits=EDITS, chosen=st.sets(PATHS, max_size=3))
def test_parts_add_up_to_the_whole(
    kind: ViewKind,
    edits: list[tuple[str, str, str, bytes]],
    chosen: set[str],
) -> None:
    base = Path(tempfile.mkdtemp())
    try:
        anyio.run(_play_in_parts, base, kind, edits, chosen)
    finally:
        shutil.rmtree(base)


async def _play_in_parts(
    base: Path, kind: ViewKind, edits: list[tuple[str, str, str, bytes]], chosen: set[str]
) -> None:
    fill(base / "folder", FILES)
    shutil.copytree(base / "folder", base / "plain", symlinks=True)
    desk = Desk(base / "folder", base / "state", kind)
    plain = Agent(base / "none", base / "plain", overlay=False)
    before = desk.tree()
    agent = await desk.agent()
    for step in edits:
        edit(agent, *step, base / "plain")
        edit(plain, *step, base / "plain")
    some = [change.path for change in await desk.space.changes() if change.path in chosen]
    if some:
        await desk.space.commit(some)
    await desk.agent()
    if await desk.space.changes():
        await desk.space.commit()
    assert without_groups(desk.tree()) == without_groups(tree(base / "plain"))
    assert await desk.space.changes() == []
    while any(commit.state == "applied" for commit in desk.space.history()):
        await desk.space.undo()
    assert desk.tree() == before


def without_groups(found: dict[str, object]) -> dict[str, object]:
    """Return a tree without which names are one file: names that are committed apart come apart."""
    return {
        name: (*facts[:3], *facts[4:]) if isinstance(facts, tuple) and facts[0] == "file" else facts
        for name, facts in found.items()
    }
