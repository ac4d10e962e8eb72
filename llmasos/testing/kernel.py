"""What a kernel gives a running tool of its own, without a kernel."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from llmasos.config import Settings
from llmasos.errors import EmptyAnswer
from llmasos.sandbox import Artifact, FakeSandbox, Sandbox
from llmasos.testing.settings import TestSettings
from llmasos.tools import KernelContext, Tool

Answer = Callable[[str, str], str | Awaitable[str]]
"""Answers as a model: instructions, text."""


class FakeKernel:
    """Files of a folder, and a model that a function plays.

    Args:
        folder: The workspace.
        data: The kernel's data.
        answer: What the model says; nothing by default, which is an error of the model.
        sandbox: In place of one that only reads and writes files.
        settings: In place of those of a test.
        shelf: Collections of documents, or what stands for them.
        runs: Federated trainings, or what stands for them.

    Attributes:
        request: What the person asked for.
        asked: What the model was asked: instructions and texts.
        shown: What was printed.
        steps: The progress that was shown: what, done and total.
        kept: What was handed to the person, by name.
        called: Other tools that a call was handed on to, with their arguments; each returns "called".
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        answer: Answer | None = None,
        *,
        sandbox: Sandbox | None = None,
        settings: Settings | None = None,
        shelf: Any = None,
        runs: Any = None,
    ) -> None:
        self.sandbox: Sandbox = sandbox or FakeSandbox(folder)
        self.settings = settings or TestSettings(data_dir=data)
        self.seconds = 60.0
        self.shelf = shelf
        self.runs = runs
        self.model = "a-model"
        self.request = ""
        self._answer = answer
        self.asked: list[tuple[str, str]] = []
        self.shown: list[str] = []
        self.steps: list[tuple[str, float, float]] = []
        self.kept: dict[str, bytes] = {}
        self.called: list[tuple[str, dict[str, Any]]] = []

    async def ask(
        self,
        instructions: str,
        text: str,
        *,
        max_tokens: int,
        examples: Sequence[tuple[str, str]] = (),
        stop: Sequence[str] = (),
    ) -> str:
        """Return what the function answers."""
        self.asked.append((instructions, text))
        said = self._answer(instructions, text) if self._answer else ""
        answer = await said if inspect.isawaitable(said) else said
        answer = answer[: min((at for each in stop if (at := answer.find(each)) >= 0), default=None)]
        if not answer.strip():
            raise EmptyAnswer("The model returned nothing.")
        return answer

    async def hand_on(self, name: str, arguments: dict[str, Any]) -> object:
        """Keep which tool is to do it."""
        self.called.append((name, arguments))
        return "called"

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        """Keep what is handed out."""
        self.kept.update((artifact.name, artifact.data) for artifact in artifacts)
        return [artifact.name for artifact in artifacts]

    def output(self, stream: str, text: str) -> None:
        """Keep what is printed."""
        self.shown.append(text)

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        """Keep how far it came."""
        self.steps.append((what, done, total))

    async def run(self, tool: Tool, **arguments: Any) -> Any:
        """Run a tool with arguments as a model gives them.

        Raises:
            ToolError: What the model would be told.
        """
        given: Mapping[str, Any] = tool.validate(arguments)
        return await tool.run(cast(KernelContext, self), given)
