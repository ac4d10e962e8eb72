"""An Ethereum chain on one file: py-evm with one block per transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmasos.errors import LedgerError
from llmasos.ledger._digest import keccak, use_native_code
from llmasos.ledger.node.header import Header, decode_header
from llmasos.ledger.node.receipt import Event, Outcome, bloom_of, encode_receipt
from llmasos.ledger.node.transaction import read
from llmasos.ledger.node.trie import encode

CHAIN_ID = 7_105_645
"""The embedded chain's id: "llm" in ASCII."""

GAS_LIMIT = 30_000_000
FUNDS_WEI = 10**30
BLOB_TYPE = 3
FIRST_NONCE = bytes.fromhex("0000000000000042")


class TransactionRefused(LedgerError):
    """A transaction that the chain does not take; nothing was stored."""


class UnknownBlock(LedgerError):
    """A block that the chain does not have."""


class CallReverted(LedgerError):
    """A call that the contract refused.

    Args:
        data: The ABI-encoded error.
    """

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


class Evm:
    """The only place that knows py-evm: opens or creates the chain, mines and runs calls.

    py-evm runs transactions on the state; the blocks around them are sealed here, because its own way of
    mining writes and checks much that a block of one transaction does not need. A block is one SQLite commit
    with its receipt, its logs and its state. Block times are whole seconds and must grow, so under load they
    run ahead of the clock; records carry their own time.

    Args:
        path: The chain's SQLite file.
        funded: The account that owns all funds in the first block; ignored when the chain exists.
        clock: The time for the next block, in seconds since 1970.

    Raises:
        FileUnusable: The file is not a chain's.
    """

    def __init__(self, path: Path, funded: bytes, clock: Callable[[], float] = time.time) -> None:
        use_native_code()
        from eth.vm.chain_context import ChainContext
        from eth.vm.forks.cancun import CancunVM
        from eth.vm.forks.cancun.state import CancunState
        from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas

        from llmasos.ledger.node.accounts import Accounts
        from llmasos.ledger.node.interpreter import Computation
        from llmasos.ledger.node.store import ChainStore

        self.store = ChainStore(path)
        parts = {"account_db_class": Accounts, "computation_class": Computation}
        state = type("State", (CancunState,), parts)
        self._vm: Any = type("Machine", (CancunVM,), {"_state_class": state})
        self._clock, self._context = clock, ChainContext(CHAIN_ID)
        self._next_base_fee: Any = calculate_expected_base_fee_per_gas
        self._builder: Any = CancunVM.get_transaction_builder()
        # A receipt is asked for soon after its transaction was sent, and needs the sender again.
        self.decode = lru_cache(1024)(self._decode)
        self.header_from = lru_cache(256)(decode_header)
        self._source = _Source(self)
        try:
            newest = self.store.newest()
            self._head = self._create(funded) if newest is None else self._newest_header(newest.header)
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    @property
    def height(self) -> int:
        """The number of the newest block."""
        return int(self._head.block_number)

    def _newest_header(self, encoded: bytes) -> Header:
        try:
            return self.header_from(encoded)
        except (ValueError, TypeError, IndexError) as error:
            raise self.store.unusable("the header of its newest block cannot be read") from error

    def _create(self, funded: bytes) -> Header:
        from eth_typing import Address

        first = Header(gas_limit=GAS_LIMIT, base_fee_per_gas=10**9, extra_data=b"llmasos", nonce=FIRST_NONCE)
        with self.store.block(0):
            state = self._machine(first).state
            state.set_balance(Address(funded), FUNDS_WEI)
            state.persist()
            first = first._replace(state_root=state.state_root)
            self._seal(first, None, None, [])
        return first

    def _decode(self, raw: bytes) -> Any:
        return read(raw) or self._builder.decode(raw)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store the blocks of several transactions in one commit: after it, all are on the disk, or none is.

        Raises:
            sqlite3.Error: None of them could be stored.
        """
        before = self._head
        try:
            with self.store.commit():
                yield
        except BaseException:
            self._head = before
            raise

    def send(self, raw: bytes) -> bytes:
        """Mine one signed transaction into its own block and return its hash.

        A transaction that is on the chain already is not an error: its hash is returned.

        Raises:
            TransactionRefused: It cannot be decoded, is signed for another chain, has a nonce that is not the
                account's next one, or cannot be paid.
        """
        from eth_utils.exceptions import ValidationError
        from rlp.exceptions import RLPException

        digest = keccak(raw)
        if self.store.by_transaction(digest) is not None:
            return digest
        try:
            transaction: Any = self.decode(raw)
            header = self._child()
            with self.store.block(header.block_number):
                machine = self._machine(header)
                state = machine.state
                self._check(transaction, state)
                machine.validate_transaction_against_header(header, transaction)
                done = state.apply_transaction(transaction)
                events = done.get_log_entries()
                gas = machine.finalize_gas_used(transaction, done)
                outcome = Outcome(done.is_success, gas, bloom_of(events))
                receipt = encode_receipt(transaction.type_id or 0, outcome, events)
                state.persist()
                header = header._replace(
                    state_root=state.state_root,
                    transaction_root=root_of_one(raw),
                    receipt_root=root_of_one(receipt),
                    bloom=outcome.bloom,
                    gas_used=gas,
                )
                self._seal(header, raw, receipt, events)
        except (ValidationError, RLPException, ValueError, TypeError, IndexError, RecursionError) as error:
            raise TransactionRefused(f"transaction refused: {error}") from error
        self._head = header
        return digest

    def _seal(
        self, header: Header, raw: bytes | None, receipt: bytes | None, events: Sequence[Event]
    ) -> None:
        from llmasos.ledger.node.store import Mined

        encoded = header.encode()
        digest = None if raw is None else keccak(raw)
        self.store.add(Mined(header.block_number, keccak(encoded), encoded, digest, raw, receipt), events)

    def _check(self, transaction: Any, state: Any) -> None:
        if getattr(transaction, "type_id", None) == BLOB_TYPE:
            raise TransactionRefused("transaction refused: blob transactions are not taken")
        if transaction.chain_id not in (None, CHAIN_ID):
            raise TransactionRefused(
                f"transaction refused: it is for chain {transaction.chain_id}, this is {CHAIN_ID}"
            )
        expected = state.get_nonce(transaction.sender)
        if transaction.nonce != expected:
            word = "low" if transaction.nonce < expected else "high"
            raise TransactionRefused(f"nonce too {word}: next nonce {expected}, tx nonce {transaction.nonce}")

    def _child(self) -> Header:
        """Return the header of the next block, with the state that it begins from."""
        parent = self._head
        return Header(
            block_number=parent.block_number + 1,
            gas_limit=GAS_LIMIT,
            timestamp=max(parent.timestamp + 1, int(self._clock())),
            parent_hash=parent.hash,
            state_root=parent.state_root,
            base_fee_per_gas=self.base_fee,
        )

    @property
    def base_fee(self) -> int:
        """What one unit of gas costs in the next block, in wei."""
        return int(self._next_base_fee(self._head))

    def header(self, block: str) -> Header | None:
        """Return a block's header by tag or hexadecimal number; None when there is none."""
        if block in ("latest", "pending", "safe", "finalized"):
            return self._head
        number = 0 if block == "earliest" else int(block, 16)
        found = self.store.by_number(number) if number < 2**63 else None
        return None if found is None else self.header_from(found.header)

    def state(self, block: str) -> Any:
        """Return the accounts as they are after a block.

        Raises:
            UnknownBlock: There is no such block.
        """
        return self._machine(self._known(block)).state

    def _known(self, block: str) -> Header:
        header = self.header(block)
        if header is None:
            raise UnknownBlock(f"unknown block {block}")
        return header

    def _machine(self, header: Header) -> Any:
        source: Any = self._source
        nothing: Any = None
        return self._vm(header, source, self._context, nothing)

    def call(self, sender: bytes, to: bytes, data: bytes, gas: int, block: str) -> bytes:
        """Run a call without keeping its effects and return its output.

        Raises:
            CallReverted: The contract refused it.
            UnknownBlock: There is no such block.
        """
        from eth.exceptions import Revert, VMError

        machine = self._machine(self._known(block))
        try:
            with machine.in_costless_state() as state:
                done = state.costless_execute_transaction(self._unsigned(machine, sender, to, data, gas))
            done.raise_if_error()
        except Revert as error:
            raise CallReverted("execution reverted", bytes(error.args[0]) if error.args else b"") from error
        except VMError as error:
            raise CallReverted(f"execution failed: {error}", b"") from error
        return bytes(done.output)

    def estimate(self, sender: bytes, to: bytes, data: bytes) -> int:
        """Return the gas that a transaction needs.

        Raises:
            CallReverted: The contract refuses it.
        """
        from eth.estimators import get_gas_estimator

        self.call(sender, to, data, GAS_LIMIT, "latest")
        machine = self._machine(self._head)
        search: Any = get_gas_estimator()
        with machine.in_costless_state() as state:
            return int(search(state, self._unsigned(machine, sender, to, data, GAS_LIMIT)))

    def _unsigned(self, machine: Any, sender: bytes, to: bytes, data: bytes, gas: int) -> Any:
        from eth.vm.spoof import SpoofTransaction

        plain = machine.create_unsigned_transaction(
            nonce=machine.state.get_nonce(sender), gas_price=0, gas=gas, to=to, value=0, data=data
        )
        return SpoofTransaction(plain, from_=sender)


class _Source:
    """What py-evm's machine needs of a chain: its nodes, and the headers before a block."""

    def __init__(self, evm: Evm) -> None:
        self.db: Any = evm.store
        self._evm = evm

    def get_block_header_by_hash(self, digest: bytes) -> Any:
        from eth.exceptions import HeaderNotFound

        found = self._evm.store.by_hash(digest)
        if found is None:
            raise HeaderNotFound(digest.hex())
        return self._evm.header_from(found.header)


def root_of_one(item: bytes) -> bytes:
    """Return the root of the Merkle Patricia trie that holds one item under index 0.

    Source: the yellow paper, appendix D: one leaf, whose path is the two nibbles of `rlp(0)`.
    """
    return keccak(encode([b"\x20\x80", item]))


def to_hex(data: bytes) -> str:
    """Return bytes as JSON-RPC writes them."""
    return "0x" + bytes(data).hex()
