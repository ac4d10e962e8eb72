"""The accounts that py-evm runs a transaction on, kept plainly until the block is sealed."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmasos.ledger._digest import keccak
from llmasos.ledger.node.trie import BLANK_ROOT, decode, encode, walk, written

EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")

_ABSENT = object()


class Account(NamedTuple):
    """An account as the state trie holds it."""

    nonce: int = 0
    balance: int = 0
    storage_root: bytes = BLANK_ROOT
    code_hash: bytes = EMPTY_CODE


class Accounts:
    """The state of one block, in place of py-evm's own `AccountDB`, which is several times as slow.

    A block here has one transaction: whatever it changes is kept in dictionaries, with a list of what was
    there before to go back by, and reaches the tries once, in `persist`.

    Args:
        db: The nodes and codes of earlier states.
        state_root: The state to begin from.
    """

    def __init__(self, db: Any, state_root: bytes = BLANK_ROOT) -> None:
        self._db, self.state_root = db, state_root
        self._accounts: dict[bytes, Account | None] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {}
        self._wiped: dict[bytes, bool] = {}
        self._warm: dict[Any, bool] = {}
        self._stored: dict[Any, Any] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._marks: dict[int, int] = {}

    def _set(self, where: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((where, key, where.get(key, _ABSENT)))
        where[key] = value

    def record(self) -> int:
        """Return a mark to go back to."""
        # py-evm's journal of transient storage shares our marks, and has taken one of its own.
        from eth.db.journal import get_next_checkpoint

        mark = int(get_next_checkpoint())
        self._marks[mark] = len(self._undo)
        return mark

    def discard(self, mark: int) -> None:
        """Go back to a mark."""
        size = self._marks[mark]
        while len(self._undo) > size:
            where, key, before = self._undo.pop()
            if before is _ABSENT:
                del where[key]
            else:
                where[key] = before

    def commit(self, mark: int) -> None:
        """Keep what came after a mark, unless an earlier one is gone back to."""

    def lock_changes(self) -> None:
        """Begin a transaction, of which each state has one."""

    def _read(self, address: bytes) -> Account | None:
        """Return an account as it was before the block."""
        if address not in self._stored:
            _, encoded = walk(self._db, self.state_root, keccak(address))
            found = None
            if encoded:
                nonce, balance, root, code = decode(encoded)
                found = Account(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), root, code)
            self._stored[address] = found
        known: Account | None = self._stored[address]
        return known

    def _get(self, address: bytes) -> Account | None:
        return self._accounts[address] if address in self._accounts else self._read(address)

    def _shown(self, address: bytes) -> Account:
        return self._get(address) or Account()

    def _change(self, address: bytes, **fields: Any) -> None:
        self._set(self._accounts, address, self._shown(address)._replace(**fields))

    def get_balance(self, address: bytes) -> int:
        return self._shown(address).balance

    def set_balance(self, address: bytes, balance: int) -> None:
        self._change(address, balance=balance)

    def get_nonce(self, address: bytes) -> int:
        return self._shown(address).nonce

    def set_nonce(self, address: bytes, nonce: int) -> None:
        self._change(address, nonce=nonce)

    def increment_nonce(self, address: bytes) -> None:
        self._change(address, nonce=self._shown(address).nonce + 1)

    def get_code_hash(self, address: bytes) -> bytes:
        return self._shown(address).code_hash

    def get_code(self, address: bytes) -> bytes:
        digest = self._shown(address).code_hash
        if digest == EMPTY_CODE:
            return b""
        code: bytes = self._codes[digest] if digest in self._codes else self._db[digest]
        return code

    def set_code(self, address: bytes, code: bytes) -> None:
        digest = keccak(code)
        if code:
            self._set(self._codes, digest, code)
        self._change(address, code_hash=digest)

    def delete_code(self, address: bytes) -> None:
        self._change(address, code_hash=EMPTY_CODE)

    def account_exists(self, address: bytes) -> bool:
        return self._get(address) is not None

    def account_has_code_or_nonce(self, address: bytes) -> bool:
        account = self._shown(address)
        return account.nonce != 0 or account.code_hash != EMPTY_CODE

    def account_is_empty(self, address: bytes) -> bool:
        return not self.account_has_code_or_nonce(address) and self.get_balance(address) == 0

    def touch_account(self, address: bytes) -> None:
        self._change(address)

    def delete_account(self, address: bytes) -> None:
        self.delete_storage(address)
        self._set(self._accounts, address, None)

    def get_storage(self, address: bytes, slot: int, from_journal: bool = True) -> int:
        if from_journal:
            if (address, slot) in self._slots:
                return self._slots[address, slot]
            if address in self._wiped:
                return 0
        key = address, slot
        if key not in self._stored:
            account = self._read(address)
            root = BLANK_ROOT if account is None else account.storage_root
            _, encoded = walk(self._db, root, keccak(slot.to_bytes(32, "big")))
            self._stored[key] = int.from_bytes(decode(encoded), "big") if encoded else 0
        value: int = self._stored[key]
        return value

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        self._set(self._slots, (address, slot), value)

    def delete_storage(self, address: bytes) -> None:
        for key in [key for key in self._slots if key[0] == address]:
            self._set(self._slots, key, 0)
        self._set(self._wiped, address, True)
        self._change(address, storage_root=BLANK_ROOT)

    def is_address_warm(self, address: bytes) -> bool:
        return address in self._warm

    def mark_address_warm(self, address: bytes) -> None:
        if address not in self._warm:
            self._set(self._warm, address, True)

    def is_storage_warm(self, address: bytes, slot: int) -> bool:
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: bytes, slot: int) -> None:
        if (address, slot) not in self._warm:
            self._set(self._warm, (address, slot), True)

    def persist(self) -> None:
        """Write every change into the tries and store their new nodes; `state_root` is then the block's."""
        for address in {address for address, _ in self._slots}:
            if (account := self._get(address)) is not None:
                changes = {
                    keccak(slot.to_bytes(32, "big")): encode(_number(value)) if value else b""
                    for (owner, slot), value in self._slots.items()
                    if owner == address and value != self._before(address, slot)
                }
                self._accounts[address] = account._replace(
                    storage_root=self._write(account.storage_root, changes)
                )
        self.state_root = self._write(
            self.state_root,
            {
                keccak(address): _encoded(account)
                for address, account in self._accounts.items()
                if account != self._read(address)
            },
        )
        for digest, code in self._codes.items():
            self._db[digest] = code

    def _before(self, address: bytes, slot: int) -> int:
        return 0 if address in self._wiped else self.get_storage(address, slot, from_journal=False)

    def _write(self, root: bytes, changes: dict[bytes, bytes]) -> bytes:
        if not changes:
            return root
        if all(changes.values()):
            root, new = written(self._db, root, changes)
        else:
            root, new = _with_deletions(self._db, root, changes)
        for digest, node in new.items():
            self._db[digest] = node
        return root


def _with_deletions(db: Any, root: bytes, changes: dict[bytes, bytes]) -> tuple[bytes, dict[bytes, bytes]]:
    # The audit log deletes nothing; what does is left to a library that is slower.
    from eth.db.batch import BatchDB
    from trie.hexary import HexaryTrie

    batch = BatchDB(db, read_through_deletes=True)
    trie: Any = HexaryTrie(batch, root, prune=True)
    for key, value in changes.items():
        trie[key] = value
    new: dict[bytes, bytes] = dict(batch.diff().pending_items())
    return bytes(trie.root_hash), {digest: node for digest, node in new.items() if digest != BLANK_ROOT}


def _encoded(account: Account | None) -> bytes:
    if account is None:
        return b""
    return encode([_number(account.nonce), _number(account.balance), account.storage_root, account.code_hash])


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
