"""Proofs of what an explanation rests on, without a chain; a real one is among the integration tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from llmasos.agent.explain.proving import proved
from llmasos.agent.wording import as_info
from llmasos.api import RecordInfo
from llmasos.errors import LedgerError
from llmasos.ledger import Entry, Filter, MemoryLedger, check

pytestmark = pytest.mark.anyio


class Proving(MemoryLedger):
    """Answers with a document, or the error that it is given."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        super().__init__()
        self._answer = answer

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def recorded(ledger: MemoryLedger) -> dict[str, Sequence[RecordInfo]]:
    await ledger.record(Entry(session="s", kind="intent", action="a-1", tool="t"))
    return {"a-1": [as_info(one) for one in await ledger.records(Filter(action="a-1"))], "a-2": []}


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        (MemoryLedger(), {}),
        (Proving(LedgerError("The chain cannot be reached.")), {}),
        (Proving({"format": check.FORMAT, "proofs": []}), {"a-1": False}),
    ],
    ids=["no chain", "not reached", "forged"],
)
async def test_what_cannot_be_proved_is_left_out(ledger: MemoryLedger, expected: dict[str, bool]) -> None:
    assert await proved(ledger, await recorded(ledger)) == expected
