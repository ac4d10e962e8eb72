"""Git in a view: hidden files are left alone, and only what git itself changed comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmasos.sandbox.workspace.git_index import SKIP, Entry, Index
from llmasos.sandbox.workspace.git_view import find_indexes, is_index
from tests.sandbox.conftest import Desk, MakeDesk

pytestmark = pytest.mark.anyio
HIDDEN = (".env", "*.key", ".ssh")
OWNER = 200_000 if os.geteuid() == 0 else 0


def entry(path: str, oid: str = "a", *, skip: bool = False, stage: int = 0, seen: int = 1) -> Entry:
    stat = (seen, 2, 3, 4, 5, 6, 0o100644, 7, 8, 9)
    return Entry(path.encode(), stat, oid.encode() * 20, stage << 12, SKIP if skip else 0)


def index(*entries: Entry) -> bytes:
    return Index(2, (), b"", "sha1").write(entries)


def marks(data: bytes) -> dict[str, bool]:
    """Return for each entry whether git is to leave its file alone."""
    return {one.path.decode(): bool(one.extended & SKIP) for one in Index.read(data).entries}


async def seen(desk: Desk, path: str = ".git/index") -> bytes:
    """Return a file as the view shows it."""
    view = await desk.space.view(desk.kind)
    places = [view.upper, *([view.hidden] if view.hidden is not None else []), desk.folder]
    return next((place / path).read_bytes() for place in places if (place / path).exists())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".git/index", True),
        ("deep/down/.git/index", True),
        (".git/modules/a/b/index", True),
        (".git/worktrees/x/index", True),
        ("index", False),
        (".git/refs/index", False),
        (".git/modules/a/objects/index", False),
        (".git/index.lock", False),
        ("x.git/index", False),
    ],
)
def test_indexes_are_known_by_where_they_lie(path: str, expected: bool) -> None:
    assert is_index(path) is expected


def test_repositories_without_an_index_have_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "a/.git").mkdir(parents=True)
    (tmp_path / "a/.git/index").touch()
    assert find_indexes(str(tmp_path), ["", ".git", "a", "a/.git"]) == ["a/.git/index"]


async def test_git_leaves_alone_what_is_hidden(make_desk: MakeDesk) -> None:
    names = (".env", ".ssh/id", "a", "b.key", "sub/.env", "was/.env")
    desk = make_desk(dict.fromkeys((*names[:-1], ".git/HEAD"), "x"), hidden=HIDDEN)
    file = desk.folder / ".git/index"
    file.write_bytes(index(*map(entry, names)))
    os.utime(file, ns=(7, 7))
    found = await seen(desk)
    # What the person deleted is deleted in the view as well.
    assert marks(found) == dict.fromkeys(names, True) | {"a": False, "was/.env": False}
    assert {one.stat[7:9] for one in Index.read(found).entries} == {(7 + OWNER, 8 + OWNER)}
    assert await desk.kinds() == {}
    view = await desk.space.view(desk.kind)
    place = view.hidden if desk.kind == "overlay" else view.upper
    assert place is not None
    # Git distrusts files that are as new as its index.
    assert (place / ".git/index").stat().st_mtime_ns == 7
    assert marks(file.read_bytes()) == dict.fromkeys(names, False)


async def test_an_index_in_the_middle_of_a_merge_keeps_its_sides(make_desk: MakeDesk) -> None:
    desk = make_desk({".env": "x", ".git/HEAD": "x"}, hidden=HIDDEN)
    sides = [entry(".env", oid, stage=stage) for stage, oid in ((1, "a"), (2, "b"), (3, "c"))]
    (desk.folder / ".git/index").write_bytes(index(*sides))
    assert marks(await seen(desk)) == {".env": False}


@pytest.mark.parametrize("data", [b"", b"DIRC", b"x" * 100])
async def test_an_index_that_cannot_be_read_is_left_alone(make_desk: MakeDesk, data: bytes) -> None:
    desk = make_desk({".env": "x", "a": "x", ".git/index": data}, hidden=HIDDEN)
    assert await seen(desk) == data
    assert await desk.kinds() == {}
    agent = await desk.agent()
    agent.write(".git/index", index(entry("a")))
    [change] = (await desk.space.diff())[0]
    assert (change.path, change.kind) == (".git/index", "changed") and "binary" in change.detail
    await desk.space.commit()
    assert marks((desk.folder / ".git/index").read_bytes()) == {"a": False}


async def test_what_git_has_only_remembered_is_no_change(make_desk: MakeDesk) -> None:
    desk = make_desk({".env": "x", "a": "x", ".git/HEAD": "x"}, hidden=HIDDEN)
    (desk.folder / ".git/index").write_bytes(index(entry(".env"), entry("a")))
    agent = await desk.agent()
    agent.write(".git/index", index(entry(".env", skip=True), entry("a", seen=5)))
    assert await desk.kinds() == {}
    # And it does not stay in the way of what the person stages.
    (desk.folder / ".git/index").write_bytes(index(entry(".env"), entry("a", "n")))
    agent.write("b", "b")
    await desk.space.commit(["b"])
    assert await desk.kinds() == {}


async def test_what_was_staged_is_told_and_comes_back_without_marks(make_desk: MakeDesk) -> None:
    desk = make_desk({".env": "x", "a": "x", ".git/HEAD": "x"}, hidden=HIDDEN)
    before = (entry(".env"), entry("a"), entry("gone"), entry("left", skip=True))
    (desk.folder / ".git/index").write_bytes(index(*before))
    agent = await desk.agent()
    after = (entry(".env", skip=True), entry("a", "n"), entry("left", skip=True), entry("new"))
    agent.write(".git/index", index(*(one.owned(OWNER) for one in after)))
    [change] = (await desk.space.diff())[0]
    assert change.detail == "git's list of files to commit: adds new; changes a; drops gone"
    await desk.space.commit()
    written = (desk.folder / ".git/index").read_bytes()
    # What the person had set aside stays so.
    assert marks(written) == {".env": False, "a": False, "left": True, "new": False}
    assert {one.stat[7:9] for one in Index.read(written).entries} == {(7, 8)}
    await desk.space.undo()
    assert (desk.folder / ".git/index").read_bytes() == index(*before)


async def test_a_look_from_outside_is_no_conflict(make_desk: MakeDesk) -> None:
    desk = make_desk({"a": "x", ".git/HEAD": "x"})
    file = desk.folder / ".git/index"
    file.write_bytes(index(entry("a")))
    agent = await desk.agent()
    agent.write(".git/index", index(entry("a"), entry("b")))
    assert await desk.kinds() == {".git/index": "changed"}
    file.write_bytes(index(entry("a", seen=9)))
    await desk.space.commit()
    assert marks(file.read_bytes()) == {"a": False, "b": False}


async def test_what_is_granted_later_is_seen_by_git(make_desk: MakeDesk) -> None:
    desk = make_desk({".env": "x", "a": "x", ".git/HEAD": "x"}, hidden=HIDDEN)
    (desk.folder / ".git/index").write_bytes(index(entry(".env"), entry("a")))
    assert marks(await seen(desk)) == {".env": True, "a": False}
    desk.space = desk.space.granting([".env"])
    assert marks(await seen(desk)) == {".env": False, "a": False}
    agent = await desk.agent()
    agent.write(".git/index", index(entry(".env"), entry("a"), entry("b")))
    desk.space = desk.space.granting([])
    assert marks(await seen(desk)) == {".env": True, "a": False, "b": False}
    desk.space = desk.space.granting([".env"])
    assert marks(await seen(desk)) == {".env": False, "a": False, "b": False}


async def test_submodules_and_other_work_trees_are_found(
    make_desk: MakeDesk,
) -> None:
    hidden = ("lib/.env", "tree/.env", ".env")
    desk = make_desk(
        {
            **dict.fromkeys(hidden, "x"),
            ".git/modules/lib/config": "[core]\n\tworktree = ../../../lib\n",
            ".git/modules/away/config": "[core]\n\tworktree = ../../../../elsewhere\n",
            ".git/modules/none/config": "[core]\n\tbare = false\n",
        },
        hidden=HIDDEN,
    )
    linked = desk.folder / ".git/worktrees/tree"
    linked.mkdir(parents=True)
    (linked / "gitdir").write_text(f"{desk.folder}/tree/.git\n")
    expected = {"modules/lib": True, "modules/away": False, "modules/none": False, "worktrees/tree": True}
    for name in expected:
        (desk.folder / ".git" / name / "index").write_bytes(index(entry(".env")))
    found = {name: marks(await seen(desk, f".git/{name}/index"))[".env"] for name in expected}
    assert found == expected


async def test_nothing_is_written_through_a_link_that_the_agent_left(make_desk: MakeDesk) -> None:
    desk = make_desk({".env": "x", ".git/HEAD": "x"}, hidden=HIDDEN)
    (desk.folder / ".git/index").write_bytes(index(entry(".env")))
    outside = desk.folder.parent / "outside"
    outside.mkdir()
    (outside / "index").write_bytes(index(entry("b")))
    agent = await desk.agent()
    agent.remove(".git")
    agent.link(".git", str(outside))
    await desk.space.view(desk.kind)
    assert (outside / "index").read_bytes() == index(entry("b"))
