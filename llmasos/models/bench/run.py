"""Measuring a model: its choice of tools, its arguments, and its speed."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from llmasos.api.models import BenchReport
from llmasos.errors import ModelError
from llmasos.models.bench.cases import HELD_OUT, TUNING, TWO_STEPS, Case, TwoStep
from llmasos.models.bench.marks import Kind, Mark, mark, row, wanted
from llmasos.models.bench.processor import cpu_seconds
from llmasos.models.bench.verdict import verdict
from llmasos.models.calls.prefix import LOOK_BELOW
from llmasos.models.engines.port import ContextExceeded, InvalidRequest

Tell = Callable[[str, float, float, str], None]

_KINDS: tuple[tuple[Kind, tuple[Case | TwoStep, ...]], ...] = (
    ("tuning", TUNING),
    ("held out", HELD_OUT),
    ("results", TWO_STEPS),
)
_LONG_PROMPT_LINES = 40
_FILE = re.compile(r"[\w-]+\.[a-z]{1,5}\b")
_WRITTEN_TOKENS = 96
# What comes of the model's own words, or of what it cannot be asked.
_OWN = (ModelError, ContextExceeded, InvalidRequest)


class Speed(BaseModel, frozen=True):
    """Tokens read and written in a second, and the seconds to the first token of a short request."""

    read: float
    written: float
    first_token: float


async def bench(
    model: Model[Any],
    tools: Sequence[ToolDefinition],
    *,
    limit: int = 0,
    tell: Tell = lambda what, done, total, unit: None,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = cpu_seconds,
) -> BenchReport:
    """Measure a model with the project's own requests.

    Args:
        model: The model.
        tools: The built-in tools, as it is offered them.
        limit: Requests of each kind at most; 0 is all.
        tell: Told what is under way, how many requests are done, of how many, and the unit.
        clock: Seconds of wall-clock time.
        processor: Seconds of processor time.

    Raises:
        ModelError: The model cannot be asked at all, or not any more.
    """
    tell("Measuring speed", 0.0, 0.0, "")
    speed = await measure_speed(model, clock)
    chosen = [(kind, case) for kind, cases in _KINDS for case in spread(cases, limit)]
    marks = []
    before = processor()
    for number, (kind, case) in enumerate(chosen):
        tell("Asking", float(number), float(len(chosen)), "requests")
        marks.append(await _ask(model, tools, kind, case, clock))
    used = processor() - before
    return BenchReport(
        model=model.model_name,
        rows=tuple(row(kind, marks) for kind, _ in _KINDS),
        read_per_second=speed.read,
        written_per_second=speed.written,
        first_token=speed.first_token,
        cpu_seconds=used / max(len(marks), 1),
        misses=tuple(_misses(marks)),
        verdict=verdict(marks),
    )


async def measure_speed(model: Model[Any], clock: Callable[[], float] = time.perf_counter) -> Speed:
    """Measure how fast a model reads a prompt that it never saw, and how fast it writes.

    Raises:
        ModelError: The model cannot be asked.
    """
    short = await _stream(model, f"Say hello to {secrets.token_hex(4)}.", 8, clock)
    lines = "\n".join(f"{number}. {secrets.token_hex(8)}" for number in range(_LONG_PROMPT_LINES))
    prompt = f"{lines}\nForget these lines. Tell a long story about a journey by sea."
    long = await _stream(model, prompt, _WRITTEN_TOKENS, clock)
    return Speed(
        read=long.read / long.first if long.first else 0.0,
        written=(long.written - 1) / (long.seconds - long.first) if long.seconds > long.first else 0.0,
        first_token=short.first,
    )


class _Stream(BaseModel, frozen=True):
    read: int
    written: int
    first: float
    seconds: float


async def _stream(model: Model[Any], prompt: str, most: int, clock: Callable[[], float]) -> _Stream:
    started = clock()
    first = 0.0
    messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(prompt)])]
    settings = ModelSettings(max_tokens=most)
    async with model.request_stream(messages, settings, ModelRequestParameters()) as stream:
        async for event in stream:
            if not first and isinstance(event, PartStartEvent | PartDeltaEvent):
                first = clock() - started
        usage = stream.usage
    seconds = clock() - started
    read = usage.input_tokens - usage.cache_read_tokens
    return _Stream(read=read, written=usage.output_tokens, first=first or seconds, seconds=seconds)


async def _ask(
    model: Model[Any],
    tools: Sequence[ToolDefinition],
    kind: Kind,
    case: Case | TwoStep,
    clock: Callable[[], float],
) -> Mark:
    started = clock()
    try:
        reply = await model.request(_messages(case), None, ModelRequestParameters(function_tools=list(tools)))
    except ModelError as error:
        # Who cannot be reached, or is not served, shows nothing of what the model can do.
        if type(error) not in _OWN:
            raise
        came, seconds = error.message, clock() - started
        return Mark(kind=kind, request=case.request, wanted=wanted(case), came=came, seconds=seconds)
    return mark(kind, case, reply, clock() - started)


def _beside(case: Case | TwoStep) -> str:
    """Return what a session tells a model beside a request: the files that there are."""
    named = _FILE.findall(case.request) or ["notes.txt", "src/main.py"]
    return f"Files: {', '.join(named)}\n{LOOK_BELOW}"


def _messages(case: Case | TwoStep) -> list[ModelMessage]:
    asked: list[ModelMessage] = [ModelRequest([UserPromptPart(case.request)], instructions=_beside(case))]
    if isinstance(case, TwoStep):
        call = ToolCallPart(case.tool, dict(case.arguments))
        result = ToolReturnPart(case.tool, case.result, call.tool_call_id)
        asked += [ModelResponse(parts=[call]), ModelRequest(parts=[result])]
    return asked


def spread(cases: Sequence[Case | TwoStep], limit: int) -> list[Case | TwoStep]:
    """Return as many requests as wanted, spread over all, which stand in order of their tools."""
    if not limit or limit >= len(cases):
        return list(cases)
    return [cases[number * len(cases) // limit] for number in range(limit)]


def _misses(marks: Sequence[Mark]) -> Iterator[str]:
    """Yield what went wrong, except with requests that are held out."""
    for one in marks:
        if not one.arguments and one.kind != "held out":
            right = "the right tool, wrongly" if one.tool else f"meant {one.wanted.replace('|', ' or ')}"
            yield f"{one.request!r}: {one.came} ({right})"
