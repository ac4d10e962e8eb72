"""What programs do in a real view is committed, taken back and made again exactly."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llmasos.config import SandboxLimits, Settings
from llmasos.sandbox import SandboxProvider, Workspace, choose_provider
from tests.sandbox.conftest import fill, tree

pytestmark = pytest.mark.integration

Step = tuple[str, str]

NAMES = st.sampled_from(["a", "b", "c\n", "d\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES: dict[str, bytes | str] = {
    "a/a": "aa",
    "a/b/a": "aba",
    "b": "b",
    "c\n/a": "ca",
    "d\udcff/b": "db",
    "plain/1": "1",
}


def _python(template: str) -> st.SearchStrategy[Step]:
    def fill_in(path: str, other: str, number: int) -> Step:
        body = template.format(path=ascii(path), other=ascii(other), number=number)
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        return "python", f"import os, shutil\ntry:\n{lines}\nexcept OSError:\n    pass\n"

    return st.builds(fill_in, PATHS, PATHS, st.integers(0, 3))


def _shell(template: str) -> st.SearchStrategy[Step]:
    def fill_in(path: str, other: str) -> Step:
        return "shell", template.format(path=_quoted(path), other=_quoted(other)) + " 2>/dev/null || true"

    return st.builds(fill_in, PATHS, PATHS)


def _quoted(path: str) -> str:
    if path.isprintable():
        return shlex.quote(path)
    return "$'" + "".join(f"\\x{byte:02x}" for byte in os.fsencode(path)) + "'"


STEPS = st.one_of(
    _python("open({path}, 'w').write('x' * {number})"),
    _python("open({path}, 'a').write('more')"),
    _python("shutil.rmtree({path})\nos.mkdir({path})\nopen({path} + '/new', 'w').close()"),
    _python("os.link({other}, {path})"),
    _python("os.setxattr({path}, 'user.note', b'{number}', follow_symlinks=False)"),
    # Folders that are there already are moved in an overlay only by copying, as `mv` does below.
    _python("if os.path.isdir({other}): raise OSError\nos.rename({other}, {path})"),
    _python("os.truncate({path}, 1 << (10 * {number}))"),
    _shell("rm -rf {path}"),
    _shell("mkdir -p {path}"),
    _shell("ln -s {other} {path}"),
    _shell("chmod $([ -d {path} ] && echo 750 || echo 700) {path}"),
    _shell("mv -T {other} {path}"),
    _shell("cp -a {other} {path}/copy"),
    _shell("rm -rf {path} && echo file > {path}"),
)
EDITS = st.lists(STEPS, min_size=1, max_size=14)
PLAY = settings(
    deadline=None,
    # Each example opens sandboxes, so a failing one is shown as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def on_host(step: Step, folder: Path) -> None:
    """Carry a step out in a plain folder."""
    kind, text = step
    program = [sys.executable, "-c", text] if kind == "python" else ["bash", "-c", text]
    subprocess.run(program, cwd=folder, check=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})


async def play(
    base: Path, space: Workspace, rounds: list[list[Step]], act: Callable[[list[Step]], Awaitable[None]]
) -> None:
    """Have edits committed, taken back and made again, beside a plain folder that has had the same ones."""
    shutil.copytree(base / "folder", base / "plain", symlinks=True)
    trees = [tree(base / "folder")]
    for edits in rounds:
        await act(edits)
        for step in edits:
            on_host(step, base / "plain")
        assert tree(base / "folder") == trees[-1]
        if await space.changes():
            await space.commit()
            trees.append(tree(base / "plain"))
        assert tree(base / "folder") == tree(base / "plain")
        assert await space.changes() == []
    for expected in reversed(trees[:-1]):
        await space.undo()
        assert tree(base / "folder") == expected
    for expected in trees[1:]:
        await space.redo()
        assert tree(base / "folder") == expected


async def play_in_sandbox(base: Path, provider: SandboxProvider, rounds: list[list[Step]]) -> None:
    fill(base / "folder", FILES)
    space = Workspace.open(base / "folder", base / "state")

    async def act(edits: list[Step]) -> None:
        sandbox = await provider.open(await space.view(), session="test")
        try:
            for kind, text in edits:
                run = sandbox.run_python if kind == "python" else sandbox.run_command
                done = await run(text, timeout=20)
                assert done.status == "ok", done
        finally:
            await sandbox.close()

    await play(base, space, rounds, act)


async def play_in_copy(base: Path, rounds: list[list[Step]]) -> None:
    fill(base / "folder", FILES)
    space = Workspace.open(base / "folder", base / "state")

    async def act(edits: list[Step]) -> None:
        view = await space.view("snapshot")
        for step in edits:
            on_host(step, view.upper)

    await play(base, space, rounds, act)


@pytest.mark.parametrize("backend", ["docker", "bubblewrap"])
@settings(PLAY, max_examples=6)
@given(rounds=st.lists(EDITS, min_size=1, max_size=2))
def test_an_overlays_edits_are_transactions(backend: str, rounds: list[list[Step]]) -> None:
    async def work(base: Path) -> None:
        limits = SandboxLimits(memory_mb=512, processes=64)
        asked = Settings(sandbox=backend, runtime_dir=base / "run", sandbox_limits=limits)
        provider = await choose_provider(asked)
        try:
            await play_in_sandbox(base, provider, rounds)
        finally:
            await provider.close()

    with tempfile.TemporaryDirectory() as base:
        anyio.run(work, Path(base))


@settings(PLAY, max_examples=10)
@given(rounds=st.lists(EDITS, min_size=1, max_size=2))
def test_a_snapshots_edits_are_transactions(rounds: list[list[Step]]) -> None:
    with tempfile.TemporaryDirectory() as base:
        anyio.run(play_in_copy, Path(base), rounds)
