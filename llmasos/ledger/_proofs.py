"""Proofs of records: what `check.py` needs to find them in a block of the chain."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llmasos.errors import LedgerError
from llmasos.ledger import check
from llmasos.ledger._contract import TREE_KEY, anchored_topic, appended_topic
from llmasos.ledger._digest import FIRST_HEAD, canonical, session_key
from llmasos.ledger._merkle import Tree
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import kind_number
from llmasos.ledger.chains.port import Chain, Inclusion
from llmasos.store import Store


class NotProvable(LedgerError):
    """There is no proof of a record, or not yet."""


@dataclass(frozen=True)
class Placed:
    """A record, and where on the chain it should be found.

    Args:
        tx_hash: The transaction that carries it; None when none is mined.
        prev: The session's head before it; empty for a record in a tree.
        place: What the event's second topic says: its `seq`, or the number of its tree's first leaf.
        index: Its place in its tree, from 0.
        path: The siblings on the way to the tree's root; None for a record of its own.
    """

    row: RecordRow
    tx_hash: str | None
    prev: bytes = b""
    place: int = 0
    index: int = 0
    path: tuple[bytes, ...] | None = None


class Nodes:
    """Byte strings that a file holds once each, and names by their places."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def place(self, node: bytes) -> int:
        """Return a byte string's place, giving it one if it has none."""
        return self._places.setdefault(node, len(self._places))

    def encoded(self) -> list[str]:
        """Return all byte strings in the order of their places."""
        return [_base64(node) for node in self._places]


async def prove(
    store: Store,
    chain: Chain,
    contract: str,
    numbers: Sequence[int],
    *,
    up_to: int | None = None,
    bodies: bool = True,
) -> dict[str, Any]:
    """Return the proof of records as a document that `check.py` accepts.

    Records of several blocks come with all headers from the first block to the last, so one block's hash is
    all that has to be confirmed. A body that was erased is left out, and its record says so.

    Args:
        numbers: The records' numbers.
        up_to: A later block whose hash somebody outside vouches for; the headers go on to it.
        bodies: Whether the bodies go into the document.

    Raises:
        NotProvable: A record is unknown or not on the chain yet, the block lies before it, or the proof is
            too large.
        ChainError: The chain cannot be reached, or does not give what the proof is made of.
    """
    wanted = sorted(set(numbers))
    if not wanted:
        raise NotProvable("No records were given to prove.", hint="Name an action that has records.")
    placed = await store.run(lambda session: list(place(session, wanted, chain.chain_id, contract)))
    waiting = [str(one.row.number) for one in placed if one.tx_hash is None]
    if waiting:
        raise NotProvable(
            f"Not on the chain yet: record {', '.join(waiting[:5])}{' and others' if waiting[5:] else ''}.",
            hint="Try again when `llmasos ledger status` shows that nothing is pending.",
        )
    found = {tx: await chain.inclusion(tx) for tx in dict.fromkeys(one.tx_hash for one in placed) if tx}
    nodes = Nodes()
    proofs = [_proof(one, found[one.tx_hash or ""], contract, nodes, bodies) for one in placed]
    blocks = {inclusion.block.number for inclusion in found.values()}
    last = max(blocks) if up_to is None else up_to
    if last < max(blocks):
        raise NotProvable(
            f"Block {up_to} does not vouch for the records: the last of them is in block {max(blocks)}.",
            hint="Choose an anchor that was made later, or make one with `llmasos ledger anchor`.",
        )
    document: dict[str, Any] = {"format": check.FORMAT, "chain_id": chain.chain_id, "contract": contract}
    if last > min(blocks):
        document["headers"] = [nodes.place(await _header(chain, n)) for n in range(min(blocks), last + 1)]
    document |= {"nodes": nodes.encoded(), "proofs": proofs}
    _try(document)
    return document


def _try(document: dict[str, Any]) -> None:
    """Check a new proof as its reader will, so that none is handed out that does not hold."""
    data = canonical(document)
    if len(data) > check.LIMIT:
        raise NotProvable(
            f"The proof would have {len(data) >> 20} MB, and at most {check.LIMIT >> 20} are accepted.",
            hint="Prove fewer records at once, or choose a block nearer to them.",
        )
    try:
        check.check(data)
    except check.Forged as error:
        raise NotProvable(
            f"The chain does not prove this: {error}.",
            hint="Run `llmasos ledger verify` to see what is wrong.",
        ) from error


async def _header(chain: Chain, number: int) -> bytes:
    block = await chain.block(number)
    if block is None:
        raise NotProvable(f"The chain has no block {number}.", hint="Choose an anchor of this chain.")
    return block.header


