"""A model that makes one call: a person has named the tool and its arguments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from llmasos.api import ToolCall
from llmasos.models import Origin

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


def _told(message: ModelMessage) -> str | None:
    """Return what came of the call; None before it was made."""
    returned = [part for part in message.parts if isinstance(part, ToolReturnPart)]
    return returned[-1].model_response_str() if returned else None
