"""A model that makes one call: a person has named the tool and its arguments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from llmasos.api import ToolCall
from llmasos.models import Origin
from llmasos.tools import Registry

PERSON = Origin(model="none: the person made the call")


def one_call(call: ToolCall) -> FunctionModel:
    """Return a model that makes a call, and answers with what came of it."""

    async def reply(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[DeltaToolCalls | str]:
        told = _told(messages[-1])
        if told is None:
            yield {0: DeltaToolCall(name=call.tool, json_args=json.dumps(call.arguments))}
        else:
            yield told

    return FunctionModel(stream_function=reply, model_name=PERSON.model)


def asks_model(registry: Registry, call: ToolCall) -> bool:
    """Return whether the tool that is called asks the model by itself."""
    return any(tool.name == call.tool and tool.capabilities.asks_model for tool in registry)


def _told(message: ModelMessage) -> str | None:
    parts = [] if isinstance(message, ModelResponse) else message.parts
    for part in parts:
        if part.part_kind in ("tool-return", "retry-prompt"):
            return part.model_response_str() if isinstance(part, ToolReturnPart) else str(part.content)
    return None
