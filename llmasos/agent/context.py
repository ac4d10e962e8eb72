"""What a running tool gets: the sandbox, the other tools, the model, and a way to show progress."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from llmasos.agent.approvals import encodable
from llmasos.agent.consent import Outlook
from llmasos.agent.executors import executor
from llmasos.agent.gate import Gate
from llmasos.agent.offer import Offer
from llmasos.agent.recorded_model import RecordedModel
from llmasos.agent.stream import EventStream
from llmasos.agent.workbench import Workbench
from llmasos.cluster import Executor
from llmasos.config import Settings
from llmasos.errors import EmptyAnswer, LLMasOSError, ToolError
from llmasos.events import ActionOutput, Forecast, Progress, Usage
from llmasos.federated.runs import Runs, installed_runs
from llmasos.models.tokens import most_tokens
from llmasos.sandbox import Artifact, Sandbox, SandboxProvider, private_sandbox
from llmasos.tools import Registry, Tool
from llmasos.tools.knowledge import Shelf

_LONGEST_RUN = 24 * 3600
_log = logging.getLogger(__name__)


@dataclass
class Contexts:
    """Makes the contexts of a turn's actions.

    Args:
        turn: The turn.
        stream: Where output and progress go.
        model: What `ask` asks.
        other_model: Returns a model by its name, for tools that ask another one.
        workbench: The session's sandbox and the view it works on.
        provider: Opens sandboxes.
        registry: The tools callable from inside Python.
        offer: Where further ones are looked for.
        seconds: How long one piece of code may run.
        settings: The kernel's.
        trainings: The federated trainings, where the extra is installed.
        documents: The collections of documents.
        request: What the person asked for; empty where a program made the call.
        gate: What carries out calls made from inside Python.
        spent: What tools have asked of the model so far.
        charged: What tools have cost so far, by what they declare.
    """

    turn: str
    stream: EventStream
    model: Model
    other_model: Callable[[str], Awaitable[Model]]
    workbench: Workbench
    provider: SandboxProvider
    registry: Registry
    offer: Offer
    seconds: float
    settings: Settings
    trainings: Runs | None = None
    documents: Shelf | None = None
    request: str = ""
    gate: Gate | None = None
    spent: Usage = field(default_factory=Usage)
    charged: float = 0.0

    @property
    def backend(self) -> str:
        """The sandbox's backend, for records."""
        return self.provider.backend

    async def __call__(self, action: str, tool: str) -> ActionContext:
        """Return the context of one action of a tool."""
        return ActionContext(await self.workbench.sandbox.open(), action, tool, self)

    async def diff_sha256(self) -> str:
        """Return the SHA-256 of all that the view changes at this moment; empty when that is nothing."""
        return await self.workbench.diff_sha256()

    async def outlook(self, tool: Tool, arguments: Mapping[str, Any]) -> Outlook:
        """Return what a person should see of a call before they allow it."""
        texts = "".join(value for value in arguments.values() if isinstance(value, str))
        asks = tool.capabilities.asks_model
        given = arguments.get("timeout")
        known = isinstance(given, int | float) and 0 < given <= _LONGEST_RUN
        seconds = float(given or 0) if known else self.seconds
        forecast = Forecast(tokens=2 * most_tokens(texts) if asks else 0, seconds=seconds)
        return Outlook(encodable(await self._preview(tool, arguments)), forecast)

    async def _preview(self, tool: Tool, arguments: Mapping[str, Any]) -> str:
        if tool.preview is None:
            return ""
        try:
            return str(await tool.preview(await self("", tool.name), **arguments) or "")
        except LLMasOSError as error:
            return str(error)
        except Exception as error:
            # A tool is somebody's code: a person can still be asked about it.
            _log.exception("the preview of the tool %s raised", tool.name)
            return f"What it would change is not known: {type(error).__name__}: {error}"


