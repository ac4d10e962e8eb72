"""An engine that shares its model with everybody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Embeddings,
    Engine,
    Footprint,
    InvalidRequest,
    Turn,
)
from llmasos.models.scheduler.loop import Scheduler
from llmasos.models.scheduler.types import Client
from llmasos.models.tokens import check_fits, likely_tokens

_WAITING = Client()


class ScheduledEngine:
    """One model of a scheduler, as one client sees it; it is loaded when it is needed.

    Args:
        scheduler: Who shares the models.
        model: The model's name.
        client: Who asks.
        adapter: The LoRA adapter that all replies are made with, or empty.
    """

    def __init__(
        self, scheduler: Scheduler, model: str, client: Client = _WAITING, adapter: str = ""
    ) -> None:
        self._scheduler = scheduler
        self._client = client
        self._adapter = adapter
        self.name = model

    @property
    def context(self) -> int:
        """Tokens of prompt and output together that the engine keeps in view for one request."""
        resident = self._scheduler.effects.resident(self.name)
        return resident.card.context if resident.engine is None else resident.engine.context

    @property
    def slots(self) -> int:
        """Requests that run at once, of all clients together."""
        return self._scheduler.effects.resident(self.name).card.slots

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Generate text for the request, when it is this client's turn."""
        mine = {
            "tenant": request.tenant or self._client.tenant,
            "session": request.session or self._client.session,
            "adapter": request.adapter or self._adapter,
        }
        return self._scheduler.stream(self.name, request.model_copy(update=mine), self._client)

    def resumable(self, request: CompletionRequest) -> bool:
        """Return that what is kept here is kept for the scheduler alone."""
        return False

    async def prepare(self, prefix: tuple[Turn, ...]) -> None:
        """Have the engine read the prefix, unless it did since it was loaded."""
        check_fits(self.name, self.context, (turn.content for turn in prefix))
        resident = self._scheduler.effects.resident(self.name)
        key = hash(prefix)
        if resident.engine is not None and key in resident.prepared:
            return

        async def work(engine: Engine) -> None:
            await engine.prepare(prefix)
            resident.prepared.add(key)

        tokens = likely_tokens(turn.content for turn in prefix)
        await self._scheduler.call(self.name, work, self._client, tokens=min(tokens, self.context))

    async def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Return the prompt that the model's own chat template makes."""
        check_fits(self.name, self.context, _texts((messages, tools)))
        return await self._scheduler.call(
            self.name, lambda engine: engine.render(messages, tools), self._client, aside=True
        )

    async def count(self, request: CompletionRequest) -> int:
        """Return the tokens of the request's prompt."""
        check_fits(self.name, self.context, request.texts)
        return await self._scheduler.call(
            self.name, lambda engine: engine.count(request), self._client, aside=True
        )

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings."""
        if self._adapter:
            raise InvalidRequest(
                f"The embeddings of {self.name} are made without adapters.",
                hint="Ask the model by its own name.",
            )
        for text in texts:
            check_fits(self.name, self.context, (text,))
        return await self._scheduler.call(
            self.name,
            lambda engine: engine.embed(texts),
            self._client,
            # Texts are read one after the other; each has to fit alone.
            tokens=min(likely_tokens(texts), self.context),
            operation="embeddings",
        )

    async def footprint(self) -> Footprint:
        """Return the bytes that the model takes now."""
        return await self._scheduler.call(
            self.name, lambda engine: engine.footprint(), self._client, aside=True
        )

    async def park(self) -> int:
        """Leave the model where the scheduler wants it."""
        return 0

    async def unpark(self) -> None:
        """Leave the model where the scheduler wants it."""

    async def close(self) -> None:
        """Leave the model to the others; the scheduler unloads it."""


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in messages and tools."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)
