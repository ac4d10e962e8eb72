"""Chats in a model's own tool format: the template's prompt, a grammar for calls, and the text read back."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llmasos.events import ToolChoice
from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.constraint import reply_grammar
from llmasos.models.chat.formats import FORMATS, CallFormat, CallReader
from llmasos.models.chat.messages import openai_messages, openai_tools
from llmasos.models.chat.port import ChatCall, ChatDelta, ChatFinish, ChatMessage, ChatRequest
from llmasos.models.chat.sampling import bounded, sampling_of
from llmasos.models.chat.text import Stops, Thoughts
from llmasos.models.choice import ALTERNATIVES, choose
from llmasos.models.engines.port import CompletionRequest, Engine, FinishReason, TokenChoice, TokenUsage


async def native_reply(engine: Engine, profile: Profile, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
    """Reply with text, calls, or both.

    Raises:
        InvalidRequest: The template refuses the conversation, or a schema cannot be read.
        ModelError: The engine failed, or a call cannot be read.
    """
    form = FORMATS["hermes" if profile.tool_format == "none" else profile.tool_format]
    tools = tuple(tool for tool in request.tools if request.tool_named in ("", tool.name))
    opened = request.tool_choice == "required"
    messages = openai_messages(_named(form, request.messages), parsed=True)
    prompt = await engine.render(messages, openai_tools(request.tools))
    thoughts = profile.thinking
    thinking = thoughts is not None and prompt.rstrip().endswith(thoughts[0])
    if opened:
        prompt += f"{thoughts[1]}\n\n" if thoughts is not None and thinking else ""
        prompt += form.forced
    asked = CompletionRequest(
        prompt=prompt,
        grammar=reply_grammar(
            form,
            tools,
            opened=opened,
            parallel=request.parallel_calls,
            schema=request.json_schema,
            thoughts=thoughts,
            thinking=thinking,
        ),
        **sampling_of(request, profile) | {"logprobs": ALTERNATIVES if request.choices else None},
    )
    naming = _Naming([tool.name for tool in tools])
    reading = _Reading(
        Thoughts(None if opened else thoughts, inside=thinking),
        CallReader(form, opened=opened),
        Stops(request.stop),
    )
    asked, read = await bounded(engine, asked, request.max_tokens)
    written = 0
    chunks = engine.stream(asked)
    async with aclosing(chunks):
        async for chunk in chunks:
            written += len(chunk.tokens)
            naming.tokens += chunk.logprobs
            for delta in reading.feed(chunk.text):
                yield naming.sure(delta)
            if reading.stopped:
                yield ChatDelta(
                    finish_reason="stop", usage=chunk.usage or TokenUsage(input=read, output=written)
                )
                return
            if chunk.finish_reason is not None:
                for delta in reading.end(chunk.finish_reason):
                    yield naming.sure(delta)
                yield reading.last(chunk.finish_reason, chunk.usage)


class _Naming:
    """How sure the model is of the tools that it names.

    Args:
        tools: The names that it may write.
    """

    def __init__(self, tools: Sequence[str]) -> None:
        self.tokens: list[TokenChoice] = []
        self._tools = tools

    def sure(self, delta: ChatDelta) -> ChatDelta:
        """Return a delta whose calls say it."""
        if not self.tokens or not any(call.name for call in delta.calls):
            return delta
        written = b"".join(token.data for token in self.tokens)
        calls = [call.model_copy(update={"choice": self._choice(written, call.name)}) for call in delta.calls]
        return delta.model_copy(update={"calls": tuple(calls)})

    def _choice(self, written: bytes, name: str) -> ToolChoice | None:
        # It is read as soon as it is written, so it stands at the end.
        at = written.rfind(b'"%b"' % name.encode("utf-8", "replace"))
        return choose(self.tokens, at + 1, name, self._tools) if name and at >= 0 else None


class _Reading:
    """What the model writes, as it passes through."""

    def __init__(self, thoughts: Thoughts, calls: CallReader, stops: Stops) -> None:
        self._thoughts = thoughts
        self._calls = calls
        self._stops = stops

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come."""
        return self._stops.hit

    def feed(self, text: str) -> list[ChatDelta]:
        """Return what the reader is to see of a piece."""
        return self._cut(self._calls.feed(self._thoughts.feed(text)))

    def end(self, finish: FinishReason) -> list[ChatDelta]:
        """Return what was held back."""
        cut = finish == "length"
        last = [*self._calls.feed(self._thoughts.end()), *self._calls.end(cut=cut)]
        return [*self._cut(last), ChatDelta(text=self._stops.end())]

    def last(self, finish: FinishReason, usage: TokenUsage | None) -> ChatDelta:
        """Return the end of the reply."""
        called: ChatFinish = "tool_calls" if self._calls.calls and finish == "stop" else finish
        return ChatDelta(finish_reason=called, usage=usage)

    def _cut(self, deltas: Sequence[ChatDelta]) -> list[ChatDelta]:
        shown: list[ChatDelta] = []
        for delta in deltas:
            if delta.calls:
                # What a stop text might have begun in did not go on.
                shown += [ChatDelta(text=self._stops.end()), delta]
            elif not self._stops.hit:
                shown.append(ChatDelta(text=self._stops.feed(delta.text)))
            if self._stops.hit:
                break
        return [delta for delta in shown if delta.text or delta.calls]


def _named(form: CallFormat, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with ids of calls that the format's templates take."""
    if not form.listed:
        return list(messages)
    return [
        message.model_copy(
            update={
                "calls": tuple(
                    ChatCall(id=_short(call.id), name=call.name, arguments=call.arguments)
                    for call in message.calls
                ),
                "call_id": _short(message.call_id) if message.call_id else "",
            }
        )
        for message in messages
    ]


def _short(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]
