"""Gas: what is offered for it, and how much of it a call may use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmasos.ledger import _contract
from llmasos.ledger.chains.fees import GWEI, above, market, offer
from llmasos.ledger.chains.gas import gas_limit
from llmasos.ledger.chains.port import ChainError, Fees
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import CallTransport

pytestmark = pytest.mark.anyio


def node(**answers: Any) -> RpcClient:
    def one(question: Any) -> Any:
        if question["method"] not in answers:
            return {"id": question["id"], "error": {"code": -32601, "message": "unknown"}}
        return {"id": question["id"], "result": answers[question["method"]]}

    async def exchange(question: bytes) -> bytes:
        asked = json.loads(question)
        return json.dumps([one(item) for item in asked] if isinstance(asked, list) else one(asked)).encode()

    return RpcClient(CallTransport(exchange))


async def test_the_market_is_the_next_base_fee_and_the_median_tip() -> None:
    history = {"baseFeePerGas": ["0x1", "0x64"], "reward": [["0x9"], ["0x3"], ["0x5"], []]}
    assert await market(node(eth_feeHistory=history)) == Fees(100, 5)
    assert await market(node(eth_feeHistory={"baseFeePerGas": ["0x64"], "reward": None})) == Fees(100, 0)
    assert await market(node(eth_feeHistory={"baseFeePerGas": ["0x0"]})) == Fees(0, 0)


async def test_a_node_without_a_history_of_fees_is_asked_otherwise() -> None:
    block = {"baseFeePerGas": hex(800)}
    assert await market(node(eth_getBlockByNumber=block)) == Fees(900, 0)
    assert await market(node(eth_getBlockByNumber=block, eth_maxPriorityFeePerGas="0x2")) == Fees(900, 2)
    with pytest.raises(ChainError, match="no base fee"):
        await market(node(eth_getBlockByNumber={}))


def test_an_offer_leaves_room_and_keeps_the_limit() -> None:
    assert offer(Fees(100, 7), 1000, None) == Fees(207, 7)
    assert offer(Fees(100, 7), 150, None) == Fees(150, 7)
    assert offer(Fees(100, 10**12), 150, None) == Fees(150, 150)
    assert offer(Fees(100, 7), 100, None) == Fees(100, 7)
    assert offer(Fees(0, 0), 100, None) == Fees(0, 0)
    with pytest.raises(
        ChainError, match=r"Gas costs 101\.5 gwei, more than the 100 that LLMASOS_LEDGER__MAX_FEE_GWEI"
    ):
        offer(Fees(101_500_000_000, 0), 100 * GWEI, None)


@pytest.mark.parametrize("over", [Fees(0, 0), Fees(1, 1), Fees(800, 80), Fees(801, 7), Fees(10**11, 10**10)])
def test_what_replaces_a_transaction_offers_an_eighth_more_of_both(over: Fees) -> None:
    for now in (Fees(100, 7), Fees(10**12, 10**11), Fees(0, 0)):
        fees = above(over, now)
        assert fees.cap * 8 >= over.cap * 9 and fees.tip * 8 >= over.tip * 9
        assert fees.cap > over.cap and fees.tip > over.tip and fees.tip <= fees.cap
        assert fees.cap >= now.cap and fees.tip >= now.tip
    with pytest.raises(ChainError, match="To replace a transaction, gas costs"):
        offer(Fees(0, 0), over.cap, over)


def test_a_limit_grows_with_what_is_sent_and_with_nothing_else() -> None:
    key, word = bytes(32), b"\x11" * 32
    one = _contract.append_call(key, 1, word, word, 1)
    assert gas_limit("0x", one) == gas_limit("0x", one) < 130_000
    many = [_contract.append_many_call(key, 1, word, [word] * n, [1] * n) for n in (1, 100, 1000)]
    limits = [gas_limit("0x", data) for data in many]
    assert limits == sorted(limits) and limits[1] < 100 * 10_000
    # No chain takes more than 16.7 million in one transaction since Osaka (EIP-7825).
    assert limits[2] < 2**24
    assert gas_limit(None, _contract.deploy_code()) < 1_500_000
    assert gas_limit("0x", b"") > 21_000
    # The floor for data counts where little is executed.
    assert gas_limit("0x", b"\xff" * 100_000) > 21_000 + 40 * 100_000
