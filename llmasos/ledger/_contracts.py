"""Which contract holds the records of an account, and whether it is there."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmasos.ledger import _contract
from llmasos.ledger._contract import TREE_KEY
from llmasos.ledger._digest import session_key
from llmasos.ledger._queue import Queue
from llmasos.ledger._reorg import common_ancestor
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger.chains.port import Chain, ChainRefused
from llmasos.store import Store


async def find_contract(store: Store, chain: Chain) -> str:
    """Return the contract that the chain's account writes to; empty when it has none.

    The database may be an old copy, from before the keys were changed: then it is one that an account, which
    is known to the database, handed to one that is not.
    """
    account, chain_id = chain.account, chain.chain_id
    if known := await store.read(lambda work: current_contract(work, chain_id, account)):
        return known
    for contract, key in await store.read(lambda work: _deployed(work, chain_id)):
        head = await chain.block()
        if head is not None and await chain.has_code(contract):
            (state,) = await chain.sessions(contract, [key], head)
            if state.owner == account:
                return contract
    return ""


async def is_gone(store: Store, chain: Chain, queue: Queue, mined: int) -> bool:
    """Return whether the contract is not there and cannot come back, so that another is needed.

    Args:
        mined: The account's number of mined transactions.

    Raises:
        ChainRefused: The chain is not the one that the records were written to.
    """
    if not queue.contract or await chain.has_code(queue.contract):
        return False
    deployment = await store.read(queue.deployment)
    if deployment is None:
        return False
    account, nonce, state, tx_hash = deployment
    if account != queue.account:
        # The account before has nothing on a chain that begins anew, so its bytes are of no use there.
        return not mined or await common_ancestor(chain, await store.read(queue.blocks)) == 0
    if state == "confirmed" and nonce < mined and await chain.receipts([tx_hash]) == [None]:
        raise ChainRefused(
            "The chain is not the one that these records were written to: it lacks their contract.",
            hint="Put the chain's file back, or move it away: all records are then sent again.",
        )
    return False


def current_contract(session: Session, chain_id: int, account: str) -> str:
    """Return the contract that an account writes to; empty when it has none.

    It is the one that it deployed last, or the one that was handed to it with a change of keys.
    """
    row = OutboxRow
    deployed = select(row.contract).where(row.chain_id == chain_id, row.call == "deploy")
    deployed = deployed.where(row.state.in_(("pending", "confirmed")))
    own = session.scalar(deployed.where(row.account == account).order_by(row.nonce.desc()).limit(1))
    if own is not None:
        return own
    handed = select(row.contract, row.raw).where(row.chain_id == chain_id, row.call == "rotate")
    for contract, raw in session.execute(handed):
        to = _contract.rotated_to(_contract.transaction(raw).data)
        if to == account and session.scalar(deployed.where(row.contract == contract).limit(1)) is not None:
            return contract
    return ""


def _deployed(session: Session, chain_id: int) -> list[tuple[str, bytes]]:
    """Return the contracts that are there, the newest first, each with the key of a session in it."""
    row = OutboxRow
    opened = select(row.contract, RecordRow.session, RecordRow.route, func.max(row.number))
    opened = opened.join(RecordRow, RecordRow.number == row.number).group_by(row.contract)
    opened = opened.where(row.chain_id == chain_id, row.call == "open", row.state == "confirmed")
    rows = session.execute(opened.order_by(func.max(row.number).desc()))
    return [
        (contract, TREE_KEY if route == "tree" else session_key(name)) for contract, name, route, _ in rows
    ]
