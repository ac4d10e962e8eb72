"""Providers in a process of their own: killed in the middle, and started by somebody who is not root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from llmasos.cluster._tree import descendants
from llmasos.sandbox import DockerProvider, choose_provider
from llmasos.sandbox.port import ViewKind

from .places import Place
from .users import USER, as_user

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
ROOT = Path(__file__).parents[3]


def command(backend: str, place: Place, kind: ViewKind, stay: bool) -> list[str]:
    how = "stay" if stay else "go"
    return [sys.executable, "-m", "tests.integration.sandbox.lonely", backend, str(place.base), kind, how]


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A place that everybody may enter, which those of pytest are not."""
    base = Path(tempfile.mkdtemp(prefix="llmasos-test-"))
    base.chmod(0o755)
    yield Place.make(base)
    shutil.rmtree(base)


@pytest.mark.parametrize("backend", ["docker", "bubblewrap", "landlock"])
async def test_nothing_outlives_a_kernel_that_was_killed(open_place: Place, backend: str) -> None:
    kind: ViewKind = "snapshot" if backend == "landlock" else "overlay"
    process = await anyio.open_process(command(backend, open_place, kind, True), stderr=None, cwd=ROOT)
    assert process.stdout is not None
    assert (await process.stdout.receive()).startswith(b"ok")
    helpers = descendants([process.pid])
    assert helpers
    process.kill()
    await process.wait()
    with anyio.fail_after(20):
        while any(Path(f"/proc/{number}").exists() for number in helpers):
            await anyio.sleep(0.05)
    settings = open_place.settings().model_copy(update={"sandbox": backend})
    provider = await choose_provider(settings)
    await provider.sweep(open_place.base / "data" / "workspaces")
    await provider.close()
    assert open_place.leftovers([process.pid, *helpers]) == []
    assert not list(Path(tempfile.gettempdir()).glob(f"llmasos-sandbox-{process.pid}-*"))


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("bubblewrap", "overlay"),
        ("bubblewrap", "snapshot"),
        ("bubblewrap", "in-place"),
        ("landlock", "snapshot"),
    ],
)
async def test_somebody_else_than_root_has_the_same(open_place: Place, backend: str, kind: ViewKind) -> None:
    run = as_user(command(backend, open_place, kind, False), open_place.base)
    done = await anyio.run_process(run, check=False, cwd=ROOT, stderr=subprocess.STDOUT)
    user = str(USER if os.getuid() == 0 else os.getuid())
    assert done.stdout.decode().splitlines() == [f"ok one {user}"] * 2
    changed = open_place.folder if kind == "in-place" else open_place.upper
    assert (changed / "new").stat().st_uid == int(user)
    assert open_place.leftovers() == []


async def test_jails_of_somebody_else_have_their_memory_limited_as_a_whole(open_place: Place) -> None:
    hog = "python3 -c 'x = b\"x\" * (100 << 20); import time; time.sleep(60)'"
    hogs = f"for i in 1 2 3 4; do {hog} & done; wait"
    start = f"import subprocess\nsubprocess.run({hogs!r}, shell=True)"
    errands = open_place.base / "errands"
    errands.write_text(
        json.dumps(
            [
                ("run_command", hogs),
                ("run_python", start),
                ("run_python", "'next'"),
                ("start_job", hogs),
            ]
        )
    )
    program = [sys.executable, "-m", "tests.integration.sandbox.errand"]
    arguments = [open_place.base, open_place.base / "cache", 256, errands]
    run = as_user([*program, *map(str, arguments)], open_place.base)
    done = await anyio.run_process(run, cwd=ROOT, stderr=None)
    reason, command, cell, after, job = map(json.loads, done.stdout.splitlines())
    assert "No control groups" in reason
    assert (command[0], cell[0]) == ("memory", "memory")
    assert after[2] == "'next'"
    assert job == [False, -9]


async def test_containers_of_others_are_left_alone(open_place: Place) -> None:
    one = DockerProvider(open_place.settings())
    other = DockerProvider(open_place.settings().model_copy(update={"data_dir": open_place.base / "other"}))
    sandbox = await one.open(open_place.view(), session="s")
    await other.sweep(open_place.base)
    await one.sweep(open_place.base)
    await other.close()
    assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"
    await sandbox.close()
    await one.close()
