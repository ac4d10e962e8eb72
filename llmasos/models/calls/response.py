"""Replies in call syntax, and their stream as pydantic-ai's events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic_ai.messages import ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from llmasos.models.calls.syntax import ParsedCall
from llmasos.models.engines.port import FinishReason, TokenUsage


@dataclass(frozen=True)
class Reply:
    """A piece of a reply: text of an answer, a whole call, or its end."""

    text: str = ""
    call: ParsedCall | None = None
    finish_reason: FinishReason | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass
class CallSyntaxResponse(StreamedResponse):
    """The stream of one reply, as pydantic-ai's events."""

    _model_name: str
    _replies: AsyncGenerator[Reply]
    _timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for reply in self._replies:
            if reply.text:
                for event in self._parts_manager.handle_text_delta(
                    vendor_part_id="answer", content=reply.text
                ):
                    yield event
            if reply.call is not None:
                yield self._parts_manager.handle_tool_call_part(
                    vendor_part_id="call", tool_name=reply.call.tool, args=reply.call.arguments
                )
            if reply.finish_reason is not None:
                self.finish_reason = "tool_call" if reply.call is not None else reply.finish_reason
                self._usage = RequestUsage(
                    input_tokens=reply.usage.input,
                    cache_read_tokens=reply.usage.cached,
                    output_tokens=reply.usage.output,
                )

    async def close_stream(self) -> None:
        """Stop the decoding."""
        await self._replies.aclose()

    @property
    def model_name(self) -> str:
        """The engine's model."""
        return self._model_name

    @property
    def provider_name(self) -> str | None:
        """The provider's name in traces."""
        return "llmasos"

    @property
    def provider_url(self) -> str | None:
        """There is no remote provider."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the reply began."""
        return self._timestamp
