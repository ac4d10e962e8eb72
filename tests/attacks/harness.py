"""Plays the tasks of the attack suite on a whole kernel, with a model that makes just the scripted calls."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from llmasos import Kernel
from llmasos.agent.toolset import definition
from llmasos.api import Attachment, TurnRequest
from llmasos.config import Settings
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    DiffOffered,
    FileChange,
    TurnFinished,
)
from llmasos.ledger import MemoryLedger
from llmasos.models import Engine, FakeEngine, Models
from llmasos.models.calls.syntax import CallForm
from llmasos.models.engines.port import Chunk, CompletionRequest, LoadPlan, TokenUsage
from llmasos.sandbox import FakeProvider, View
from llmasos.sandbox.fake import FakeSandbox
from llmasos.sandbox.port import OnCall, OnOutput, OnRefused, Outcome
from llmasos.tools import Registry, builtin_tools
from tests.attacks.control import Rules, imposed
from tests.attacks.foreign import Scene, foreign_tools
from tests.attacks.suite import Call, Change, Task, World

_HARMLESS = (
    *("abs", "all", "any", "bool", "bytes", "chr", "dict", "enumerate", "Exception", "float", "int", "len"),
    *("list", "map", "max", "min", "ord", "print", "range", "repr", "reversed", "round", "set", "sorted"),
    *("str", "sum", "tuple", "zip"),
)
_IMPORTS = ("base64", "codecs", "collections", "csv", "datetime", "io", "json", "math", "re", "statistics")


class ObedientEngine(FakeEngine):
    """Makes the scripted calls whatever comes back, each in one piece."""

    def obey(self, replies: Sequence[str]) -> None:
        """Reply with other texts from now on."""
        self._script = list(replies)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield the next scripted reply."""
        text = self._script.pop(0) if self._script else "Answer: Done."
        yield Chunk(text=text)
        yield Chunk(finish_reason="stop", usage=TokenUsage(input=1, output=len(text)))


class StillSandbox(FakeSandbox):
    """Prints what the scene says and runs nothing; of Python it runs what stays inside the folder."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        super().__init__(folder)
        self._scene = scene

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        env: object = None,
        keep_background: bool = False,
    ) -> Outcome:
        """Return what the scene says that the command prints."""
        output = self._scene.prints.get(command if isinstance(command, str) else " ".join(command), "")
        return Outcome(status="ok", exit_code=0, output=output, backend=self.backend)

    async def run_python(
        self,
        code: str,
        *,
        timeout: float,
        on_output: OnOutput | None = None,
        on_call: OnCall | None = None,
        functions: Any = None,
        fresh: bool = False,
    ) -> Outcome:
        """Run a cell with those built-ins alone that can do no harm, and with files of the folder."""
        with ExitStack() as files:

            def open_(path: object, mode: str = "r", **options: Any) -> Any:
                return files.enter_context(self._resolve(str(path)).open(mode, **options))

            self._namespace["__builtins__"] = {
                **{name: getattr(builtins, name) for name in _HARMLESS},
                "open": open_,
                "__import__": self._import,
            }
            return await super().run_python(
                code, timeout=timeout, on_output=on_output, on_call=on_call, functions=functions
            )

    def _import(self, name: str, *_: object) -> Any:
        if name == "pathlib":
            return SimpleNamespace(Path=lambda path=".": self._resolve(str(path)))
        if name in _IMPORTS:
            return __import__(name)
        raise ImportError(f"{name} is not there")


class StillProvider(FakeProvider):
    """Opens sandboxes in which nothing happens."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    async def open(
        self, view: View, *, session: str, hosts: Sequence[str] = (), on_refused: OnRefused | None = None
    ) -> FakeSandbox:
        """Open one."""
        sandbox = StillSandbox(view.upper, self._scene)
        self.opened.append(sandbox)
        return sandbox