def place(session: Session, numbers: Sequence[int], chain_id: int, contract: str) -> Iterator[Placed]:
    """Find the mined transactions that carry records.

    Raises:
        NotProvable: There is no record with one of the numbers.
    """
    mined = (OutboxRow.chain_id == chain_id, OutboxRow.contract == contract, OutboxRow.state == "confirmed")
    trees: dict[int, Tree] = {}
    for number in numbers:
        row = session.get(RecordRow, number)
        if row is None:
            raise NotProvable(f"There is no record {number}.", hint="`llmasos ledger log` shows the numbers.")
        if row.route == "tree":
            anchors = select(OutboxRow).where(*mined, OutboxRow.call == "anchor", OutboxRow.number <= number)
            anchor = session.scalar(anchors.order_by(OutboxRow.number.desc()).limit(1))
            yield _in_tree(session, row, anchor, trees)
        else:
            carried = (
                select(OutboxRow.tx_hash, OutboxRow.count, RecordRow.seq)
                .join(RecordRow, RecordRow.number == OutboxRow.number)
                .where(*mined, OutboxRow.call.in_(("append", "many")), RecordRow.session == row.session)
                .where(RecordRow.seq <= row.seq)
            )
            newest = session.execute(carried.order_by(RecordRow.seq.desc()).limit(1)).first()
            before = select(RecordRow.head).where(
                RecordRow.session == row.session, RecordRow.seq == row.seq - 1
            )
            prev = bytes.fromhex(session.scalar(before) or FIRST_HEAD.hex())
            reaches = newest is not None and row.seq < newest.seq + newest.count
            yield Placed(row, newest.tx_hash if newest and reaches else None, prev, row.seq)


def _in_tree(session: Session, row: RecordRow, anchor: OutboxRow | None, trees: dict[int, Tree]) -> Placed:
    if anchor is None:
        return Placed(row, None)
    leaves = select(func.count()).select_from(RecordRow).where(RecordRow.route == "tree")
    first = (session.scalar(leaves.where(RecordRow.number < anchor.number)) or 0) + 1
    index = (session.scalar(leaves.where(RecordRow.number < row.number)) or 0) + 1 - first
    if index >= anchor.count:
        return Placed(row, None)
    if first not in trees:
        query = select(RecordRow.digest).where(RecordRow.route == "tree", RecordRow.number >= anchor.number)
        digests = session.scalars(query.order_by(RecordRow.number).limit(anchor.count))
        trees[first] = Tree([bytes.fromhex(digest) for digest in digests])
    return Placed(row, anchor.tx_hash, b"", first, index, tuple(trees[first].path(index)))


def _proof(placed: Placed, inclusion: Inclusion, contract: str, nodes: Nodes, bodies: bool) -> dict[str, Any]:
    row, tree = placed.row, placed.path is not None
    topics = (
        (anchored_topic() if tree else appended_topic())[2:],
        (TREE_KEY if tree else session_key(row.session)).hex(),
        placed.place.to_bytes(32, "big").hex(),
    )
    proof = {
        "record": shown(row, bodies),
        "block": nodes.place(inclusion.block.header),
        "index": inclusion.index,
        "transaction": [nodes.place(node) for node in inclusion.transaction],
        "receipt": [nodes.place(node) for node in inclusion.receipt],
        "log": _log(inclusion, contract, topics, row.number),
    }
    if placed.path is not None:
        return proof | {"tree": {"index": placed.index, "path": _base64(b"".join(placed.path))}}
    return proof | {"kind_number": kind_number(row.kind), "prev": _base64(placed.prev)}


def shown(row: RecordRow, bodies: bool) -> dict[str, Any]:
    """Return a record as a proof shows it, with its body unless that was erased or is not wanted."""
    record = {name: getattr(row, name) for name in (*check.RECORD, "body_digest")}
    record["salt"] = _base64(row.salt)
    if row.body is None or row.body_salt is None:
        return record | {"erased": True}
    return record | {"body": row.body, "body_salt": _base64(row.body_salt)} if bodies else record


def _log(inclusion: Inclusion, contract: str, topics: tuple[str, ...], number: int) -> int:
    try:
        root = check.header(inclusion.block.header)["receipt"]
        receipt = check.trie_value(root, inclusion.index, inclusion.receipt)
        for place, (address, named, _) in enumerate(check.rlp_decode(receipt[1:])[3]):
            if address.hex() == contract[2:] and tuple(topic.hex() for topic in named) == topics:
                return place
    except (check.Forged, ValueError, TypeError, IndexError) as error:
        raise NotProvable(f"The chain gives no proof of record {number}: {error}.") from error
    raise NotProvable(
        f"The transaction of record {number} did not record it.",
        hint="Run `llmasos ledger verify` to see what is wrong.",
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
