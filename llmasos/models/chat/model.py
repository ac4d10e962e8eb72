"""A pydantic-ai model over any chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponseStreamEvent
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings

from llmasos.models.chat.messages import chat_messages, chat_tools
from llmasos.models.chat.port import Chat, ChatDelta, ChatFinish, ChatRequest
from llmasos.models.choice import details
from llmasos.models.streamed import StreamedModel, StreamedReply, sampling_in

_FINISH: dict[ChatFinish, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
}


class ChatModel(StreamedModel[ChatDelta]):
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

    async def replies(
        self, messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> AsyncGenerator[ChatDelta]:
        """Stream one reply as the chat gives it."""
        async with aclosing(self.chat.stream(_request(messages, settings, parameters))) as deltas:
            async for delta in deltas:
                yield delta

    def streamed(
        self, pieces: AsyncGenerator[ChatDelta], parameters: ModelRequestParameters
    ) -> StreamedReply[ChatDelta]:
        """Return the deltas of a reply as pydantic-ai's events."""
        return ChatResponse(model_request_parameters=parameters, name=self.model_name, pieces=pieces)


def _request(
    messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
) -> ChatRequest:
    choice = settings.get("tool_choice")
    tools = [*parameters.declared_function_tools, *parameters.output_tools]
    if isinstance(choice, list):
        tools = [tool for tool in tools if tool.name in choice]
    required = choice == "required" or isinstance(choice, list) or not parameters.allow_text_output
    output = parameters.output_object if parameters.output_mode == "native" else None
    return ChatRequest(
        messages=chat_messages(messages),
        tools=chat_tools(tools),
        tool_choice="none" if choice == "none" else "required" if tools and required else "auto",
        parallel_calls=settings.get("parallel_tool_calls", True),
        json_schema=output.json_schema if output is not None else None,
        max_tokens=settings.get("max_tokens"),
        choices=True,
        **sampling_in(settings),
    )


class ChatResponse(StreamedReply[ChatDelta]):
    """The stream of one reply, as pydantic-ai's events."""

    def read(self, piece: ChatDelta) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of a delta."""
        if piece.text:
            yield from self._parts_manager.handle_text_delta(vendor_part_id="text", content=piece.text)
        for call in piece.calls:
            yield from self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=call.index,
                tool_name=call.name or None,
                args=call.arguments or None,
                tool_call_id=call.id or None,
                provider_details=details(call.choice),
            )
        if piece.finish_reason is not None:
            self.finish_reason = _FINISH[piece.finish_reason]
        if piece.usage is not None:
            self.used(piece.usage)
