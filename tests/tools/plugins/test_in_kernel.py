"""Tools that run in threads of the kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from llmasos.errors import ToolError
from llmasos.sandbox import FakeSandbox
from llmasos.tools import KernelContext, ToolContext, tool
from llmasos.tools.plugins.in_kernel import run_in_thread
from tests.tools.plugins.kernels import Context, defined

pytestmark = pytest.mark.anyio


async def run(function: Callable[..., Any], context: Context, **declared: Any) -> object:
    return await run_in_thread(cast(KernelContext, context), lambda: function, defined(**declared), {})


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "in.txt").write_text("in")
    return Context(FakeSandbox(tmp_path))


async def test_the_whole_context_works(context: Context, tmp_path: Path) -> None:
    @tool
    async def probe(ctx: ToolContext) -> dict[str, Any]:
        ctx.log("begins")
        ctx.progress(1, 2, "reading")
        text = ctx.workspace.read_text("in.txt")
        ctx.workspace.write_text("out/one.txt", text * 2)
        copy = ctx.workspace.local("in.txt")
        copy.write_text("changed")
        ctx.workspace.save(copy, "out/two.txt")
        ctx.keep("note.txt", "kept")
        ctx.keep("copy.txt", copy)
        return {
            "files": sorted(ctx.workspace.list("out")),
            "said": ctx.models.ask("what?", "be brief", 5),
            "secret": ctx.secret("KEY"),
            "cancelled": ctx.cancelled,
        }

    done = await run(probe, context, reads=True, writes=True, models=True, secrets=("KEY",))
    assert done == {
        "files": ["out/one.txt", "out/two.txt"],
        "said": "be brief|what?|5",
        "secret": "s3cret",
        "cancelled": False,
    }
    assert (tmp_path / "out" / "one.txt").read_text() == "inin"
    assert (tmp_path / "in.txt").read_text() == "in"
    assert [one.data for one in context.kept] == [b"kept", b"changed"]
    assert context.shown == [("stderr", "begins\n")] and context.steps == [("reading", 1.0, 2.0, "")]


async def test_errors_are_the_tools(context: Context) -> None:
    @tool
    def probe() -> str:
        raise KeyError("x")

    with pytest.raises(ToolError, match="probe raised KeyError: 'x'"):
        await run(probe, context)


async def test_a_text_in_another_encoding_is_named(context: Context, tmp_path: Path) -> None:
    (tmp_path / "gb.txt").write_bytes("天".encode("gb18030"))

    @tool
    def probe(ctx: ToolContext) -> str:
        return ctx.workspace.read_text("gb.txt")

    with pytest.raises(ToolError, match=r"gb\.txt is no utf-8 text"):
        await run(probe, context, reads=True)


async def test_a_call_that_takes_too_long_is_left(context: Context) -> None:
    over, told = threading.Event(), threading.Event()

    @tool
    def probe(ctx: ToolContext) -> str:
        over.wait()
        if ctx.cancelled:
            told.set()
        ctx.log("never shown")
        return "never"

    context.seconds = 0.05
    with pytest.raises(ToolError, match="did not end within 0 s"):
        await run(probe, context)
    over.set()
    await anyio.to_thread.run_sync(told.wait)
    assert not context.shown


async def test_a_cancelled_call_hears_of_it(context: Context) -> None:
    began, told = anyio.Event(), threading.Event()

    @tool
    def probe(ctx: ToolContext) -> str:
        anyio.from_thread.run_sync(began.set)
        while not ctx.cancelled:
            pass
        told.set()
        return "never"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, probe, context)
        await began.wait()
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(told.wait)
