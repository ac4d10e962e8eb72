"""An Ethereum chain on one file: py-evm with one block per transaction."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from llmasos.errors import LedgerError
from llmasos.ledger._digest import use_native_code

CHAIN_ID = 7_105_645
"""The embedded chain's id: "llm" in ASCII."""

GAS_LIMIT = 30_000_000
FUNDS_WEI = 10**30


class TransactionRefused(LedgerError):
    """A transaction that the chain does not take; nothing was stored."""


class CallReverted(LedgerError):
    """A call that the contract refused.

    Args:
        data: The ABI-encoded error.
    """

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


class Evm:
    """The only place that knows py-evm: opens or creates the chain, mines and answers questions.

    Blocks hold one transaction each, because py-evm's cost grows with the square of their number. A block,
    its receipts and its logs are one SQLite commit. Block times are whole seconds and must grow, so
    under load they run ahead of the clock; records carry their own time.

    Args:
        path: The chain's SQLite file.
        funded: The account that owns all funds in the first block; ignored when the chain exists.
    """

    def __init__(self, path: Path, funded: bytes) -> None:
        use_native_code()
        from eth.chains.base import MiningChain
        from eth.db.atomic import AtomicDB
        from eth.exceptions import CanonicalHeadNotFound
        from eth.vm.forks.cancun import CancunVM

        from llmasos.ledger.node.keyvalue import SQLiteDB

        self._chain_class = MiningChain.configure(
            __name__="EmbeddedChain", vm_configuration=((0, CancunVM),), chain_id=CHAIN_ID
        )
        self._builder = CancunVM.get_transaction_builder()
        self._receipts = CancunVM.get_receipt_builder()
        self._db = SQLiteDB(path)
        try:
            self._chain: Any = self._chain_class(AtomicDB(self._db))
        except CanonicalHeadNotFound:
            state: Any = {funded: {"balance": FUNDS_WEI, "nonce": 0, "code": b"", "storage": {}}}
            first: Any = {
                "gas_limit": GAS_LIMIT,
                "timestamp": 0,
                "coinbase": bytes(20),
                "extra_data": b"llmasos",
            }
            with self._db.transaction():
                self._chain = self._chain_class.from_genesis(AtomicDB(self._db), first, state)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def height(self) -> int:
        """The number of the newest block."""
        return int(self._chain.get_canonical_head().block_number)

    def send(self, raw: bytes) -> bytes:
        """Mine one signed transaction into its own block and return its hash.

        A transaction that is on the chain already is not an error: its hash is returned.

        Raises:
            TransactionRefused: It cannot be decoded, is signed for another chain, has a nonce that is not the
                account's next one, or cannot be paid.
        """
        from eth.db.atomic import AtomicDB
        from eth_utils.exceptions import ValidationError
        from rlp.exceptions import RLPException  # type: ignore[import-untyped]

        try:
            transaction = self._builder.decode(raw)
            if self.transaction(transaction.hash) is not None:
                return bytes(transaction.hash)
            expected = self.state("latest").get_nonce(transaction.sender)
            if transaction.nonce != expected:
                word = "low" if transaction.nonce < expected else "high"
                raise TransactionRefused(
                    f"nonce too {word}: next nonce {expected}, tx nonce {transaction.nonce}"
                )
            with self._db.transaction():
                mined, receipts, _ = self._chain.mine_all([transaction])
                self._store_logs(mined.imported_block, transaction, receipts[0])
        except (ValidationError, RLPException, ValueError, TypeError, IndexError) as error:
            self._chain = self._chain_class(AtomicDB(self._db))
            raise TransactionRefused(f"transaction refused: {error}") from error
        return bytes(transaction.hash)

    def _store_logs(self, block: Any, transaction: Any, receipt: Any) -> None:
        for position, log in enumerate(receipt.logs):
            entry = {
                "address": to_hex(log.address),
                "topics": [to_hex(topic.to_bytes(32, "big")) for topic in log.topics],
                "data": to_hex(log.data),
                "blockNumber": hex(block.number),
                "blockHash": to_hex(block.hash),
                "blockTimestamp": hex(block.header.timestamp),
                "transactionHash": to_hex(transaction.hash),
                "transactionIndex": "0x0",
                "logIndex": hex(position),
                "removed": False,
            }
            self._db.connection.execute(
                "INSERT INTO logs VALUES (?, ?, ?, ?)",
                (block.number, position, log.address, json.dumps(entry)),
            )

    def header(self, block: str) -> Any | None:
        """Return a block's header by tag or hexadecimal number; None when there is none."""
        from eth.exceptions import HeaderNotFound

        if block in ("latest", "pending", "safe", "finalized"):
            return self._chain.get_canonical_head()
        number = 0 if block == "earliest" else int(block, 16)
        try:
            return self._chain.get_canonical_block_header_by_number(number)
        except HeaderNotFound:
            return None

    def header_by_hash(self, digest: bytes) -> Any | None:
        """Return a block's header; None when there is none."""
        from eth.exceptions import HeaderNotFound

        try:
            return self._chain.get_block_header_by_hash(digest)
        except HeaderNotFound:
            return None

    def transactions(self, header: Any) -> list[Any]:
        """Return the transactions of a block."""
        return list(self._chain.get_block_by_header(header).transactions)

    def state(self, block: str) -> Any:
        """Return the accounts as they are after a block.

        Raises:
            TransactionRefused: There is no such block.
        """
        header = self.header(block)
        if header is None:
            raise TransactionRefused(f"unknown block {block}")
        return self._chain.get_vm(header).state

    def transaction(self, digest: bytes) -> tuple[Any, Any, Any] | None:
        """Return a mined transaction with its receipt and its block's header; None when it is not mined."""
        from eth.exceptions import TransactionNotFound

        try:
            number, index = self._chain.get_canonical_transaction_index(digest)
        except TransactionNotFound:
            return None
        return (
            self._chain.get_canonical_transaction_by_index(number, index),
            self._chain.get_transaction_receipt_by_index(number, index),
            self._chain.get_canonical_block_header_by_number(number),
        )

    def logs(self, first: int, last: int, addresses: list[bytes]) -> list[dict[str, Any]]:
        """Return the event logs of blocks `first` to `last`, both included, as JSON-RPC shows them."""
        where, values = "block BETWEEN ? AND ?", [first, last, *addresses]
        if addresses:
            where += f" AND address IN ({','.join('?' * len(addresses))})"
        query = f"SELECT entry FROM logs WHERE {where} ORDER BY block, position"  # noqa: S608 - holds placeholders only
        return [json.loads(entry) for (entry,) in self._db.connection.execute(query, values)]

    def call(self, sender: bytes, to: bytes, data: bytes, gas: int, block: str) -> bytes:
        """Run a call without keeping its effects and return its output.

        Raises:
            CallReverted: The contract refused it.
        """
        from eth.exceptions import Revert, VMError

        header = self.header(block)
        if header is None:
            raise TransactionRefused(f"unknown block {block}")
        try:
            return bytes(self._chain.get_transaction_result(self._unsigned(sender, to, data, gas), header))
        except Revert as error:
            raise CallReverted("execution reverted", bytes(error.args[0]) if error.args else b"") from error
        except VMError as error:
            raise CallReverted(f"execution failed: {error}", b"") from error

    def estimate(self, sender: bytes, to: bytes, data: bytes) -> int:
        """Return the gas that a transaction needs.

        Raises:
            CallReverted: The contract refuses it.
        """
        self.call(sender, to, data, GAS_LIMIT, "latest")
        head = self._chain.get_canonical_head()
        return int(self._chain.estimate_gas(self._unsigned(sender, to, data, GAS_LIMIT), head))

    def _unsigned(self, sender: bytes, to: bytes, data: bytes, gas: int) -> Any:
        from eth.vm.spoof import SpoofTransaction

        plain = self._chain.create_unsigned_transaction(
            nonce=self.state("latest").get_nonce(sender), gas_price=0, gas=gas, to=to, value=0, data=data
        )
        return SpoofTransaction(plain, from_=sender)

    @property
    def base_fee(self) -> int:
        """What one unit of gas costs in the next block, in wei."""
        head = self._chain.get_canonical_head()
        return int(self._chain.create_header_from_parent(head, timestamp=int(time.time())).base_fee_per_gas)


def to_hex(data: bytes) -> str:
    """Return bytes as JSON-RPC writes them."""
    return "0x" + bytes(data).hex()
