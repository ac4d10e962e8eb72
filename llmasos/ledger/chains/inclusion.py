"""The proof that a transaction and its receipt are in a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from llmasos.ledger._contract import transaction_hash
from llmasos.ledger.chains import body
from llmasos.ledger.chains.header import block_shown, roots
from llmasos.ledger.chains.port import Block, ChainError, Inclusion, Receipt
from llmasos.ledger.chains.rpc import RpcClient, RpcError
from llmasos.ledger.chains.values import octets


class Uncommitted(Exception):
    """A block's header commits to other contents than the node says."""

    def __init__(self, block: Block, what: str) -> None:
        super().__init__(what)
        self.block = block


async def included(client: RpcClient, tx_hash: str, mined: Receipt) -> Inclusion:
    """Return the proof that a mined transaction is in its block.

    Args:
        mined: Its receipt, which names the block.

    Raises:
        ChainError: The node does not give what the proof is made of.
        Uncommitted: What it gives is not what the block's header commits to.
    """
    number = hex(mined.block)
    found = await client.request("eth_getBlockByNumber", number, True)
    with client.reading("eth_getBlockByNumber"):
        block = block_shown(found)
        hashes = [item["hash"] for item in found["transactions"]]
        if block.number != mined.block or block.hash != mined.block_hash:
            raise ChainError(f"The chain's block {mined.block} was replaced while it was read.")
        transactions = await _raw_transactions(client, found["transactions"])
    told = await _block_receipts(client, number, hashes)
    with client.reading("eth_getBlockReceipts"):
        receipts = [body.raw_receipt(item) for item in told]
    of_transactions, of_receipts = await anyio.to_thread.run_sync(
        lambda: (body.trie_of(transactions), body.trie_of(receipts))
    )
    committed = roots(block)
    if of_transactions.root != committed.transactions:
        raise Uncommitted(block, "its transactions are not those of the header")
    if of_receipts.root != committed.receipts:
        raise Uncommitted(block, "its receipts are not those of the header")
    places = {transaction_hash(raw): place for place, raw in enumerate(transactions)}
    if tx_hash not in places:
        raise Uncommitted(block, f"it does not hold the transaction {tx_hash}")
    index = places[tx_hash]
    key = body.place_key(index)
    return Inclusion(block, index, of_transactions.proof(key), of_receipts.proof(key))


async def _raw_transactions(client: RpcClient, items: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return a block's transactions as bytes, asking for those of types that only the chain knows."""
    foreign = [item["hash"] for item in items if body.type_of(item) not in body.KNOWN_TYPES]
    given = await client.every([("eth_getRawTransactionByHash", [tx_hash]) for tx_hash in foreign])
    raws = dict(zip(foreign, map(octets, given), strict=True))
    return [raws.get(item["hash"]) or body.raw_transaction(item) for item in items]


async def _block_receipts(client: RpcClient, number: str, tx_hashes: Sequence[str]) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = await client.request("eth_getBlockReceipts", number)
    except RpcError as error:
        if not error.unknown_method:
            raise
        found = await client.every([("eth_getTransactionReceipt", [item]) for item in tx_hashes])
    return found
