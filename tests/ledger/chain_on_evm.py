"""The embedded chain's machine as a `Chain`, in this process, with its own tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import rlp

from llmasos.ledger._contract import (
    TREE_KEY,
    anchor_call,
    append_call,
    append_many_call,
    created_address,
    deploy_code,
    open_call,
    transaction_hash,
)
from llmasos.ledger._digest import (
    FIRST_HEAD,
    body_digest,
    canonical,
    next_anchored_head,
    next_head,
    record_digest,
    session_key,
)
from llmasos.ledger._merkle import root
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import kind_number
from llmasos.ledger.chains.port import Block, Chain, Inclusion
from llmasos.ledger.node.evm import CHAIN_ID, Evm
from llmasos.store import Base, Store

KEY = bytes(range(1, 33))


def branch(values: list[bytes], index: int) -> tuple[bytes, ...]:
    """Return the nodes from a trie's root to the value at an index."""
    from trie.hexary import HexaryTrie

    trie = HexaryTrie({})
    for place, value in enumerate(values):
        trie[rlp.encode(place)] = value
    nodes: Any = trie.get_proof(rlp.encode(index))  # type: ignore[no-untyped-call]
    return tuple(rlp.encode(node) for node in nodes if node)


class EvmChain:
    """As much of a `Chain` as proofs need, and what fills it with records."""

    chain_id = CHAIN_ID

    def __init__(self, folder: Path, seed: int = 1) -> None:
        from eth_keys.datatypes import PrivateKey

        self.key = PrivateKey(KEY)
        self.account = self.key.public_key.to_address()
        self.evm = Evm(folder / "chain.db", self.key.public_key.to_canonical_address())
        self.store = Store(f"sqlite:///{folder / 'ledger.db'}")
        Base.metadata.create_all(self.store.engine)
        self.nonce, self._seed = 0, seed
        self.hashes: list[str] = []
        self.contract = created_address(self.account, 0)
        self.tree_head, self.leaves = FIRST_HEAD, 0
        self.send("deploy", None, deploy_code())

    @property
    def port(self) -> Chain:
        """This, for those who want a whole chain and use but a part of it."""
        return cast(Chain, self)

    def close(self) -> None:
        self.evm.close()
        self.store.close()

    def send(self, call: str, to: str | None, data: bytes, number: int = 0, count: int = 0) -> str:
        """Mine a transaction, note it in the outbox and return its hash."""
        from eth_account import Account

        fields: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "nonce": self.nonce,
            "gas": 15_000_000,
            "value": 0,
            "data": data,
            "maxFeePerGas": 2 * 10**9,
            "maxPriorityFeePerGas": 0,
            "type": 2,
        }
        if to:
            from eth_utils.address import to_checksum_address

            fields["to"] = to_checksum_address(to)
        raw = bytes(Account.sign_transaction(fields, KEY).raw_transaction)
        self.evm.send(raw)
        row = OutboxRow(
            account=self.account,
            chain_id=CHAIN_ID,
            nonce=self.nonce,
            attempt=0,
            contract=self.contract,
            call=call,
            number=number,
            count=count,
            raw=raw,
            tx_hash=transaction_hash(raw),
            state="confirmed",
        )
        self.nonce += 1
        self.hashes.append(row.tx_hash)
        self.store.run_sync(lambda session: session.add(row))
        return row.tx_hash

    def record(
        self,
        session: str = "s",
        body: Any = None,
        route: str = "session",
        kind: str = "intent",
        action: str = "a1",
    ) -> RecordRow:
        """Write a record, without a transaction."""

        def write(database: Any) -> RecordRow:
            rows = database.query(RecordRow).order_by(RecordRow.number).all()
            same = [row for row in rows if row.session == session]
            number, seq = len(rows) + 1, len(same) + 1
            text = canonical({"n": number} if body is None else body).decode()
            salt, body_salt = (bytes([self._seed, number % 256, n] * 5 + [n]) for n in (1, 2))
            fields: dict[str, Any] = {
                "number": number,
                "session": session,
                "seq": seq,
                "kind": kind,
                "action": action,
                "tool": "shell",
                "at": "2026-01-02T03:04:05.000006+00:00",
                "body_digest": body_digest(text, body_salt).hex(),
                "salt": salt,
            }
            digest = record_digest(**fields)
            prev = bytes.fromhex(same[-1].head) if same else FIRST_HEAD
            head = next_head(session_key(session), seq, prev, digest, kind_number(kind))
            row = RecordRow(
                **fields, body=text, body_salt=body_salt, digest=digest.hex(), head=head.hex(), route=route
            )
            database.add(row)
            return row

        return self.store.run_sync(write)

    def append(self, *rows: RecordRow) -> str:
        """Put consecutive records of one session on the chain, in one transaction."""
        first = rows[0]
        key = session_key(first.session)
        if first.seq == 1:
            self.send("open", self.contract, open_call(key), first.number)
        prev = self._head(first)
        digests = [bytes.fromhex(row.digest) for row in rows]
        kinds = [kind_number(row.kind) for row in rows]
        if len(rows) == 1:
            data = append_call(key, first.seq, prev, digests[0], kinds[0])
            return self.send("append", self.contract, data, first.number, 1)
        data = append_many_call(key, first.seq, prev, digests, kinds)
        return self.send("many", self.contract, data, first.number, len(rows))

    def anchor(self, *rows: RecordRow) -> str:
        """Put the root over records on the chain."""
        if not self.leaves:
            self.send("open", self.contract, open_call(TREE_KEY), 0)
        first, top = self.leaves + 1, root([bytes.fromhex(row.digest) for row in rows])
        data = anchor_call(TREE_KEY, first, self.tree_head, top, len(rows))
        tx_hash = self.send("anchor", self.contract, data, rows[0].number, len(rows))
        self.tree_head = next_anchored_head(TREE_KEY, first, self.tree_head, top, len(rows))
        self.leaves += len(rows)
        return tx_hash

    def _head(self, row: RecordRow) -> bytes:
        query = {"session": row.session, "seq": row.seq - 1}
        before = self.store.run_sync(lambda database: database.query(RecordRow).filter_by(**query).first())
        return bytes.fromhex(before.head) if before else FIRST_HEAD

    def _block(self, header: Any) -> Block:
        data = rlp.encode(header)
        return Block(
            header.block_number,
            "0x" + header.hash.hex(),
            "0x" + header.parent_hash.hex(),
            header.timestamp,
            data,
        )

    async def block(self, number: int | None = None) -> Block | None:
        header = self.evm.header("latest" if number is None else hex(number))
        return self._block(header) if header else None

    async def inclusion(self, tx_hash: str) -> Inclusion:
        mined = self.evm.store.by_transaction(bytes.fromhex(tx_hash[2:]))
        assert mined is not None and mined.tx is not None and mined.receipt is not None
        nodes = branch([mined.tx], 0), branch([mined.receipt], 0)
        return Inclusion(self._block(self.evm.header_from(mined.header)), 0, *nodes)
