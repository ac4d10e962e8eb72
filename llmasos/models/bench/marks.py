"""Marks: whether a reply uses the right tool with the right arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

from llmasos.api.models import BenchRow
from llmasos.models.bench.cases import ANSWER, Case, TwoStep

Kind = Literal["tuning", "held out", "results"]

_SHOWN = 120


class Mark(BaseModel, frozen=True):
    """What became of one request.

    Args:
        kind: Which requests it is one of.
        request: The request.
        valid: Whether there was a reply that can be used.
        tool: Whether it uses the right tool.
        arguments: Whether its arguments, or its words, are right too.
        wanted: The tools that would have been right, separated by `|`, or `answer`.
        came: What came.
        seconds: How long it took.
    """

    kind: Kind
    request: str
    valid: bool = False
    tool: bool = False
    arguments: bool = False
    wanted: str = ""
    came: str = ""
    seconds: float = 0.0


def mark(kind: Kind, case: Case | TwoStep, reply: ModelResponse, seconds: float) -> Mark:
    """Return the mark of a reply."""
    calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    if calls:
        # A model may say something before it calls; the first call is what would be done first.
        name = calls[0].tool_name
        arguments = calls[0].args_as_dict(raise_if_invalid=False)
        text = "\n".join(map(str, arguments.values()))
    else:
        name = ANSWER
        text = "\n".join(part.content for part in reply.parts if isinstance(part, TextPart))
    right = name in wanted(case).split("|")
    matches = all(re.search(pattern, text) for pattern in case.patterns)
    return Mark(
        kind=kind,
        request=case.request,
        valid=bool(calls or text.strip()),
        tool=right,
        arguments=right and matches,
        wanted=wanted(case),
        came=f"{name} {text!r}"[:_SHOWN],
        seconds=seconds,
    )


def wanted(case: Case | TwoStep) -> str:
    """Return the tools that serve a request, separated by `|`; after a result it is an answer."""
    return case.tools if isinstance(case, Case) else ANSWER


def row(kind: Kind, marks: Sequence[Mark]) -> BenchRow:
    """Return the row of a table for the marks of one kind."""
    chosen = [one for one in marks if one.kind == kind]
    return BenchRow(
        kind=kind,
        requests=len(chosen),
        tool=sum(one.tool for one in chosen),
        valid=sum(one.valid for one in chosen),
        arguments=sum(one.arguments for one in chosen),
        seconds=sum(one.seconds for one in chosen) / max(len(chosen), 1),
    )
