"""Chats with models that run here."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llmasos.errors import ModelError
from llmasos.models.calls.conversation import fit, items_of
from llmasos.models.calls.syntax import ANSWER
from llmasos.models.catalog.profile import Profile
from llmasos.models.chat.calls import call_syntax_reply, expressible
from llmasos.models.chat.messages import agent_messages, openai_messages
from llmasos.models.chat.native import native_reply
from llmasos.models.chat.port import ChatDelta, ChatMessage, ChatRequest
from llmasos.models.chat.sampling import bounded, sampling_of
from llmasos.models.chat.text import Thoughts
from llmasos.models.engines.port import Chunk, CompletionRequest, Embeddings, Engine, InvalidRequest, Turn

# A budget of tokens that leaves nothing out; what is too long is the engine's to say.
_EVERYTHING = 1 << 40


class LocalChat:
    """A chat over an engine.

    Args:
        engine: What runs the model.
        profile: How the model is driven.
    """

    def __init__(self, engine: Engine, profile: Profile) -> None:
        self._engine = engine
        self._profile = profile

    @property
    def name(self) -> str:
        """The engine's model."""
        return self._engine.name

    @property
    def context(self) -> int | None:
        """Tokens that the engine keeps in view."""
        return self._engine.context

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation, with tools as the model's profile says."""
        if not request.tools or request.tool_choice == "none":
            replies = self._plain(request)
        elif request.tool_named and all(tool.name != request.tool_named for tool in request.tools):
            raise InvalidRequest(
                f"The tool {request.tool_named!r} is to be called, and is not offered.", hint="Offer it."
            )
        elif request.logprobs is not None:
            raise InvalidRequest(
                "Log-probabilities are not reported beside tools.", hint="Leave one of the two out."
            )
        elif self._calls_suffice(request):
            replies = call_syntax_reply(self._engine, self._profile, request)
        else:
            replies = native_reply(self._engine, self._profile, request)
        finished = False
        async with aclosing(replies):
            async for delta in replies:
                finished = finished or delta.finish_reason is not None
                yield delta
        if not finished:
            raise ModelError(f"The reply of {self.name} was cut short.", hint="Try again.")

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text, within the context."""
        asked, _ = await bounded(self._engine, request, request.max_tokens)
        async with aclosing(self._engine.stream(asked)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        return await self._engine.embed(texts)

    def _calls_suffice(self, request: ChatRequest) -> bool:
        """Return whether call syntax can say all that the request may be replied to with."""
        calls = self._profile.drive == "calls" or self._profile.tool_format == "none"
        return calls and request.json_schema is None and expressible(request.tools)

    async def _plain(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        asked = CompletionRequest(
            **await self._conversation(request.messages),
            json_schema="" if request.json_schema is None else _schema(request.json_schema),
            stop=request.stop,
            **sampling_of(request, self._profile),
        )
        marks = self._profile.thinking
        inside = marks is not None and asked.prompt.rstrip().endswith(marks[0])
        if request.json_schema is not None:
            # What obeys a schema is no thought, even where the template began one.
            closed = f"{asked.prompt}{marks[1]}\n\n" if marks is not None and inside else asked.prompt
            asked, marks = asked.model_copy(update={"prompt": closed}), None
        thoughts = Thoughts(marks, inside=inside)
        asked, _ = await bounded(self._engine, asked, request.max_tokens)
        async with aclosing(self._engine.stream(asked)) as chunks:
            async for chunk in chunks:
                text = thoughts.feed(chunk.text)
                if chunk.finish_reason is not None:
                    text += thoughts.end()
                shown = chunk.logprobs if text or not chunk.text else ()
                if text or chunk.finish_reason is not None:
                    yield ChatDelta(
                        text=text, logprobs=shown, finish_reason=chunk.finish_reason, usage=chunk.usage
                    )

    async def _conversation(self, messages: Sequence[ChatMessage]) -> dict[str, object]:
        """Return the turns of a conversation, or its prompt where turns cannot say it."""
        if all(message.role != "tool" and not message.calls for message in messages):
            if self._profile.thinking is None:
                return {"turns": tuple(Turn(role=m.role, content=m.content) for m in messages)}
        elif self._profile.drive == "calls" or self._profile.tool_format == "none":
            # Templates of small models know no results; they are shown as call syntax shows them.
            system = tuple(Turn(role="system", content=m.content) for m in messages if m.role == "system")
            items = items_of(agent_messages([m for m in messages if m.role != "system"]), {})
            turns = (
                turn.model_copy(update={"content": turn.content.removeprefix(ANSWER)})
                for turn in fit(items, _EVERYTHING)
            )
            return {"turns": (*system, *turns)}
        return {"prompt": await self._engine.render(openai_messages(messages, parsed=True))}


def _schema(schema: dict[str, object]) -> str:
    return json.dumps(schema or {"type": "object"})
