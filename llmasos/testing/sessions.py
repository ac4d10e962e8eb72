"""Whole turns with a model that says what it was told to: for tests of how a tool is used."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmasos.api import TurnRequest, TurnResult
from llmasos.client import TurnFold
from llmasos.events import TurnFinished
from llmasos.kernel import Kernel
from llmasos.ledger import MemoryLedger
from llmasos.models import Engine, FakeEngine, LoadPlan, Models
from llmasos.sandbox import FakeProvider
from llmasos.testing.context import blocking, defined
from llmasos.testing.settings import TestSettings
from llmasos.tools import KernelContext, Registry, Tool, builtin_tools
from llmasos.tools.plugins.definition import tool_of
from llmasos.tools.plugins.in_kernel import run_in_thread

_CALL = re.compile(r"[a-z_][a-z0-9_]*(\(|\n```)")


class ScriptedModel:
    """A model that replies from a script.

    Args:
        replies: What it says, in turn: calls such as `count_words(path="notes.txt")`, then an answer.

    Attributes:
        engine: Keeps what it was asked.
    """

    def __init__(self, *replies: str) -> None:
        # What is no call is an answer, which small models mark.
        self.engine = FakeEngine(reply if _CALL.match(reply) else f"Answer: {reply}" for reply in replies)

    @property
    def prompts(self) -> list[str]:
        """What it was asked, each time as a whole."""
        return ["\n".join(turn.content for turn in request.turns) for request in self.engine.requests]


def play(
    folder: Path,
    request: str,
    model: ScriptedModel,
    tools: Sequence[Callable[..., Any]],
    *,
    approve: bool = False,
) -> TurnResult:
    """Carry out one turn in a kernel of its own, through the gate, and return what came of it.

    The tools run in this process, the sandbox has no walls, and the ledger is in memory.

    Args:
        folder: The person's folder; changes stay in a view of it.
        request: What the person says.
        model: What the model says.
        tools: Functions with `@tool`.
        approve: Whether the person agrees to whatever they are asked; else it is denied.

    Raises:
        ToolError: A tool cannot be one.
    """
    offered = [plugin_tool(function) for function in tools]
    return blocking(_play(folder, request, model, offered, approve))


async def _play(
    folder: Path, request: str, model: ScriptedModel, tools: Sequence[Tool], approve: bool
) -> TurnResult:
    with tempfile.TemporaryDirectory(prefix="llmasos-test-") as place:

        async def load(plan: LoadPlan) -> Engine:
            return model.engine

        settings = TestSettings(data_dir=Path(place) / "data", runtime_dir=Path(place) / "run")
        kernel = Kernel(
            settings,
            models=Models(settings, loader=load),
            provider=FakeProvider(),
            ledger=MemoryLedger(),
            registry=Registry([*builtin_tools(), *tools]),
        )
        async with kernel:
            session = await kernel.sessions.create(folder)
            fold = TurnFold(session.id)
            wanted = TurnRequest(text=request, approve="all" if approve else "deny")
            accepted = await session.start(wanted)
            async with session.stream.follow(accepted.after) as events:
                async for event in events:
                    if event.turn == accepted.turn:
                        fold.add(event)
                    if isinstance(event, TurnFinished) and event.turn == accepted.turn:
                        break
        return fold.result()


def plugin_tool(function: Callable[..., Any]) -> Tool:
    """Return a function with `@tool` as the gate has a plugin's, run in this process.

    Raises:
        ToolError: It cannot be a tool.
    """
    tool = defined(function)

    async def run(context: KernelContext, arguments: Mapping[str, Any]) -> object:
        return await run_in_thread(context, lambda: function, tool, arguments)

    return tool_of(tool, "plugin:tested", run, confined=True)
