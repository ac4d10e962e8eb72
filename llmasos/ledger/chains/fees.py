"""What is offered for gas, within what the settings allow."""

from __future__ import annotations

from statistics import median_low
from typing import Any

from llmasos.ledger.chains.port import ChainError, Fees
from llmasos.ledger.chains.rpc import RpcClient, RpcError
from llmasos.ledger.chains.values import quantity

GWEI = 10**9
HISTORY_BLOCKS, PERCENTILE = 5, 50


async def market(client: RpcClient) -> Fees:
    """Return what the next block asks for: its base fee as `cap`, and a usual `tip`.

    Raises:
        ChainError: The chain cannot be reached.
        ValueError: Its answer is malformed.
    """
    try:
        history = await client.request("eth_feeHistory", hex(HISTORY_BLOCKS), "latest", [PERCENTILE])
    except RpcError:
        return await _without_history(client)
    rewards: list[Any] = history.get("reward") or []
    tips = [quantity(row[0], 128) for row in rewards if row]
    # The last of the base fees is that of the block to come.
    return Fees(quantity(history["baseFeePerGas"][-1], 128), median_low(tips) if tips else 0)


async def _without_history(client: RpcClient) -> Fees:
    block, tip = await client.batch(
        [("eth_getBlockByNumber", ["latest", False]), ("eth_maxPriorityFeePerGas", [])]
    )
    if isinstance(block, RpcError):
        raise block
    if block.get("baseFeePerGas") is None:
        raise ChainError(
            f"The chain at {client.place} has no base fee, so that it does not take our transactions.",
            hint="Use a chain with EIP-1559, which all since the fork London have.",
        )
    # A block's base fee is at most an eighth above that of the one before it.
    base = quantity(block["baseFeePerGas"], 128) * 9 // 8
    return Fees(base, 0 if isinstance(tip, RpcError) else quantity(tip, 128))


def offer(asked: Fees, limit: int, over: Fees | None) -> Fees:
    """Return what to offer: room for the base fee to double, and never more than the limit.

    Args:
        asked: What `market` returned.
        limit: The most to offer, in wei.
        over: What a transaction that is to be replaced offered.

    Raises:
        ChainError: The base fee, or what replaces the transaction, is above the limit.
    """
    if asked.cap > limit:
        raise _too_dear("Gas costs", asked.cap, limit)
    cap = min(2 * asked.cap + asked.tip, limit)
    fees = Fees(cap, min(asked.tip, cap))
    if over is not None:
        fees = above(over, fees)
        if fees.cap > limit:
            raise _too_dear("To replace a transaction, gas costs", fees.cap, limit)
    return fees


def above(over: Fees, fees: Fees) -> Fees:
    """Return fees that nodes accept in place of others: an eighth more of both, and at least one wei."""
    cap, tip = (
        max(one, -(-other * 9 // 8), other + 1) for one, other in ((fees.cap, over.cap), (fees.tip, over.tip))
    )
    return Fees(max(cap, tip), tip)


def _too_dear(what: str, price: int, limit: int) -> ChainError:
    return ChainError(
        f"{what} {price / GWEI:.6g} gwei, more than the {limit / GWEI:.6g} that LLMASOS_LEDGER__MAX_FEE_GWEI "
        "allows; it is tried again.",
        hint="Wait until gas is cheaper, or raise LLMASOS_LEDGER__MAX_FEE_GWEI.",
    )
