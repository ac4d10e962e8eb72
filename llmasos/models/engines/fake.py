"""Engines without a model: one replies from a script, one counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from random import Random
from typing import Any

import anyio
import anyio.lowlevel

from llmasos.errors import ModelError
from llmasos.models.engines.pieces import Piece, Pieces
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    Embeddings,
    FinishReason,
    Footprint,
    InvalidRequest,
    TokenChoice,
    TokenUsage,
    Turn,
)
from llmasos.models.engines.spelled import Spelled


class FakeEngine:
    """Replies with the given texts in turn, a few characters at a time, and keeps the requests.

    Args:
        replies: The texts; an exception among them is raised instead.
        context: Tokens it claims to keep in view.
        slots: Requests it claims to run at once.
        finish_reason: What every reply ends with; None cuts the stream without an end.
    """

    def __init__(
        self,
        replies: Iterable[str | Exception] = (),
        *,
        name: str = "fake",
        context: int = 8192,
        slots: int = 1,
        finish_reason: FinishReason | None = "stop",
    ) -> None:
        self.name = name
        self.context = context
        self.slots = slots
        self.requests: list[CompletionRequest] = []
        self.prepared: list[tuple[Turn, ...]] = []
        self.stopped = 0
        self.parked = False
        self.closed = False
        self._replies = iter(replies)
        self._finish_reason = finish_reason

    def script(self, replies: Iterable[str | Exception]) -> None:
        """Reply with other texts from now on."""
        self._replies = iter(replies)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield the next scripted reply."""
        self.requests.append(request)
        reply = next(self._replies, None)
        if reply is None:
            raise ModelError("The fake engine has no reply left.", hint="Script one more.")
        if isinstance(reply, Exception):
            raise reply
        finished = False
        try:
            for start in range(0, len(reply), 4):
                await anyio.lowlevel.checkpoint()
                yield Chunk(text=reply[start : start + 4])
            if self._finish_reason is not None:
                usage = TokenUsage(input=await self.count(request), output=len(reply))
                yield Chunk(finish_reason=self._finish_reason, usage=usage)
            finished = True
        finally:
            self.stopped += not finished

    def resumable(self, request: CompletionRequest) -> bool:
        """Return that nothing is: a script has no tokens."""
        return False

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Remember the prefix."""
        self.prepared.append(prefix)

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the messages, one a line, with marks of turns in them broken."""
        marks = Spelled([("<|im_start|>", True), ("<|im_end|>", True)])
        told = [marks.broken(message) for message in messages]
        return "\n".join(f"{message['role']}: {message.get('content', '')}" for message in told)

    async def count(self, request: CompletionRequest) -> int:
        """Return the characters of the prompt."""
        return len(request.prompt) + sum(len(turn.content) for turn in request.turns)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors that tell only the lengths apart."""
        return Embeddings(vectors=tuple((1.0, 0.0) if len(text) % 2 else (0.0, 1.0) for text in texts))

    async def footprint(self) -> Footprint:
        """Return that it takes nothing."""
        return Footprint()

    async def park(self) -> int:
        """Remember that it was parked."""
        self.parked = True
        return 0

    async def unpark(self) -> None:
        """Remember that it was not."""
        self.parked = False

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class CountingEngine(FakeEngine):
    """Counts, `1 2 3 ...`, as a model would: every character is a token, and every request is obeyed.

    With a temperature it writes digits by chance, the same ones for the same seed.

    Args:
        name: Its name.
        context: Tokens of prompt and output together; characters here.
        slots: Requests that run at once.
        length: Characters after which it stops by itself.
    """

    def __init__(
        self, *, name: str = "counting", context: int = 8192, slots: int = 1, length: int = 100_000
    ) -> None:
        super().__init__(name=name, context=context, slots=slots)
        self._running = anyio.Semaphore(slots)
        self._length = length

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Yield the numbers, a character at a time."""
        self.requests.append(request)
        self._check(request)
        read = await self.count(request)
        if read >= self.context:
            raise ContextExceeded(f"There are {read} tokens, and {self.context} fit.", hint="Send less.")
        last = min(request.max_tokens, self.context - read)
        written = len(request.kept)
        pieces = Pieces(request.stop)
        reason: FinishReason = "length"
        finished = False
        try:
            async with self._running:
                while written < last and reason == "length":
                    await anyio.lowlevel.checkpoint()
                    self._check(request)
                    chunk = pieces.add(self._piece(request, written))
                    written += 1
                    if chunk is not None:
                        yield chunk
                    if pieces.stopped() or written >= self._length:
                        reason = "stop"
                yield pieces.end(reason, TokenUsage(input=read, output=written))
            finished = True
        finally:
            self.stopped += not finished

    def resumable(self, request: CompletionRequest) -> bool:
        """Return that everything is."""
        return True

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return vectors that tell only the lengths apart, and the texts' tokens."""
        vectors = (await super().embed(texts)).vectors
        return Embeddings(vectors=vectors, tokens=sum(map(len, texts)))

    def _check(self, request: CompletionRequest) -> None:
        if self.closed:
            raise ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it.")
        if request.grammar or request.json_schema or request.adapter:
            raise InvalidRequest("Counting follows no grammar and has no adapter.", hint="Leave it out.")
        if not (request.prompt or request.turns):
            raise InvalidRequest("The request has no prompt.", hint="Send a text or messages.")
        if request.logit_bias:
            raise InvalidRequest("Counting has no bias.", hint="Leave it out.")

    def _piece(self, request: CompletionRequest, place: int) -> Piece:
        if request.temperature:
            # A seed of None makes it different every time.
            seed = None if request.seed is None else f"{request.seed} {place}"
            text = Random(seed).choice("0123456789 ")  # noqa: S311
        else:
            text = _counted(place)
        choices: tuple[TokenChoice, ...] = ()
        if request.logprobs is not None:
            choice = TokenChoice(text=text, data=text.encode(), logprob=0.0)
            choices = (choice.model_copy(update={"others": (choice,) * min(1, request.logprobs)}),)
        return Piece(text, (ord(text),), choices)


def _counted(place: int) -> str:
    """Return one character of `1 2 3 ...`."""
    digits, first = 1, 1
    while place >= (size := 9 * first * (digits + 1)):
        place, digits, first = place - size, digits + 1, first * 10
    number, place = divmod(place, digits + 1)
    return f"{first + number} "[place]
