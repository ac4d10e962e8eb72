"""Several endpoints of one model: the least loaded one that works is asked."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, Never, TypeVar

import anyio
from pydantic import BaseModel

from llmasos.errors import ModelError
from llmasos.models.chat.port import ChatDelta, ChatRequest
from llmasos.models.engines.port import Chunk, CompletionRequest, ContextExceeded, Embeddings, InvalidRequest
from llmasos.models.remote.chat import RemoteChat
from llmasos.models.remote.errors import shown
from llmasos.models.scheduler.types import Refused

_FIRST_EJECTION = 1.0
_LONGEST_EJECTION = 60.0

T = TypeVar("T")


class UpstreamStatus(BaseModel, frozen=True):
    """How one endpoint does.

    Args:
        url: Its base URL.
        state: Whether it is asked; one that failed is asked again after a while, or when a check succeeds.
        outstanding: Requests that it works on.
        failures: How often it failed in a row.
        reason: Why it failed last, or empty.
    """

    url: str
    state: Literal["healthy", "ejected", "draining"]
    outstanding: int = 0
    failures: int = 0
    reason: str = ""


@dataclass
class _Upstream:
    chat: RemoteChat
    outstanding: int = 0
    failures: int = 0
    ejected_until: float = 0.0
    reason: str = ""
    draining: bool = False
    idle: anyio.Event = field(default_factory=anyio.Event)


class Upstreams:
    """One model behind several endpoints, as one chat.

    A request goes to the healthy endpoint with the fewest requests, the first one of several; as long as
    nothing of a reply has come, it goes on to the next one when an endpoint fails.

    Args:
        name: What the model is called here.
        chats: The model at each endpoint.
        interval: Seconds between two checks of an endpoint, where `watch` runs.
        clock: The time in seconds.
    """

    def __init__(
        self,
        name: str,
        chats: Sequence[RemoteChat],
        *,
        interval: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._upstreams = [_Upstream(chat) for chat in chats]
        self._interval = interval
        self._clock = clock

    @property
    def context(self) -> int | None:
        """The smallest context that the endpoints tell of."""
        told = [one.chat.context for one in self._upstreams if one.chat.context is not None]
        return min(told, default=None)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatDelta]:
        """Reply to a conversation.

        Raises:
            InvalidRequest: An endpoint refuses the request itself.
            Refused: All endpoints are busy.
            ModelError: No endpoint works, or the one that replied cut its reply short.
        """
        async with aclosing(self._streamed(lambda chat: chat.stream(request))) as deltas:
            async for delta in deltas:
                yield delta

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Chunk]:
        """Continue a text.

        Raises:
            As `stream`.
        """
        async with aclosing(self._streamed(lambda chat: chat.complete(request))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the texts' embeddings.

        Raises:
            As `stream`.
        """

        async def once(chat: RemoteChat) -> AsyncGenerator[Embeddings]:
            yield await chat.embed(texts)

        async with aclosing(self._streamed(once)) as found:
            return await anext(found)

    async def check(self) -> None:
        """Check every endpoint, all at once."""
        async with anyio.create_task_group() as tasks:
            for upstream in self._upstreams:
                tasks.start_soon(self._check, upstream)

    async def watch(self) -> None:
        """Check the endpoints again and again, each for itself: a slow one keeps no other waiting."""
        async with anyio.create_task_group() as tasks:
            for upstream in self._upstreams:
                tasks.start_soon(self._watch, upstream)

    async def drain(self, url: str) -> None:
        """Give an endpoint no more requests, and wait until it works on none."""
        for upstream in self._upstreams:
            if upstream.chat.endpoint.url == url:
                upstream.draining = True
                while upstream.outstanding:
                    upstream.idle = anyio.Event()
                    await upstream.idle.wait()

    def resume(self, url: str) -> None:
        """Give an endpoint requests again."""
        for upstream in self._upstreams:
            if upstream.chat.endpoint.url == url:
                upstream.draining = False

    def status(self) -> tuple[UpstreamStatus, ...]:
        """Return how every endpoint does."""
        return tuple(
            UpstreamStatus(
                url=shown(one.chat.endpoint.url),
                state="draining" if one.draining else "ejected" if self._ejected(one) else "healthy",
                outstanding=one.outstanding,
                failures=one.failures,
                reason=one.reason,
            )
            for one in self._upstreams
        )

    async def close(self) -> None:
        """Close what is connected."""
        for upstream in self._upstreams:
            await upstream.chat.close()

    async def _streamed(self, ask: Callable[[RemoteChat], AsyncGenerator[T]]) -> AsyncGenerator[T]:
        tried: list[tuple[_Upstream, ModelError]] = []
        while (upstream := self._next([one for one, _ in tried])) is not None:
            begun = False
            upstream.outstanding += 1
            try:
                async with aclosing(ask(upstream.chat)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                self._works(upstream)
                return
            except (InvalidRequest, ContextExceeded):
                self._works(upstream)
                raise
            except ModelError as error:
                self._failed(upstream, error)
                if begun:
                    raise
                tried.append((upstream, error))
            finally:
                upstream.outstanding -= 1
                if not upstream.outstanding:
                    upstream.idle.set()
        raise self._nobody(tried)

    def _next(self, tried: Sequence[_Upstream]) -> _Upstream | None:
        """Return the endpoint to ask: a healthy one, or else the one whose ejection ends first."""
        rest = [one for one in self._upstreams if one not in tried and not one.draining]
        healthy = [one for one in rest if not self._ejected(one)]
        if healthy:
            return min(healthy, key=lambda one: one.outstanding)
        # Where no other is left, the request itself finds out whether one works again.
        return min(rest, key=lambda one: one.ejected_until, default=None)

    def _ejected(self, upstream: _Upstream) -> bool:
        return self._clock() < upstream.ejected_until

    def _works(self, upstream: _Upstream) -> None:
        upstream.failures, upstream.ejected_until, upstream.reason = 0, 0.0, ""

    def _failed(self, upstream: _Upstream, error: ModelError) -> None:
        upstream.failures += 1
        pause = min(_FIRST_EJECTION * 2 ** min(upstream.failures - 1, 16), _LONGEST_EJECTION)
        if isinstance(error, Refused) and error.retry_after is not None:
            pause = min(error.retry_after, _LONGEST_EJECTION)
        upstream.ejected_until = self._clock() + pause
        upstream.reason = error.message

    async def _watch(self, upstream: _Upstream) -> Never:
        while True:
            await self._check(upstream)
            await anyio.sleep(self._interval)

    async def _check(self, upstream: _Upstream) -> None:
        try:
            await upstream.chat.check()
        except ModelError as error:
            self._failed(upstream, error)
        else:
            self._works(upstream)

    def _nobody(self, tried: Sequence[tuple[_Upstream, ModelError]]) -> ModelError:
        waits = [error for _, error in tried if isinstance(error, Refused)]
        if waits and len(waits) == len(tried):
            told = [error.retry_after for error in waits if error.retry_after is not None]
            return Refused(
                f"All endpoints of {self.name} are busy.",
                status=waits[0].status,
                retry_after=min(told, default=None),
                hint="Try again later.",
            )
        reasons = " ".join(
            f"{shown(one.chat.endpoint.url)}: {one.reason or 'it is being drained.'}"
            for one in self._upstreams
        )
        return ModelError(f"No endpoint of {self.name} works. {reasons}", hint="Check that one of them runs.")
