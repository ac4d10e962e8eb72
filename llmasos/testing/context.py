"""A context without a kernel: files, secrets and answers are given, and what a tool does is kept."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import SecretStr

from llmasos.config import ToolSettings
from llmasos.errors import ToolError
from llmasos.sandbox import Artifact, FakeSandbox
from llmasos.testing.settings import TestSettings
from llmasos.tools import Declaration, KernelContext, ToolContext
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.describe import definition
from llmasos.tools.plugins.hosting import Hosting
from llmasos.tools.plugins.in_kernel import FolderExchange, run_in_thread
from llmasos.tools.schema import Arguments

T = TypeVar("T")


class FakeContext(ToolContext):
    """A context to call a tool's function with. Everything is allowed: `run_tool` looks at declarations.

    Args:
        files: What the workspace holds, by path.
        answers: What the model answers, in turn.
        secrets: Secrets by name.

    Attributes:
        asked: What the model was asked.
        shown: What was logged, streamed and printed by tools that `run_tool` has run.
        steps: The progress that was shown: what, done, total and unit.
        kept: What was handed to the person, by name.
    """

    def __init__(
        self,
        files: Mapping[str, str | bytes] | None = None,
        *,
        answers: Iterable[str] = (),
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        top = Path(tempfile.mkdtemp(prefix="llmasos-test-"))
        weakref.finalize(self, shutil.rmtree, top, ignore_errors=True)
        self._files = top / "workspace"
        self._files.mkdir()
        for path, content in (files or {}).items():
            target = self._files / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        self._answers = iter(answers)
        self.secrets = dict(secrets or {})
        self.asked: list[str] = []
        self.shown: list[str] = []
        self.steps: list[tuple[str, float, float, str]] = []
        self.kept: dict[str, bytes] = {}
        (top / "call").mkdir()
        hosting = Hosting(self.kernel, _allowed(self.secrets), {}, FolderExchange(top / "call"))
        super().__init__(lambda name, arguments: blocking(hosting(name, arguments)), top / "call")

    @property
    def kernel(self) -> KernelContext:
        """What a kernel would give to the tool's runner."""
        return cast(KernelContext, _FakeKernel(self, FakeSandbox(self._files)))

    def file(self, path: str) -> bytes:
        """Return what a file of the workspace holds now."""
        return (self._files / path).read_bytes()

    def files(self) -> list[str]:
        """Return the paths of all files of the workspace."""
        found = (path for path in self._files.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._files).as_posix() for path in found)

    def answer(self, text: str) -> str:
        """Return the model's next answer.

        Raises:
            ToolError: It was asked more often than was foreseen.
        """
        self.asked.append(text)
        try:
            return next(self._answers)
        except StopIteration:
            raise ToolError("The test has no answer for the model any more.") from None


def run_tool(function: Callable[..., Any], context: FakeContext | None = None, /, **arguments: Any) -> Any:
    """Run a tool as a kernel does, but in this process, and return its result as the model gets it.

    The arguments are checked against the schema, what the tool does against its declaration, and the result
    against its return type.

    Args:
        function: A function with `@tool`.
        context: The files and whatever else it works on; an empty one when missing.
        arguments: As a model would give them: as JSON has them.

    Raises:
        ToolError: What the model would be told.
    """
    tool = defined(function)
    given = Arguments(tool.name, tool.parameters).validate_python(json.loads(json.dumps(arguments)))
    kernel = (context or FakeContext()).kernel
    return blocking(run_in_thread(kernel, lambda: function, tool, given))


def defined(function: Callable[..., Any]) -> Definition:
    """Return what a function is as a tool.

    Raises:
        ToolError: It has no `@tool`, or models cannot be told of it.
    """
    return definition(function.__module__, function.__name__, function)


def blocking(work: Coroutine[Any, Any, T]) -> T:
    """Return what async work returns, also to code that itself runs in an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class _FakeKernel:
    """The part of a kernel's context that tools of plugins come to use."""

    def __init__(self, of: FakeContext, sandbox: FakeSandbox) -> None:
        self._of = of
        self.sandbox = sandbox
        self.seconds = 60.0
        secrets = {name: SecretStr(value) for name, value in of.secrets.items()}
        self.settings = TestSettings(tools=ToolSettings(secrets=secrets))

    def charge(self, what: str, cost: float) -> None:
        pass

    async def ask(
        self, instructions: str, text: str, *, max_tokens: int, examples: Sequence[tuple[str, str]] = ()
    ) -> str:
        return self._of.answer(text)

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        self._of.kept.update((artifact.name, artifact.data) for artifact in artifacts)
        return [artifact.name for artifact in artifacts]

    def output(self, stream: str, text: str) -> None:
        self._of.shown.append(text)

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        self._of.steps.append((what, done, total, unit))


def _allowed(secrets: Mapping[str, str]) -> Definition:
    everything = Declaration(reads=True, writes=True, models=True, secrets=tuple(secrets))
    return Definition(
        name="the_tool", module="", description="A test.", parameters={}, declaration=everything
    )
