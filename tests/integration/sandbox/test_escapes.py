"""In a real jail no path leads to other files of the person: in no spelling, by no link, and in no race."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.config import SandboxLimits
from llmasos.errors import LLMasOSError
from llmasos.sandbox import Sandbox, Workspace
from tests.attacks.escapes import CANARY, Ground, paths
from tests.integration.sandbox.tiers import open_tier

pytestmark = pytest.mark.integration

_SWAPS = """
import os, pathlib

pathlib.Path("swap").mkdir()
pathlib.Path("swap/canary.txt").write_text("ours")
os.symlink({outside!r}, "link")
while True:
    os.rename("swap", "kept")
    os.rename("link", "swap")
    os.rename("swap", "link")
    os.rename("kept", "swap")
"""


@asynccontextmanager
async def opened(base: Path) -> AsyncIterator[tuple[Ground, Workspace, Sandbox]]:
    """Open a jail on a folder whose links lead out of it."""
    ground = Ground.make(base / "ground")
    async with open_tier("bubblewrap", base / "place", SandboxLimits(processes=64)) as tier:
        workspace = Workspace.open(ground.inside, base / "place" / "data" / "state")
        view = await workspace.view(tier.provider.view_kind)
        sandbox = await tier.provider.open(view, session="test")
        try:
            yield ground, workspace, sandbox
        finally:
            await sandbox.close()


@settings(max_examples=12, deadline=None)
@given(spelled=st.lists(paths().filter(lambda path: "\0" not in path), min_size=50, max_size=50))
def test_no_file_tool_and_no_command_leads_out(spelled: list[str]) -> None:
    async def attempt(base: Path) -> None:
        async with opened(base) as (ground, workspace, sandbox):
            before = ground.touched()
            said: list[object] = []
            for path in map(ground.placed, spelled):
                for operation in (
                    lambda path=path: sandbox.read(path),
                    lambda path=path: sandbox.write(path, b"written\n"),
                    lambda path=path: sandbox.list(path, depth=2),
                    lambda path=path: sandbox.search(".", path=path),
                    lambda path=path: sandbox.stat(path),
                    lambda path=path: sandbox.scan(path),
                    lambda path=path: sandbox.make_folder(path),
                    lambda path=path: sandbox.remove(path),
                ):
                    with suppress(LLMasOSError):
                        said.append(await operation())
            words = [shlex.quote(ground.placed(path) or ".") for path in spelled]
            lines = [f"cat -- {word}; echo written > {word}; ln -f a.txt {word}" for word in words]
            said.append(await sandbox.run_command("\n".join(lines), timeout=30))
            said.append(await workspace.diff())
            await sandbox.close()
            with suppress(LLMasOSError):
                await workspace.commit()
            assert ground.touched() == before
            assert CANARY not in repr(said)

    with TemporaryDirectory() as base:
        anyio.run(attempt, Path(base))


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    async def race() -> None:
        async with opened(tmp_path) as (ground, workspace, sandbox):
            before = ground.touched()
            said: list[object] = []
            swaps = _SWAPS.format(outside=str(ground.outside))
            job = await sandbox.start_job(f"python3 -c {shlex.quote(swaps)}")
            for turn in range(300):
                for operation in (
                    lambda: sandbox.read("swap/canary.txt"),
                    lambda: sandbox.write("swap/new.txt", b"written\n"),
                    lambda: sandbox.search(".", path="swap"),
                    lambda: sandbox.list("swap"),
                ):
                    with suppress(LLMasOSError):
                        said.append(await operation())
                if turn % 5 == 0:
                    with suppress(LLMasOSError):
                        said.append(await workspace.diff())
            await sandbox.stop_job(job.id)
            await sandbox.close()
            with suppress(LLMasOSError):
                await workspace.commit()
            assert len(said) > 300
            assert ground.touched() == before
            assert CANARY not in repr(said)

    anyio.run(race)
