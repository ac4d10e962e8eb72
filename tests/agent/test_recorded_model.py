"""Turns' calls of models that are cut off: who pays for what was done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel

from llmasos.agent.metering import Used, metered
from llmasos.agent.recorded_model import RecordedModel
from llmasos.errors import LedgerError, ModelError
from llmasos.ledger import MemoryLedger
from llmasos.models import Origin
from llmasos.models.engines.port import TokenUsage

pytestmark = pytest.mark.anyio
ASKED: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("How are you?" * 10)])]
HERE = Origin(model="m", weights_sha256="ab" * 32)
ELSEWHERE = Origin(model="m", endpoint="example.org")


class Paid:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    async def admit(self) -> None:
        return

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        self.calls.append((model, input_tokens, output_tokens))


async def cut(origin: Origin, *, told: TokenUsage | None = None, error: Exception | None = None) -> Paid:
    """Cut a call off after its first words and return what was paid."""
    paid, used, came = Paid(), Used(), anyio.Event()
    used.add(TokenUsage(input=1000, output=1000))

    async def words(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
        if told is not None:
            used.add(told)
        yield "hello there"
        came.set()
        if error is not None:
            raise error
        await anyio.sleep_forever()

    model = RecordedModel(
        FunctionModel(stream_function=words), origin, MemoryLedger(), session="s", turn="t", used=used
    )

    async def ask() -> None:
        async with model.request_stream(ASKED, None, ModelRequestParameters()) as stream:
            async for _ in stream:
                pass

    with metered(paid):
        if error is not None:
            with pytest.raises(type(error)):
                await ask()
            return paid
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await came.wait()
            tasks.cancel_scope.cancel()
    return paid


async def test_what_engines_did_is_paid_for() -> None:
    told = TokenUsage(input=70, output=8)
    assert (await cut(HERE, told=told)).calls == [("m", 70, 8)]
    assert (await cut(HERE)).calls == []
    assert (await cut(HERE, told=told, error=ModelError("It broke."))).calls == []


async def test_what_cannot_be_recorded_was_used_all_the_same() -> None:
    paid, ledger = Paid(), MemoryLedger(refuse=LedgerError("The disk is full."))

    async def words(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
        yield "hello there"

    model = RecordedModel(FunctionModel(stream_function=words), HERE, ledger, session="s", turn="t")
    with metered(paid), pytest.raises(LedgerError):
        async with model.request_stream(ASKED, None, ModelRequestParameters()) as stream:
            async for _ in stream:
                pass
    assert len(paid.calls) == 1


async def test_what_runs_elsewhere_is_estimated() -> None:
    ((model, read, written),) = (await cut(ELSEWHERE)).calls
    assert model == "m" and read > 30 and 0 < written < read
