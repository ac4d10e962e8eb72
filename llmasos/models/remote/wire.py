"""Requests and replies in the words of OpenAI's API. Source: its reference of chat completions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from llmasos.models.chat.messages import openai_messages, openai_tools
from llmasos.models.chat.port import CallDelta, ChatDelta, ChatFinish, ChatRequest, new_call_id
from llmasos.models.engines.port import CompletionRequest, InvalidRequest, Sampling, TokenChoice, TokenUsage
from llmasos.models.tokens import most_tokens

# What every endpoint knows; the others are sent only where they say something.
_NAMES = {"repeat_penalty": "repetition_penalty"}
_FINISHES: dict[str, ChatFinish] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
# More than any model keeps in view, or writes.
_MOST_TOKENS = 10_000_000
MOST_WRITTEN = 16 << 20
"""Characters of a reply, at most."""
_MOST_CALLS = 1000
_LONGEST_ID = 200
# What OpenAI's API says of a token that cannot come.
_LEAST_LOGPROB = -9999.0


class TooLong(ValueError):
    """A reply without an end in sight."""

    def __init__(self) -> None:
        super().__init__("the reply has no end")


def chat_body(name: str, request: ChatRequest, *, limit: str = "max_tokens") -> dict[str, Any]:
    """Return the body of a chat's request.

    Args:
        name: The model, as the endpoint calls it.
        request: What to reply to.
        limit: What the endpoint calls the bound of tokens.
    """
    body: dict[str, Any] = {
        "model": name,
        "messages": openai_messages(request.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request),
    }
    if request.max_tokens is not None:
        body[limit] = request.max_tokens
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.tools:
        body["tools"] = openai_tools(request.tools)
        named = {"type": "function", "function": {"name": request.tool_named}}
        body["tool_choice"] = named if request.tool_named else request.tool_choice
        if not request.parallel_calls:
            body["parallel_tool_calls"] = False
    if request.json_schema is not None:
        body["response_format"] = _format(request.json_schema)
    return body


def completion_body(name: str, request: CompletionRequest) -> dict[str, Any]:
    """Return the body of a completion's request.

    Raises:
        InvalidRequest: It asks for what endpoints do not offer.
    """
    if request.turns or request.grammar or request.json_schema or request.adapter or request.kept:
        raise InvalidRequest(
            f"The endpoint of {name} continues plain text only.", hint="Send a prompt, or use a chat."
        )
    body: dict[str, Any] = {
        "model": name,
        "prompt": request.prompt,
        "max_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **_sampling(request),
    }
    if request.logprobs is not None:
        body["logprobs"] = request.logprobs
    return body


class ChatReply:
    """A chat's reply, put together from the events of its stream."""

    def __init__(self) -> None:
        self.finish: ChatFinish | None = None
        self.usage: TokenUsage | None = None
        self._written: list[str] = []
        self._length = 0
        self._calls: dict[int, tuple[int, str]] = {}
        self._ids: set[str] = set()

    @property
    def written(self) -> str:
        """What it says, calls included."""
        return "".join(self._written)

    def read(self, event: Mapping[str, Any]) -> ChatDelta | None:
        """Return what an event adds, or None when it is nothing to show.

        Raises:
            ArithmeticError, AttributeError, LookupError, TypeError, ValueError: It is no event of a chat, or
                one too many.
        """
        self.usage = usage_of(event.get("usage")) or self.usage
        choices = event.get("choices") or ()
        if not choices:
            return None
        choice = choices[0]
        delta = choice.get("delta") or choice.get("message") or {}
        text = str(delta.get("content") or "")
        calls = tuple(self._call(call) for call in delta.get("tool_calls") or ())
        if reason := choice.get("finish_reason"):
            finish = _FINISHES.get(str(reason), "stop")
            self.finish = "tool_calls" if finish == "stop" and self._ids else finish
        self._write(text, *(f"{call.name}{call.arguments}" for call in calls))
        found = (choice.get("logprobs") or {}).get("content") or ()
        logprobs = tuple(map(_token, found))
        if not (text or calls or logprobs):
            return None
        return ChatDelta(text=text, calls=calls, logprobs=logprobs)

    def _write(self, *texts: str) -> None:
        self._written += filter(None, texts)
        self._length += sum(map(len, texts))
        if self._length > MOST_WRITTEN or len(self._ids) > _MOST_CALLS:
            raise TooLong

    def _call(self, call: Mapping[str, Any]) -> CallDelta:
        function = call.get("function") or {}
        name, arguments = str(function.get("name") or ""), function.get("arguments")
        place, given = int(call.get("index") or 0), str(call.get("id") or "")
        known = self._calls.get(place)
        # Some endpoints send several calls, each whole, under one index.
        begins = known is None or bool(name and given and given != known[1])
        if begins:
            if not name:
                raise ValueError("a call without a name")
            self._calls[place] = (len(self._ids), self._new_id(given))
        index, call_id = self._calls[place]
        return CallDelta(
            index=index,
            id=call_id if begins else "",
            name=name if begins else "",
            # Some endpoints send the arguments as they are, and not as text.
            arguments=json.dumps(arguments) if isinstance(arguments, dict) else str(arguments or ""),
        )

    def _new_id(self, given: str) -> str:
        """Return the id of a call, which no other call of this reply has."""
        usable = given and given not in self._ids and len(given) <= _LONGEST_ID and given.isprintable()
        chosen = given if usable else new_call_id()
        self._ids.add(chosen)
        return chosen


