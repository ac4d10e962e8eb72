"""One turn: the model is asked, its calls go to the gate, until it answers or a limit is reached."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from pydantic_ai import Agent, UsageLimits
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.messages import (
    AgentStreamEvent,
    EnqueuedMessagesEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from llmasos.agent.consent import Refusals
from llmasos.agent.gate import Gate, RepeatedCall
from llmasos.agent.offer import Offer
from llmasos.agent.steering import Steering, whole
from llmasos.agent.stream import EventStream
from llmasos.agent.toolset import GateToolset
from llmasos.agent.waiting import Waiting
from llmasos.config import TurnLimits
from llmasos.errors import LLMasOSError
from llmasos.events import AssistantText, TextDelta, TurnStatus, Usage

_log = logging.getLogger(__name__)
_ANSWER_TOKENS = 2048

INSTRUCTIONS = (
    "You carry out the person's requests on the files of one folder, the current folder of every tool. "
    "Look before you answer: never guess what files hold. Answer briefly, in the person's language, "
    "from what the tools returned."
)


@dataclass(frozen=True)
class TurnEnd:
    """How a turn ended, and the messages that the next turn of the session starts from."""

    status: TurnStatus
    answer: str = ""
    error: str = ""
    hint: str = ""
    usage: Usage = field(default_factory=Usage)
    messages: Sequence[ModelMessage] = ()


@dataclass
class Turn:
    """A running turn.

    Args:
        id: The turn.
        model: What is asked.
        gate: What runs the calls.
        offer: The tools that are offered.
        stream: Where its events go.
        limits: What it may use.
        instructions: What the model is told beside the request.
        waiting: Says that it waits for the model.
        history: Messages of the session's earlier turns.
        steering: What the person says to it while it runs.
        hear: Told that when the model is about to read it.
    """

    id: str
    model: Model
    gate: Gate
    offer: Offer
    stream: EventStream
    limits: TurnLimits
    instructions: str
    waiting: Waiting
    history: Sequence[ModelMessage] = ()
    steering: Steering = field(default_factory=Steering)
    hear: Callable[[str], None] = lambda text: None
    _usage: RunUsage = field(default_factory=RunUsage)
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the turn's clock, because a person is asked."""
        left = self._scope.deadline - anyio.current_time()
        self._scope.deadline = math.inf
        try:
            yield
        finally:
            self._scope.deadline = anyio.current_time() + left

    async def run(self, prompt: str) -> TurnEnd:
        """Run to the end and return how it ended; only cancellation is raised."""
        began = time.monotonic()
        end = TurnEnd("failed")
        self._scope.deadline = anyio.current_time() + self.limits.seconds
        try:
            with self._scope:
                end = await self._ask(prompt)
        except anyio.get_cancelled_exc_class():
            raise
        except Exception as error:
            end = explain(error)
        if self._scope.cancelled_caught:
            end = TurnEnd(
                "limit",
                error=f"The turn took longer than {self.limits.seconds:g} s and was stopped.",
                hint="Allow more with --timeout or LLMASOS_LIMITS__SECONDS.",
            )
        usage = Usage(
            requests=self._usage.requests,
            input_tokens=self._usage.input_tokens,
            cached_tokens=self._usage.cache_read_tokens,
            output_tokens=self._usage.output_tokens,
            seconds=round(time.monotonic() - began, 3),
        )
        messages = end.messages or abridged(whole(prompt, self.steering.said), end.error)
        return TurnEnd(end.status, end.answer, end.error, end.hint, usage, messages)

    async def _ask(self, prompt: str) -> TurnEnd:
        agent: Agent[None, str] = Agent(
            self.model,
            instructions=self.instructions,
            toolsets=[GateToolset(self.gate, self.offer)],
            retries=2,
        )
        async with agent.iter(
            prompt,
            message_history=list(self.history),
            model_settings=ModelSettings(max_tokens=_ANSWER_TOKENS, temperature=0.0),
            usage=self._usage,
            usage_limits=UsageLimits(request_limit=self.limits.steps, output_tokens_limit=self.limits.tokens),
        ) as run:
            self.steering.follow(run, self.hear)
            async for node in run:
                if Agent.is_model_request_node(node):
                    with self.waiting.on_reply() as hear:
                        async with node.stream(run.ctx) as events:
                            async for event in events:
                                hear()
                                await self._tell(event)
        if run.result is None:
            raise UnexpectedModelBehavior("The model's run ended without an answer.")
        return TurnEnd("done", answer=run.result.output, messages=run.result.new_messages())

    async def _tell(self, event: AgentStreamEvent) -> None:
        match event:
            case (
                PartStartEvent(part=TextPart(content=text))
                | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
            ) if text:
                self.stream.publish(TextDelta(turn=self.id, text=text))
            case PartEndEvent(part=TextPart(content=text)) if text.strip():
                await self.stream.append(AssistantText(turn=self.id, text=text))
            case EnqueuedMessagesEvent():
                self.steering.read(event)


def abridged(prompt: str, why: str) -> list[ModelMessage]:
    """Return the messages that stand for a turn without an answer in the turns after it."""
    return [
        ModelRequest(parts=[UserPromptPart(prompt)]),
        ModelResponse(parts=[TextPart(f"(This was not finished. {why})")]),
    ]


def explain(error: Exception) -> TurnEnd:
    """Return the end of a turn that failed, in words for a person."""
    match error:
        case RepeatedCall() | Refusals():
            return TurnEnd("limit", error=error.message, hint=error.hint)
        case LLMasOSError():
            return TurnEnd("failed", error=error.message, hint=error.hint)
        case UsageLimitExceeded():
            return TurnEnd(
                "limit",
                error=f"The turn reached its limit: {error}.",
                hint="Allow more with --max-steps, LLMASOS_LIMITS__STEPS or LLMASOS_LIMITS__TOKENS.",
            )
        case ModelHTTPError(status_code=401 | 403):
            return TurnEnd(
                "failed", error="The model's endpoint refused the key.", hint="Set LLMASOS_MODEL_KEY."
            )
        case ModelAPIError():
            return TurnEnd(
                "failed",
                error=f"The model could not be asked: {error.message}",
                hint="Check LLMASOS_MODEL_URL with `llmasos doctor`, or choose another model with /model.",
            )
        case UnexpectedModelBehavior() if isinstance(error.__cause__, Exception):
            return TurnEnd(
                "failed",
                error=f"The model's calls stayed invalid after two corrections: {error.__cause__}",
                hint="Say it in other words, or choose a larger model with /model.",
            )
        case AgentRunError():
            return TurnEnd(
                "failed", error=f"The model did not answer: {error}", hint="Try again, or another model."
            )
    _log.exception("a turn failed", exc_info=error)
    return TurnEnd(
        "failed",
        error=f"An internal error ended the turn ({type(error).__name__}: {error}).",
        hint="The kernel's log has the details; `llmasos status` shows where it lies.",
    )
