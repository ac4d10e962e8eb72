"""A pydantic-ai model over any chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from llmasos.models.chat.messages import chat_messages, chat_tools
from llmasos.models.chat.port import Chat, ChatDelta, ChatFinish, ChatRequest

_SETTINGS = ("max_tokens", "temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
_FINISH: dict[ChatFinish, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
}


class ChatModel(Model[None]):
    """What an agent asks, over a chat that has tools of its own.

    Args:
        chat: What replies.
    """

    def __init__(self, chat: Chat) -> None:
        super().__init__(profile=ModelProfile(supports_tools=True, supports_json_schema_output=True))
        self.chat = chat

    @property
    def model_name(self) -> str:
        """The chat's model."""
        return self.chat.name

    @property
    def system(self) -> str:
        """The provider's name in traces."""
        return "llmasos"

    @property
    def provider(self) -> None:
        """There is no provider of pydantic-ai's."""
        return None

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return one reply.

        Raises:
            ModelError: The chat failed.
        """
        async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream one reply."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        request = _request(messages, settings or {}, parameters)
        async with aclosing(self.chat.stream(request)) as deltas:
            yield ChatResponse(
                model_request_parameters=parameters, _model_name=self.model_name, _deltas=deltas
            )


def _request(
    messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
) -> ChatRequest:
    given: dict[str, Any] = {name: settings.get(name) for name in _SETTINGS}
    choice = settings.get("tool_choice")
    tools = [*parameters.declared_function_tools, *parameters.output_tools]
    if isinstance(choice, list):
        tools = [tool for tool in tools if tool.name in choice]
    required = choice == "required" or isinstance(choice, list) or not parameters.allow_text_output
    output = parameters.output_object if parameters.output_mode == "native" else None
    bias = settings.get("logit_bias") or {}
    return ChatRequest(
        messages=chat_messages(messages),
        tools=chat_tools(tools),
        tool_choice="none" if choice == "none" else "required" if tools and required else "auto",
        parallel_calls=settings.get("parallel_tool_calls", True),
        json_schema=output.json_schema if output is not None else None,
        stop=tuple(settings.get("stop_sequences") or ()),
        logit_bias=tuple((int(token), float(value)) for token, value in bias.items()),
        **{name: value for name, value in given.items() if value is not None},
    )


@dataclass
class ChatResponse(StreamedResponse):
    """The stream of one reply, as pydantic-ai's events."""

    _model_name: str
    _deltas: AsyncGenerator[ChatDelta]
    _timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for delta in self._deltas:
            if delta.text:
                for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=delta.text):
                    yield event
            for call in delta.calls:
                for event in self._parts_manager.handle_tool_call_delta_events(
                    vendor_part_id=call.index,
                    tool_name=call.name or None,
                    args=call.arguments or None,
                    tool_call_id=call.id or None,
                ):
                    yield event
            if delta.finish_reason is not None:
                self.finish_reason = _FINISH[delta.finish_reason]
            if delta.usage is not None:
                self._usage = RequestUsage(
                    input_tokens=delta.usage.input,
                    cache_read_tokens=delta.usage.cached,
                    output_tokens=delta.usage.output,
                )

    async def close_stream(self) -> None:
        """Stop the reply."""
        await self._deltas.aclose()

    @property
    def model_name(self) -> str:
        """The chat's model."""
        return self._model_name

    @property
    def provider_name(self) -> str | None:
        """The provider's name in traces."""
        return "llmasos"

    @property
    def provider_url(self) -> str | None:
        """There is no provider of pydantic-ai's."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the reply began."""
        return self._timestamp
