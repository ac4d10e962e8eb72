"""A person's request as the model reads it, with what is attached to it marked as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_ai.messages import ModelMessage, UserPromptPart

from llmasos.agent.provenance import mark
from llmasos.api import TurnRequest
from llmasos.decisions import Source

_LONGEST_ATTACHMENT = 60_000
_MARK = "\n\n[data from "


def prompt(request: TurnRequest) -> str:
    """Return the text of a request, and after it each attachment, cut where it is very long."""
    parts = [request.text]
    for attachment in request.attachments:
        body = attachment.text
        if len(body) > _LONGEST_ATTACHMENT:
            left_out = len(body) - _LONGEST_ATTACHMENT
            body = f"{body[:_LONGEST_ATTACHMENT]}\n[... {left_out:,} characters left out ...]"
        parts.append(mark(body, Source(kind="attachment", name=attachment.name)))
    return "\n\n".join(parts)


def attached(history: Sequence[ModelMessage]) -> Iterator[tuple[str, Source]]:
    """Give what was attached to the requests of earlier turns, which no event holds."""
    for message in history:
        for part in message.parts:
            if isinstance(part, UserPromptPart) and _MARK in str(part.content):
                text = str(part.content).partition(_MARK)[2]
                yield text, Source(kind="attachment", name=text.partition("]")[0])
