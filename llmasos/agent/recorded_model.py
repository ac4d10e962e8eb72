"""A model whose every call is recorded, after its reply and before anything that the reply asks for."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from llmasos.agent.approvals import sha256_json
from llmasos.agent.metering import charge
from llmasos.agent.recording import record
from llmasos.errors import LedgerError
from llmasos.ledger import Ledger
from llmasos.models import Origin

_PARTS = ("kind", "instructions", "parts")


class RecordedModel(WrapperModel):
    """Passes requests on unchanged, and records each.

    Args:
        model: What is asked.
        origin: Where its replies come from.
        ledger: Where calls are recorded.
        session: The session that asks.
        turn: The turn that asks.
    """

    def __init__(self, model: Model[Any], origin: Origin, ledger: Ledger, *, session: str, turn: str) -> None:
        super().__init__(model)
        self._origin = origin
        self._ledger = ledger
        self._session = session
        self._turn = turn

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return one reply, recorded."""
        began, sent = time.monotonic(), sha256_messages(messages)
        try:
            response = await super().request(messages, model_settings, model_request_parameters)
        except BaseException as error:
            await self._record_failure(sent, began, error)
            raise
        await self._record(sent, began, response)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream one reply, recorded when it has come to its end."""
        began, sent = time.monotonic(), sha256_messages(messages)
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                yield stream
        except BaseException as error:
            await self._record_failure(sent, began, error)
            raise
        await self._record(sent, began, stream.get())

    async def _record(self, sent: str, began: float, response: ModelResponse) -> None:
        with anyio.CancelScope(shield=True):
            await self._write(
                sent,
                began,
                status="ok",
                reply_sha256=sha256_messages([response]),
                input_tokens=response.usage.input_tokens,
                cached_tokens=response.usage.cache_read_tokens,
                output_tokens=response.usage.output_tokens,
            )
            await charge(self._origin.model, response.usage.input_tokens, response.usage.output_tokens)

    async def _record_failure(self, sent: str, began: float, error: BaseException) -> None:
        """Record a call without a reply; nothing follows from it, so it may go unrecorded."""
        cancelled = isinstance(error, anyio.get_cancelled_exc_class() | GeneratorExit)
        with anyio.CancelScope(shield=True), suppress(LedgerError):
            await self._write(
                sent,
                began,
                status="cancelled" if cancelled else "failed",
                error="" if cancelled else type(error).__name__,
            )

    async def _write(self, sent: str, began: float, **facts: Any) -> None:
        await record(
            self._ledger,
            self._session,
            "model",
            turn=self._turn,
            **self._origin.fields(),
            messages_sha256=sent,
            milliseconds=round((time.monotonic() - began) * 1000),
            **facts,
        )


def sha256_messages(messages: Sequence[ModelMessage]) -> str:
    """Return the SHA-256 of what messages say, as turns hold it: kind, instructions, parts."""
    plain = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    return sha256_json([{name: message.get(name) for name in _PARTS} for message in plain])
