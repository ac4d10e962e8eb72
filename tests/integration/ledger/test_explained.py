"""Proofs of what an explanation rests on, made and checked on a real chain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmasos.agent.explain.proving import proved
from llmasos.agent.wording import as_info
from llmasos.ledger import ChainLedger, EmbeddedChain, Entry, Filter
from llmasos.migrations import upgrade
from llmasos.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
ACTIONS = ("a-1", "a-2")


class Forger(ChainLedger):
    """Says of the action `a-2` what was never recorded."""

    forging = False

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        proof = await super().prove(numbers, up_to=up_to)
        for each in proof["proofs"]:
            if self.forging and each["record"]["action"] == "a-2":
                each["record"]["tool"] = "another"
        return proof


async def test_a_proof_holds_and_a_forged_one_does_not(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'llmasos.db'}")
    upgrade(store)
    forger = Forger(store, EmbeddedChain(tmp_path))
    async with forger as ledger:
        for action in ACTIONS:
            for kind in ("intent", "outcome"):
                await ledger.record(
                    Entry.model_validate({"session": "s", "kind": kind, "action": action, "tool": "t"})
                )
        assert await ledger.flush(60)
        records = {
            action: [as_info(one) for one in await ledger.records(Filter(action=action))]
            for action in ACTIONS
        }
        assert await proved(ledger, records) == {"a-1": True, "a-2": True}
        pending = [one.model_copy(update={"state": "pending"}) for one in records["a-1"]]
        assert await proved(ledger, {"a-1": pending, "a-3": []}) == {}
        forger.forging = True
        assert await proved(ledger, records) == {"a-1": True, "a-2": False}
    store.close()