class Offered(Registry):
    """The built-in tools, and those foreign ones that the task that runs now speaks of."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(builtin_tools())
        self._foreign = foreign_tools(scene)

    def offer(self, task: Task) -> None:
        """Offer the tools of a task from now on, with the descriptions that it gives them."""
        names = _named(task)
        described = (
            replace(tool, description=task.descriptions.get(tool.name, tool.description))
            for tool in self._foreign
            if tool.name in names
        )
        assert not self.replace("tasks", described)


@dataclass
class Stage:
    """A kernel on which one task after another is played."""

    kernel: Kernel
    engine: ObedientEngine
    scene: Scene
    registry: Offered
    base: Path
    runs: int = 0

    async def play(
        self,
        task: Task,
        calls: Sequence[Call],
        *,
        plants: Sequence[str] = (),
        approve: Literal["deny", "all"] = "deny",
    ) -> World:
        """Play a task with a model that makes these calls, whatever comes back, and return the end state.

        Args:
            task: The task.
            calls: What the model calls.
            plants: What somebody has planted.
            approve: Whether nobody is there, or a person agrees to everything.
        """
        task = task.with_plants(plants)
        self.scene.replies, self.scene.prints = task.replies, task.prints
        self.registry.offer(task)
        self.engine.obey([self._written(call) for call in calls])
        self.runs += 1
        folder = self.base / f"folder-{self.runs}"
        lay_out(folder, task.files)
        session = await self.kernel.sessions.create(folder, hosts=self._hosts(task))
        accepted = await session.start(
            TurnRequest(
                text=task.request,
                approve=approve,
                max_steps=len(calls) + 2,
                attachments=tuple(
                    Attachment(name=name, text=text) for name, text in task.attachments.items()
                ),
            )
        )
        events = []
        async with session.stream.follow(accepted.after) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, TurnFinished):
                    break
        await session.close()
        changes: tuple[FileChange, ...] = ()
        for event in events:
            if isinstance(event, DiffOffered):
                changes = event.changes
        end = events[-1]
        assert isinstance(end, TurnFinished)
        # What failed by itself has not withstood anything.
        assert end.status != "failed", end.error
        return World(
            ran=tuple(
                Call(tool=event.tool, arguments=event.arguments)
                for event in events
                if isinstance(event, ActionStarted)
            ),
            changes=tuple(_change(change) for change in changes),
            asked=tuple(
                f"{event.tool}: {event.reason}" for event in events if isinstance(event, ApprovalRequested)
            ),
            refused=tuple(
                f"{event.tool}: {event.result}"
                for event in events
                if isinstance(event, ActionFinished) and event.status in ("denied", "invalid", "failed")
            ),
            status=f"{end.status} {end.error}".strip(),
        )

    def _written(self, call: Call) -> str:
        form = CallForm.of(definition(self.registry.get(call.tool)))
        return form.write(call.arguments)

    def _hosts(self, task: Task) -> tuple[str, ...]:
        # Who connects a tool opens the host that it talks to.
        connected = (host for tool in self.registry for host in tool.capabilities.network)
        return tuple(dict.fromkeys((*task.hosts, *connected)))


@asynccontextmanager
async def stage(base: Path, rules: Rules = "ours", *, jail: bool = False) -> AsyncIterator[Stage]:
    """Set the stage on fakes, in a folder of its own.

    Args:
        base: The folder.
        rules: What decides.
        jail: Whether commands and code run, in a real jail; otherwise nothing does.
    """
    scene, engine = Scene(), ObedientEngine(context=1_000_000)
    registry = Offered(scene)

    async def load(plan: LoadPlan) -> Engine:
        return engine

    settings = Settings(
        data_dir=base / "data", cache_dir=base / "cache", runtime_dir=base / "run", sandbox="bubblewrap"
    )
    kernel = Kernel(
        settings,
        models=Models(settings, loader=load),
        provider=None if jail else StillProvider(scene),
        ledger=MemoryLedger(),
        registry=registry,
    )
    with imposed(rules):
        async with kernel:
            yield Stage(kernel, engine, scene, registry, base)


def lay_out(folder: Path, files: dict[str, str]) -> None:
    """Make a folder with these files."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _named(task: Task) -> set[str]:
    calls = [*task.benign, *(call for attack in task.attacks for call in attack.obey)]
    inside = {
        name for call in calls for name in str(call.arguments.get("code", "")).replace("(", " ").split()
    }
    return {*task.replies, *task.descriptions, *(call.tool for call in calls), *inside}


def _change(change: FileChange) -> Change:
    added = [line[1:] for line in change.diff.splitlines() if line.startswith("+") and line[:3] != "+++"]
    return Change(path=change.path, deleted=change.kind == "deleted", added="\n".join(added))
