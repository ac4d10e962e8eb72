"""Logs of the audit log, asked for in ranges that the node can bear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from llmasos.ledger import _contract
from llmasos.ledger._contract import Logged
from llmasos.ledger.chains.port import ChainRefused
from llmasos.ledger.chains.rpc import LIES, RpcClient, RpcError
from llmasos.ledger.chains.transport import TooLarge
from llmasos.ledger.chains.values import octets, quantity, shown

BLOCKS = 2_000


async def logged(
    client: RpcClient, contract: str, first: int, last: int, key: bytes | None
) -> AsyncIterator[Logged]:
    """Return what a contract logged in blocks `first` to `last`, oldest first, of one session or of all.

    Raises:
        ChainError: The node cannot be reached, or refuses even one block.
        ChainRefused: It gives logs that were not asked for, or in another order.
    """
    kinds = [_contract.appended_topic(), _contract.anchored_topic()]
    topics: list[Any] = [kinds] if key is None else [kinds, shown(key)]
    size, start = BLOCKS, first
    while start <= last:
        end = min(start + size - 1, last)
        query = {"address": contract, "topics": topics, "fromBlock": hex(start), "toBlock": hex(end)}
        try:
            found = await client.request("eth_getLogs", query)
        except (RpcError, TooLarge):
            # Nodes refuse what is too much for them with all kinds of codes and words.
            if end == start:
                raise
            size = (end - start + 1) // 2
            continue
        with client.reading("eth_getLogs"):
            logs = list(_checked(found, contract, kinds, key, start, end))
        for log in logs:
            yield log
        start, size = end + 1, min(2 * size, BLOCKS)


def _checked(
    logs: list[dict[str, Any]], contract: str, kinds: list[str], key: bytes | None, first: int, last: int
) -> Iterator[Logged]:
    """Return logs decoded, after seeing that they are what was asked for."""
    before = (0, -1)
    for log in logs:
        place = quantity(log["blockNumber"], 64), quantity(log["logIndex"], 64)
        topics = [shown(octets(topic, 32)) for topic in log["topics"]]
        asked = (
            shown(octets(log["address"], 20)) == contract
            and topics[0] in kinds
            and (key is None or topics[1] == shown(key))
            and first <= place[0] <= last
            and place > before
            and not log.get("removed")
        )
        if not asked:
            raise ChainRefused("The chain gave logs that were not asked for, or out of order.", hint=LIES)
        before = place
        tx_hash = shown(octets(log["transactionHash"], 32))
        yield _contract.logged({**log, "topics": topics, "transactionHash": tx_hash})
