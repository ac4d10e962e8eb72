"""The engine: one model, its batch, and the thread they live on."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread

from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    Embeddings,
    Footprint,
    InvalidRequest,
    LoadPlan,
    Turn,
)
from llmasos.models.engines.transformers.batching import Batch
from llmasos.models.engines.transformers.constraint import Constraints
from llmasos.models.engines.transformers.embedding import embed
from llmasos.models.engines.transformers.load import Loaded
from llmasos.models.engines.transformers.mailbox import Mailbox
from llmasos.models.engines.transformers.memory import (
    ParkedWeights,
    allocated_bytes,
    allocating,
    release,
    weight_bytes,
)
from llmasos.models.engines.transformers.prompt import Prompts
from llmasos.models.engines.transformers.reply import Reply
from llmasos.models.engines.transformers.sampling import Sampler
from llmasos.models.engines.transformers.text import ReplyText
from llmasos.models.engines.transformers.thread import ModelThread
from llmasos.models.engines.transformers.vocabulary import Vocabulary


class TransformersEngine:
    """Runs one model of transformers, several requests at a time.

    Args:
        plan: How it was loaded.
        loaded: What was loaded.
        thread: Where it is used.
    """

    def __init__(self, plan: LoadPlan, loaded: Loaded, thread: ModelThread) -> None:
        self.name = plan.name
        self.context = loaded.context
        self.slots = plan.slots
        self._model = loaded.model
        self._ends = loaded.ends
        self._size = loaded.size
        self._thread = thread
        self._vocabulary = Vocabulary(loaded.tokenizer, loaded.size)
        self._constraints = Constraints(loaded.tokenizer, loaded.size, sorted(loaded.ends))
        self._prompts = Prompts(plan.name, loaded.tokenizer)
        self._batch: Batch | None = None
        self._parked: ParkedWeights | None = None

    @classmethod
    async def start(cls, plan: LoadPlan, loaded: Loaded, thread: ModelThread) -> TransformersEngine:
        """Make the engine and its cache.

        Raises:
            OutOfMemory: There is no room for the cache.
        """
        engine = cls(plan, loaded, thread)

        def begin() -> None:
            engine._batch = engine._new_batch()
            thread.drive(engine._step, engine._busy, engine._drop_all)

        await thread.run(begin)
        return engine

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request."""
        reply = await anyio.to_thread.run_sync(self._reply, request)
        if reply.finished:
            yield reply.last()
            return
        async with aclosing(self._follow(reply)) as chunks:
            async for chunk in chunks:
                yield chunk

    def resumable(self, request: CompletionRequest) -> bool:
        """Return that it is: grammars and seeds go on with the tokens that were kept."""
        return True

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Read the prefix, so that requests of no tenant find it in the cache."""
        tokens = await anyio.to_thread.run_sync(self._prompts.prefix, prefix) if prefix else ()
        if not tokens or len(tokens) >= self.context:
            return
        reply = self._plain_reply(tokens, CompletionRequest(max_tokens=1))
        async with aclosing(self._follow(reply)) as chunks:
            async for _ in chunks:
                pass

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        return await anyio.to_thread.run_sync(self._prompts.render, messages, tools)

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        return len(await anyio.to_thread.run_sync(self._prompts.tokens, request))

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings: the last hidden states' mean, of length 1."""
        vectors: list[tuple[float, ...]] = []
        total = 0
        for text in texts:
            tokens = await anyio.to_thread.run_sync(self._prompts.encode, text)
            if not 0 < len(tokens) <= self.context:
                raise InvalidRequest(
                    f"A text has {len(tokens)} tokens; it may have 1 to {self.context}.",
                    hint="Send shorter texts, none of them empty.",
                )
            total += len(tokens)
            vectors.append(await self._thread.run(lambda tokens=tokens: self._embed(tokens)))  # type: ignore[misc]
        return Embeddings(vectors=tuple(vectors), tokens=total)

    async def footprint(self) -> Footprint:
        """Return the bytes that the model takes on its device now."""
        return await self._thread.run(self._footprint)

    async def park(self) -> int:
        """Move the weights to the host's memory; replies that are being written end with an error."""
        return await self._thread.run(self._park)

    async def unpark(self) -> None:
        """Move the weights back."""
        await self._thread.run(self._unpark)

    async def close(self) -> None:
        """Stop what runs and free the model."""
        with anyio.CancelScope(shield=True):
            try:
                await self._thread.run(self._free)
            except ModelError:
                # It was closed before, or died.
                self._model = self._batch = self._parked = None
            self._thread.close()
            await anyio.to_thread.run_sync(self._thread.join)

    async def _follow(self, reply: Reply) -> AsyncGenerator[Chunk]:
        """Let the reply take part in the batch, and return its chunks; whoever leaves takes it out."""
        with Mailbox() as mailbox:
            reply.send, reply.stalled = mailbox.put, mailbox.stalled
            try:
                await self._thread.run(lambda: self._running().add(reply))
                async for chunk in mailbox.chunks():
                    yield chunk
            finally:
                if not reply.finished:
                    reply.finished = True
                    with anyio.CancelScope(shield=True):
                        await self._drop(reply)

    def _reply(self, request: CompletionRequest) -> Reply:
        """Check the request and return what the batch needs of it."""
        if request.adapter:
            raise InvalidRequest(
                f"The model {self.name} has no adapter named {request.adapter}.",
                hint="Leave the adapter out, or use a GGUF file of the model.",
            )
        tokens = self._prompts.tokens(request)
        length = len(tokens) + len(request.kept)
        if length >= self.context:
            raise ContextExceeded(
                f"The request has {length} tokens, and the model {self.name} keeps {self.context} in view.",
                hint="Shorten it, or start a new session.",
            )
        for token in (*request.kept, *(token for token, _ in request.logit_bias)):
            if not 0 <= token < self._size:
                raise InvalidRequest(
                    f"The model {self.name} has no token number {token}.", hint="Use its own token numbers."
                )
        for token, bias in request.logit_bias:
            if not math.isfinite(bias):
                raise InvalidRequest(
                    f"The bias {bias} of token {token} is no finite number.", hint="Leave it out."
                )
        return self._plain_reply(tokens, request)

    def _plain_reply(self, tokens: Sequence[int], request: CompletionRequest) -> Reply:
        return Reply(
            tokens,
            kept=request.kept,
            limit=min(request.max_tokens, self.context - len(tokens)),
            ends=self._ends,
            sampler=Sampler(request),
            text=ReplyText(
                self._vocabulary.data,
                request.stop,
                kept=request.kept,
                strip=self._vocabulary.strips_space and bool(request.turns),
            ),
            constraint=self._constraints.compile(request),
            alternatives=request.logprobs,
            session=request.session,
            tenant=request.tenant,
        )

    def _running(self) -> Batch:
        if self._batch is None:
            raise ModelError(f"The model {self.name} is not on its device.", hint="Ask again to load it.")
        return self._batch

    def _new_batch(self) -> Batch:
        with allocating(f"keep what {self.name} has read"):
            return Batch(self._model, self._vocabulary, self.context, self.slots)

    def _step(self) -> bool:
        return self._batch is not None and self._batch.step()

    def _busy(self) -> bool:
        return self._batch is not None and bool(self._batch.replies)

    async def _drop(self, reply: Reply) -> None:
        try:
            await self._thread.run(lambda: self._batch.drop(reply) if self._batch else None)
        except ModelError:
            return

    def _drop_all(self, error: Exception) -> None:
        if self._batch is not None:
            self._batch.close(error)
            self._batch = None

    def _embed(self, tokens: Sequence[int]) -> tuple[float, ...]:
        self._running()
        with allocating("embed a text"):
            return embed(self._model, tokens)

    def _footprint(self) -> Footprint:
        weights = 0 if self._model is None or self._parked else weight_bytes(self._model)
        cache = self._batch.cache_bytes if self._batch else 0
        workspace = self._batch.workspace_bytes if self._batch else 0
        if self._batch:
            workspace = max(workspace, allocated_bytes(self._model.device) - weights - cache)
        return Footprint(weights=weights, cache=cache, workspace=workspace)

    def _park(self) -> int:
        if self._parked is None:
            self._drop_all(ModelError(f"The model {self.name} was moved off its device.", hint="Try again."))
            try:
                self._parked = ParkedWeights(self._model)
            except Exception:
                self._batch = self._new_batch()
                raise
            release()
        return self._parked.bytes

    def _unpark(self) -> None:
        if self._parked is None:
            return
        self._parked.restore()
        try:
            self._batch = self._new_batch()
        except Exception:
            self._parked.withdraw()
            release()
            raise
        self._parked = None

    def _free(self) -> None:
        self._drop_all(ModelError(f"The model {self.name} was unloaded.", hint="Ask again to load it."))
        self._model = self._parked = None
        release()
