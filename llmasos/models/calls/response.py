"""Replies in call syntax, and their stream as pydantic-ai's events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelResponseStreamEvent

from llmasos.events import ToolChoice
from llmasos.models.calls.syntax import ParsedCall
from llmasos.models.choice import details
from llmasos.models.engines.port import FinishReason, TokenUsage
from llmasos.models.streamed import StreamedReply


@dataclass(frozen=True)
class Reply:
    """A piece of a reply: text of an answer, a whole call and how sure the model was of it, or its end."""

    text: str = ""
    call: ParsedCall | None = None
    choice: ToolChoice | None = None
    finish_reason: FinishReason | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)


class CallSyntaxResponse(StreamedReply[Reply]):
    """The stream of one reply, as pydantic-ai's events."""

    def read(self, piece: Reply) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of a piece; a call is one event, when it is whole."""
        if piece.text:
            yield from self._parts_manager.handle_text_delta(vendor_part_id="answer", content=piece.text)
        if piece.call is not None:
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id="call",
                tool_name=piece.call.tool,
                args=piece.call.arguments,
                provider_details=details(piece.choice),
            )
        if piece.finish_reason is not None:
            self.finish_reason = "tool_call" if piece.call is not None else piece.finish_reason
            self.used(piece.usage)