def completion_event(event: Mapping[str, Any]) -> tuple[str, tuple[TokenChoice, ...], str]:
    """Return the text, the log-probabilities and the finish reason of a completion's event.

    Raises:
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError: It is no event of a completion.
    """
    choices = event.get("choices") or ()
    if not choices:
        return "", (), ""
    choice = choices[0]
    found = choice.get("logprobs") or {}
    texts, values = found.get("tokens") or (), found.get("token_logprobs") or ()
    others = found.get("top_logprobs") or [{}] * len(texts)
    logprobs = tuple(
        TokenChoice(
            text=text,
            data=text.encode("utf-8", "replace"),
            logprob=_logprob(value),
            others=tuple(
                TokenChoice(text=other, data=other.encode("utf-8", "replace"), logprob=_logprob(other_value))
                for other, other_value in sorted((top or {}).items(), key=lambda item: -item[1])
            ),
        )
        for text, value, top in zip(texts, values, others, strict=False)
        if value is not None
    )
    return str(choice.get("text") or ""), logprobs, str(choice.get("finish_reason") or "")


def usage_of(found: Any) -> TokenUsage | None:
    """Return the usage that an endpoint reports; None where it is missing or cannot be true."""
    if not isinstance(found, Mapping):
        return None
    details = found.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    counts = [
        count
        for count in (found.get("prompt_tokens"), cached or 0, found.get("completion_tokens", 0))
        if type(count) is int and 0 <= count < _MOST_TOKENS
    ]
    if len(counts) < 3:
        return None
    return TokenUsage(input=counts[0], cached=min(counts[1], counts[0]), output=counts[2])


def checked_usage(reported: TokenUsage | None, asked: str, written: str) -> TokenUsage:
    """Return the usage of a reply: as it was reported, or estimated where that is missing or too little.

    Args:
        reported: What the endpoint says.
        asked: The text of the request.
        written: The text of the reply, calls included.
    """
    usage = reported or TokenUsage()
    if asked and not usage.input:
        usage = usage.model_copy(update={"input": most_tokens(asked)})
    if written and not usage.output:
        usage = usage.model_copy(update={"output": most_tokens(written)})
    return usage


def _sampling(request: Sampling) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    for name, field in Sampling.model_fields.items():
        value = getattr(request, name)
        if name not in ("stop", "logprobs", "logit_bias") and value is not None and value != field.default:
            sent[_NAMES.get(name, name)] = value
    if request.temperature is not None:
        sent["temperature"] = request.temperature
    if request.stop:
        sent["stop"] = list(request.stop)
    if request.logit_bias:
        sent["logit_bias"] = {str(token): value for token, value in request.logit_bias}
    return sent


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema:
        return {"type": "json_object"}
    named = {"name": "reply", "schema": schema, "strict": _closed(schema)}
    return {"type": "json_schema", "json_schema": named}


def _closed(schema: Any) -> bool:
    """Return whether every object of a schema has just the properties that it must have."""
    if isinstance(schema, list):
        return all(map(_closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or names != set(schema.get("required", ())):
            return False
    return all(map(_closed, schema.values()))


def _token(found: Mapping[str, Any]) -> TokenChoice:
    text = str(found["token"])
    data = found.get("bytes")
    return TokenChoice(
        text=text,
        data=bytes(data) if isinstance(data, list) else text.encode("utf-8", "replace"),
        logprob=_logprob(found["logprob"]),
        others=tuple(_token({**other, "top_logprobs": ()}) for other in found.get("top_logprobs") or ()),
    )


def _logprob(value: Any) -> float:
    if math.isnan(number := float(value)):
        raise ValueError("a probability that is no number")
    return min(0.0, max(number, _LEAST_LOGPROB))
