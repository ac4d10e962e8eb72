"""Chats with small models: tools in call syntax, under a grammar."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from llmasos.models.calls.grammar import grammar
from llmasos.models.calls.model import CallSyntaxModel
from llmasos.models.calls.syntax import forms_of
from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.messages import agent_messages, agent_tools
from llmasos.models.chat.port import CallDelta, ChatDelta, ChatRequest, ChatTool, new_call_id
from llmasos.models.chat.text import Stops
from llmasos.models.engines.port import Engine, InvalidRequest
from llmasos.models.streamed import SAMPLING

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def expressible(tools: Sequence[ChatTool]) -> bool:
    """Return whether call syntax has a form for all of these tools."""
    try:
        return all(map(_expressible, tools)) and bool(grammar(tuple(forms_of(agent_tools(tools)).values())))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError, InvalidRequest):
        # What is wrong with a schema is told by the form that can say all.
        return False


async def call_syntax_reply(
    engine: Engine, profile: Profile, request: ChatRequest
) -> AsyncGenerator[ChatDelta]:
    """Reply with text or one call.

    Raises:
        InvalidRequest: The conversation cannot be read.
        ModelError: The engine failed, or the model wrote no usable reply.
    """
    model = CallSyntaxModel(engine, profile.languages, cut=True, choices=request.choices)
    parameters = ModelRequestParameters(function_tools=agent_tools(request.tools))
    stops = Stops(request.stop)
    called = False
    replies = model.replies(agent_messages(request.messages), _settings(request), parameters)
    async with aclosing(replies):
        async for reply in replies:
            if text := stops.feed(reply.text):
                yield ChatDelta(text=text)
            if reply.call is not None:
                called = True
                call = CallDelta(index=0, id=new_call_id(), name=reply.call.tool, choice=reply.choice)
                yield ChatDelta(calls=(call,))
                arguments = json.dumps(reply.call.arguments)
                yield ChatDelta(calls=(CallDelta(index=0, arguments=arguments),))
            if reply.finish_reason is not None:
                finish = "tool_calls" if called else reply.finish_reason
                finish = "stop" if stops.hit else finish
                yield ChatDelta(text=stops.end(), finish_reason=finish, usage=reply.usage)


def _expressible(tool: ChatTool) -> bool:
    schema = tool.parameters
    properties = schema.get("properties", {})
    return (
        _NAME.fullmatch(tool.name) is not None
        and schema.get("type", "object") == "object"
        and isinstance(properties, dict)
        and all(_NAME.fullmatch(name) and isinstance(value, dict) for name, value in properties.items())
        and set(schema.get("required", ())) <= properties.keys()
        and (bool(properties) or schema.get("additionalProperties") in (None, False))
        and not schema.keys() & {"$ref", "anyOf", "oneOf", "allOf"}
    )


def _settings(request: ChatRequest) -> ModelSettings:
    settings: dict[str, Any] = {name: getattr(request, name) for name in ("max_tokens", *SAMPLING)}
    settings["logit_bias"] = {str(token): value for token, value in request.logit_bias}
    settings["tool_choice"] = [request.tool_named] if request.tool_named else request.tool_choice
    return cast(ModelSettings, {name: value for name, value in settings.items() if value is not None})
