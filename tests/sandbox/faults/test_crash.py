"""Killed at any moment, the next start finds the folder as it was before or as it was to be."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.sandbox import Selection, Workspace
from llmasos.sandbox.port import ViewKind
from tests.sandbox.conftest import Agent, Desk, fill

FILES: dict[str, bytes | str] = {
    "a": "".join(f"line {number}\n" for number in range(30)),
    "dir/x": "x",
    "dir/sub/y": "y",
    "f2d": "file",
    "gone/z": "z",
    "one": "shared",
    "whole/p": "p",
    "whole/q": "q",
}
KINDS: tuple[ViewKind, ...] = ("overlay", "snapshot")
# Of each act on each kind of view, before it has ended.
KILLS = 17
Act = Callable[[Workspace], Coroutine[Any, Any, None]]
_CALLS = (
    *(
        "chmod",
        "chown",
        "fchmod",
        "fchown",
        "link",
        "mkdir",
        "mknod",
        "open",
        "removexattr",
        "rename",
        "replace",
        "rmdir",
    ),
    *("setxattr", "symlink", "truncate", "unlink", "utime", "copy_file_range", "ftruncate"),
)


def edit(agent: Agent) -> None:
    """Change something of every sort."""
    agent.write("a", str(FILES["a"]).replace("line 2\n", "two\n").replace("line 25\n", "more\n"))
    agent.remove("dir")
    agent.write("dir", "now a file")
    agent.remove("f2d")
    agent.mkdir("f2d")
    agent.write("f2d/in\n", "i")
    agent.remove("gone")
    agent.link("link", "a")
    agent.hardlink("two", "one")
    agent.touch("one").chmod(0o600)
    agent.write("whole/p", "new p")
    agent.remove("whole")
    agent.mkdir("whole")
    agent.write("whole/r", "r")


async def _commit(space: Workspace) -> None:
    await space.commit()


async def _some(space: Workspace) -> None:
    await space.commit([Selection(path="a", hunks=(1,)), "dir", "whole/q"])


async def _undo(space: Workspace) -> None:
    await space.undo()


async def _redo(space: Workspace) -> None:
    await space.redo()


async def _discard(space: Workspace) -> None:
    await space.discard([Selection(path="a", hunks=(2,)), "whole/q", "gone/z", "f2d"])


async def _discard_all(space: Workspace) -> None:
    await space.discard()


ACTS = {act.__name__: act for act in (_commit, _some, _undo, _redo, _discard, _discard_all)}
PREPARED: dict[Act, tuple[Act, ...]] = {_undo: (_commit,), _redo: (_commit, _undo)}


def child(space: Workspace, act: Act, fatal: int | None = None) -> tuple[bool, int]:
    """Do something in a process that kills itself before its nth change.

    Returns:
        Whether it was killed, and how many changes it came to make.
    """
    reader, writer = os.pipe()
    number = os.fork()
    if number == 0:
        try:
            made = count()

            def deadly(call: Callable[..., object]) -> Callable[..., object]:
                def instead(*args: object, **kwargs: object) -> object:
                    if next(made) == fatal:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return call(*args, **kwargs)

                return instead

            for name in _CALLS:
                setattr(os, name, deadly(getattr(os, name)))
            anyio.run(act, space)
            os.write(writer, str(next(made)).encode())
            os._exit(0)
        finally:
            sys.stderr.flush()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        changes = int(pipe.read() or "0")
    _, status = os.waitpid(number, 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL, changes


def shown(desk: Desk) -> dict[str, str]:
    async def look() -> dict[str, str]:
        return {change.path: change.diff for change in (await desk.space.diff(most_files=1000))[0]}

    return anyio.run(look)


def prepared(base: Path, kind: ViewKind, act: Act) -> Desk:
    """Return a workspace with everything done that comes before an act."""
    fill(base / "folder", FILES)
    desk = Desk(base / "folder", base / "state", kind)

    async def work() -> None:
        edit(await desk.agent())
        await desk.space.changed()
        for earlier in PREPARED.get(act, ()):
            await earlier(desk.space)

    anyio.run(work)
    return desk


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("kind", KINDS)
def test_killed_anywhere_nothing_is_lost_or_half_done(tmp_path: Path, kind: ViewKind, act: Act) -> None:
    desk = prepared(tmp_path / "model", kind, act)
    before, view_before = desk.tree(), shown(desk)
    _, changes = child(desk.space, act)
    desk.open()
    after, view_after = desk.tree(), shown(desk)
    assert (after, view_after) != (before, view_before)
    chance = random.Random(f"{kind} {act.__name__}")
    turns = count()
    killed = 0
    while killed < KILLS:
        turn = next(turns)
        assert turn < 2 * KILLS
        desk = prepared(tmp_path / f"{turn}", kind, act)
        fatal = chance.randrange(changes)
        killed += child(desk.space, act, fatal)[0]
        desk.open()
        found = (desk.tree(), shown(desk))
        assert found in ((before, view_before), (after, view_after)), (turn, fatal)
        assert not list((tmp_path / f"{turn}").glob("state/view.*"))
        if act in (_commit, _some) and found[0] == after:
            anyio.run(_undo, desk.space)
            assert desk.tree() == before
            anyio.run(_redo, desk.space)
            assert desk.tree() == after


def test_it_was_killed_often_enough() -> None:
    assert len(KINDS) * len(ACTS) * KILLS >= 200
