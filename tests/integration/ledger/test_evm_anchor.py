"""Anchors on other chains: anvil and our own node."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.ledger.anchors.evm import EvmAnchor
from llmasos.ledger.anchors.port import AnchorMismatch, Statement
from llmasos.ledger.chains.anvil import AnvilChain
from llmasos.ledger.chains.embedded import EmbeddedChain

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def stated(records: int = 1) -> Statement:
    return Statement(
        chain_id=7,
        contract="0x" + "22" * 20,
        block=records,
        block_hash="0x" + "cd" * 32,
        records=records,
        history="ab" * 32,
        at=f"2026-01-02T03:04:0{records}.000005+00:00",
    )


@pytest.mark.parametrize("kind", [AnvilChain, EmbeddedChain])
async def test_a_real_chain_holds_statements(kind: type[AnvilChain | EmbeddedChain], tmp_path: Path) -> None:
    chain = kind(tmp_path)
    anchor = EvmAnchor("evm:1@http://127.0.0.1", chain)
    try:
        assert await anchor.digests() == []
        receipts = [await anchor.put(stated(number)) for number in (1, 2)]
        assert await anchor.put(stated(1)) == receipts[0]
        assert await anchor.digests() == [stated(1).digest, stated(2).digest]
        assert await anchor.check(stated(2), receipts[1]) > stated(1).at
        for about, receipt in [(stated(1), receipts[1]), (stated(3), receipts[0])]:
            with pytest.raises(AnchorMismatch, match="does not hold"):
                await anchor.check(about, receipt)
    finally:
        await anchor.close()


async def test_another_program_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    anchor = EvmAnchor("evm:1@http://127.0.0.1", EmbeddedChain(tmp_path))
    receipt = await anchor.put(stated(1))
    await anchor.close()
    again = EvmAnchor("evm:1@http://127.0.0.1", EmbeddedChain(tmp_path))
    try:
        await again.put(stated(2))
        assert await again.digests() == [stated(1).digest, stated(2).digest]
        assert await again.check(stated(1), receipt)
    finally:
        await again.close()
