"""A pydantic-ai model whose every reply is streamed; a whole reply is a stream read to its end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from llmasos.models.engines.port import TokenUsage

SAMPLING = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
"""Settings that a request has under the same names."""

_SYSTEM = "llmasos"

Piece = TypeVar("Piece")


class StreamedModel(Model[None], Generic[Piece]):
    """What an agent asks. A subclass says what the pieces of a reply are, and what they say."""

    @property
    def system(self) -> str:
        """The provider's name in traces."""
        return _SYSTEM

    @property
    def provider(self) -> None:
        """There is no provider of pydantic-ai's."""
        return None

    @abstractmethod
    def replies(
        self, messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> AsyncGenerator[Piece]:
        """Stream one reply in pieces.

        Raises:
            ModelError: The model failed, or wrote no usable reply.
        """

    @abstractmethod
    def streamed(
        self, pieces: AsyncGenerator[Piece], parameters: ModelRequestParameters
    ) -> StreamedReply[Piece]:
        """Return a stream of pieces as pydantic-ai's events."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return one reply.

        Raises:
            ModelError: The model failed, or wrote no usable reply.
        """
        async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream one reply; its text comes as it is written."""
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        async with aclosing(self.replies(messages, settings or {}, parameters)) as pieces:
            yield self.streamed(pieces, parameters)


@dataclass
class StreamedReply(StreamedResponse, Generic[Piece]):
    """The stream of one reply, as pydantic-ai's events.

    Args:
        name: The model's name.
        pieces: What comes of the reply; closed when it is read no further.
    """

    name: str
    pieces: AsyncGenerator[Piece]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @abstractmethod
    def read(self, piece: Piece) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of a piece, and keep how the reply ended."""

    def used(self, usage: TokenUsage) -> None:
        """Keep what the reply took."""
        self._usage = RequestUsage(
            input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output
        )

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for piece in self.pieces:
            for event in self.read(piece):
                yield event

    async def close_stream(self) -> None:
        """Stop the reply."""
        await self.pieces.aclose()

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self.name

    @property
    def provider_name(self) -> str | None:
        """The provider's name in traces."""
        return _SYSTEM

    @property
    def provider_url(self) -> str | None:
        """There is no provider of pydantic-ai's."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the reply began."""
        return self.began


def sampling_in(settings: ModelSettings) -> dict[str, Any]:
    """Return what settings say of how tokens are chosen, as fields of a request."""
    given: dict[str, Any] = {name: settings.get(name) for name in SAMPLING}
    given["stop"] = tuple(settings.get("stop_sequences") or ()) or None
    bias = settings.get("logit_bias") or {}
    given["logit_bias"] = tuple((int(token), value) for token, value in bias.items()) or None
    return {name: value for name, value in given.items() if value is not None}