@dataclass
class ActionContext:
    """The context of one running action."""

    sandbox: Sandbox
    action: str
    tool: str
    _of: Contexts

    @property
    def seconds(self) -> float:
        """How long one piece of code may run, by the settings."""
        return self._of.seconds

    @property
    def settings(self) -> Settings:
        """The kernel's settings."""
        return self._of.settings

    @property
    def model(self) -> str:
        """The name of the model that `ask` asks."""
        return self._of.settings.tools.models.get(self.tool) or self._of.model.model_name

    @property
    def request(self) -> str:
        """What the person asked for in this turn; empty where a program made the call."""
        return self._of.request

    def executor(self, cluster: str, jobs: int) -> Executor:
        """Return what runs tasks on a cluster's machines or, without one, on this one.

        Raises:
            ClusterError: This machine belongs to no such cluster.
        """
        return executor(self._of.settings, cluster, jobs)

    @asynccontextmanager
    async def private(self, files: Mapping[str, bytes], hosts: Sequence[str]) -> AsyncIterator[Sandbox]:
        """Open a sandbox that does not see the session's folder, and end it afterwards."""
        tell = self._of.workbench.sandbox.tell_refused
        opened = private_sandbox(self._of.provider, self._of.settings, files, hosts=hosts, on_refused=tell)
        async with opened as (sandbox, _):
            yield sandbox

    def charge(self, what: str, cost: float) -> None:
        """Count what a call costs.

        Raises:
            ToolError: The calls of this turn would cost more than they may.
        """
        most = self._of.settings.tools.spend
        if self._of.charged + cost > most:
            raise ToolError(
                f"{what} costs up to {cost:g}, and the tools of one turn may cost {most:g}, "
                f"of which {self._of.charged:g} are spent.",
                hint="Raise it with LLMASOS_TOOLS__SPEND.",
            )
        self._of.charged += cost

    @property
    def runs(self) -> Runs:
        """The federated trainings.

        Raises:
            FederatedError: The extra is not installed.
        """
        return installed_runs(self._of.trainings)

    @property
    def shelf(self) -> Shelf:
        """The collections of documents."""
        assert self._of.documents is not None
        return self._of.documents

    @property
    def functions(self) -> Mapping[str, tuple[str, ...]]:
        """Tools callable from Python inside the sandbox; running code is what the script does anyway."""
        return {
            tool.name: tuple(tool.parameters.get("properties", {}))
            for tool in self._of.registry
            if not tool.capabilities.executes
        }

    def find(self, query: str) -> Sequence[Tool]:
        """Return the tools of others that fit some words best; the model is offered them from now on."""
        return self._of.offer.find(query)

    async def call(self, name: str, arguments: dict[str, Any]) -> object:
        """Call another tool through the gate and return its value.

        Raises:
            ToolError: The call was invalid, denied or failed.
        """
        return await self._call(name, arguments, handed_on=False)

    async def hand_on(self, name: str, arguments: dict[str, Any]) -> object:
        """Have another tool do what this one was called for, and return its value.

        Raises:
            ToolError: The call was invalid, denied or failed.
        """
        return await self._call(name, arguments, handed_on=True)

    async def _call(self, name: str, arguments: dict[str, Any], *, handed_on: bool) -> object:
        assert self._of.gate is not None
        outcome = await self._of.gate.call(name, arguments, parent=self.action, handed_on=handed_on)
        if outcome.status != "ok":
            raise ToolError(outcome.text)
        return outcome.value

    async def ask(
        self,
        instructions: str,
        text: str,
        *,
        max_tokens: int,
        examples: Sequence[tuple[str, str]] = (),
        stop: Sequence[str] = (),
    ) -> str:
        """Ask the session's model for a text, without tools, or the one that the settings give the tool.

        Args:
            instructions: What it is told beside the text.
            text: What it is asked.
            max_tokens: The longest answer.
            examples: Texts with the answers that are wanted, which small models follow best.
            stop: Texts before which an answer may end; only models of this machine are told, as others may
                refuse that.

        Raises:
            EmptyAnswer: It answered nothing.
        """
        first, *more = (*(asked for asked, _ in examples), text)
        messages: list[ModelMessage] = [ModelRequest([SystemPromptPart(instructions), UserPromptPart(first)])]
        for (_, answered), asked in zip(examples, more, strict=True):
            messages += [ModelResponse([TextPart(answered)]), ModelRequest([UserPromptPart(asked)])]
        model = await self._model()
        settings = ModelSettings(max_tokens=max_tokens, temperature=0.0)
        if stop and isinstance(model, RecordedModel) and not model.origin.endpoint:
            settings["stop_sequences"] = list(stop)
        response = await model_request(model, messages, model_settings=settings)
        self._of.spent += Usage(
            requests=1,
            input_tokens=response.usage.input_tokens,
            cached_tokens=response.usage.cache_read_tokens,
            output_tokens=response.usage.output_tokens,
        )
        answer = response.text or ""
        if not answer.strip():
            raise EmptyAnswer(
                "The model returned nothing.", hint="Try again, or choose another model with /model."
            )
        return answer

    async def _model(self) -> Model:
        name = self._of.settings.tools.models.get(self.tool)
        return self._of.model if name is None else await self._of.other_model(name)

    async def changed(self) -> frozenset[tuple[str, int]]:
        """Return the paths that the view has changed so far, each with the time of its last change in ns."""
        return await self._of.workbench.workspace.changed()

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        """Keep what code handed out, tell the person, and return where it lies."""
        return await self._of.workbench.sandbox.keep(self._of.turn, self.action, artifacts)

    def output(self, stream: str, text: str) -> None:
        """Show a piece of output."""
        kind = cast(Literal["stdout", "stderr"], stream if stream in ("stdout", "stderr") else "stdout")
        self._of.stream.publish(ActionOutput(turn=self._of.turn, action=self.action, text=text, stream=kind))

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        """Show how far the action has come."""
        self._of.stream.publish(Progress(turn=self._of.turn, what=what, done=done, total=total, unit=unit))
