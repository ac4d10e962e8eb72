"""A chain in memory, for tests and for trying things out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from llmasos.errors import LedgerError
from llmasos.ledger import _contract
from llmasos.ledger._contract import (
    NOBODY,
    Anchored,
    Appended,
    Logged,
    SessionState,
    created_address,
    transaction,
    transaction_hash,
)
from llmasos.ledger._digest import FIRST_HEAD, next_anchored_head, next_head
from llmasos.ledger.chains.port import Block, ChainError, Fees, Inclusion, Receipt, Signed

CHAIN_ID = 7_105_645
GAS = 21_000
ENDOWMENT = 10**30


class MemoryChain:
    """A `Chain` that follows the contract's rules without running it, one block per `send`.

    Args:
        account: The account's address.
        automatic: Whether what is sent is mined at once; otherwise `mine` does it.

    `away` makes every call fail; `wipe` forgets all blocks; `reorganise` forgets the newest ones; `base_fee`
    is what a transaction must offer to be mined; `endowment` is what the first account owned at first;
    `clock` tells a block's time; `refuse` names transactions that fail; `events` and `states` may be changed,
    as a forger would.
    """

    name = "memory"
    chain_id = CHAIN_ID

    def __init__(self, account: str = "0x" + "11" * 20, *, automatic: bool = True) -> None:
        self._first = self._account = account
        self._successor = ""
        self._automatic = automatic
        self._forks = 0
        self.away = False
        self.base_fee = 1
        self.endowment = ENDOWMENT
        self.clock: Callable[[], float] = time.time
        self.refuse: Callable[[bytes], bool] = lambda raw: False
        self.sent: list[bytes] = []
        self.wipe()

    @property
    def account(self) -> str:
        """The account's address."""
        return self._account

    @property
    def successor(self) -> str:
        """The address of the account that is to take over."""
        return self._successor

    async def prepare(self, key: str = "") -> str:
        """Name the account that is to take over: the key itself is its address here.

        Raises:
            LedgerError: It is not an address, or another one is to take over already.
        """
        new = key or "0x" + hashlib.sha256(self._account.encode()).hexdigest()[:40]
        if len(new) != 42 or self._successor not in ("", new):
            raise LedgerError("The key cannot take over.", hint="Give another key.")
        self._successor = new
        return new

    async def adopt(self) -> None:
        """Let the successor take over."""
        self._account, self._successor = self._successor or self._account, ""

    def wipe(self) -> None:
        """Forget all blocks and all transactions that wait."""
        self._forks += 1
        self._mined: list[list[bytes]] = [[]]
        self._times = [0]
        self._hashes = [self._block_hash(0, "")]
        self._waiting: dict[tuple[str, int], bytes] = {}
        self._replay([])

    def reorganise(self, depth: int, *, keep: bool = False) -> None:
        """Forget the newest blocks, as a fork that won would.

        Args:
            depth: How many; the first block stays.
            keep: Whether their transactions wait to be mined again.
        """
        depth = min(depth, len(self._mined) - 1)
        if depth == 0:
            return
        lost = [raw for block in self._mined[len(self._mined) - depth :] for raw in block]
        kept = self._mined[1 : len(self._mined) - depth]
        self._forks += 1
        del self._hashes[len(self._hashes) - depth :], self._times[len(self._times) - depth :]
        self._replay(kept)
        again = {(_sender(raw), transaction(raw).nonce): raw for raw in lost}
        self._waiting = {**again, **self._waiting} if keep else {}

    def mine(self, count: int | None = None) -> None:
        """Mine a block of the transactions that wait, offer enough and can be paid, all or the first ones."""
        block: list[bytes] = []
        self._times.append(int(self.clock()))
        for account in sorted({account for account, _ in self._waiting}):
            while count is None or len(block) < count:
                place = account, self._nonces.get(account, 0)
                raw = self._waiting.get(place)
                if raw is None or transaction(raw).cap < self.base_fee:
                    break
                if self._balance(account) < transaction(raw).most:
                    break
                self._execute(raw, len(self._mined))
                block.append(self._waiting.pop(place))
        self._mined.append(block)
        self._hashes.append(self._block_hash(len(self._mined) - 1, self._hashes[-1]))

    async def connect(self) -> None:
        """Fail when the chain is away."""
        self._reach()

    async def close(self) -> None:
        """Do nothing."""

    async def fees(self, over: Fees | None = None) -> Fees:
        """Return what is asked at the moment, or an eighth more than was offered."""
        self._reach()
        cap = self.base_fee if over is None else max(self.base_fee, over.cap + over.cap // 8 + 1)
        return Fees(cap, 0)

    def sign(self, nonce: int, to: str | None, data: bytes, fees: Fees, value: int = 0) -> Signed:
        """Return a transaction with the layout of a real one, and the account in place of a signature."""
        import rlp

        target = bytes.fromhex(to[2:]) if to else b""
        account = bytes.fromhex(self._account[2:])
        fields = [self.chain_id, nonce, fees.tip, fees.cap, GAS, target, value, data, [], 0, account, 0]
        raw = b"\x02" + rlp.encode(fields)
        return Signed(raw, transaction_hash(raw))

    async def send(self, transactions: Sequence[bytes]) -> None:
        """Take transactions.

        Raises:
            ChainError: A nonce is used up, another transaction with it waits and offers as much, or the
                account owns too little.
        """
        self._reach()
        for raw in transactions:
            self.sent.append(raw)
            if transaction_hash(raw) in self._receipts:
                continue
            said, sender = transaction(raw), _sender(raw)
            other = self._waiting.get((sender, said.nonce))
            mined = self._nonces.get(sender, 0)
            if said.nonce < mined:
                raise ChainError(f"nonce too low: {said.nonce} is used up, the next one is {mined}")
            if other not in (None, raw) and transaction(other or b"").cap >= said.cap:
                raise ChainError("replacement transaction underpriced")
            if self._balance(sender) < said.most:
                raise ChainError("insufficient funds for gas * price + value")
            self._waiting[sender, said.nonce] = raw
        if self._automatic:
            self.mine()

    async def nonce(self) -> int:
        """Return the account's number of transactions."""
        self._reach()
        return self._nonces.get(self._account, 0)

    async def balance(self) -> int:
        """Return what the account owns."""
        self._reach()
        return self._balance(self._account)

    async def receipts(self, tx_hashes: Sequence[str]) -> list[Receipt | None]:
        """Return what became of transactions."""
        self._reach()
        return [self._receipts.get(tx_hash) for tx_hash in tx_hashes]

    async def block(self, number: int | None = None) -> Block | None:
        """Return a block, whose header is not a real one."""
        self._reach()
        number = len(self._hashes) - 1 if number is None else number
        if not 0 <= number < len(self._hashes):
            return None
        parent = self._hashes[number - 1] if number else "0x" + "00" * 32
        return Block(number, self._hashes[number], parent, self._times[number], b"")

    async def has_code(self, address: str) -> bool:
        """Return whether a contract was deployed to an address."""
        self._reach()
        return address in self._contracts

    async def logged(
        self, contract: str, first: int, last: int, key: bytes | None = None
    ) -> AsyncIterator[Logged]:
        """Return a contract's events of some blocks."""
        self._reach()
        for address, event in list(self.events):
            if address == contract and first <= event.block <= last and key in (None, event.key):
                yield event

    async def sessions(self, contract: str, keys: Sequence[bytes], block: Block) -> list[SessionState]:
        """Return sessions as they are now."""
        self._reach()
        nothing = SessionState(NOBODY, 0, False, FIRST_HEAD)
        return [self.states.get((contract, key), nothing) for key in keys]

    async def inclusion(self, tx_hash: str) -> Inclusion:
        """Return a mined transaction where the last node of a proof would hold it; there are no tries here.

        Raises:
            ChainError: It is not mined.
        """
        import rlp

        self._reach()
        for number, mined in enumerate(self._mined):
            for index, raw in enumerate(mined):
                if transaction_hash(raw) == tx_hash:
                    block = await self.block(number)
                    assert block is not None
                    return Inclusion(block, index, (rlp.encode([b"", raw]),), ())
        raise ChainError(f"The transaction {tx_hash} is not mined.")

    async def inspect(self) -> AsyncIterator[str | int]:
        """Find nothing."""
        yield 100

    def _replay(self, blocks: list[list[bytes]]) -> None:
        self._nonces: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        self._receipts: dict[str, Receipt] = {}
        self._contracts: set[str] = set()
        self.events: list[tuple[str, Logged]] = []
        self.states: dict[tuple[str, bytes], SessionState] = {}
        self._mined = [[], *blocks]
        for number, block in enumerate(blocks, 1):
            for raw in block:
                self._execute(raw, number)

    def _balance(self, account: str) -> int:
        return self._moved.get(account, 0) + (self.endowment if account == self._first else 0)

    def _execute(self, raw: bytes, block: int) -> None:
        said, tx_hash, sender = transaction(raw), transaction_hash(raw), _sender(raw)
        if self.refuse(raw):
            ok = False
        elif said.to is None:
            self._contracts.add(created_address(sender, said.nonce))
            ok = True
        elif said.to in self._contracts:
            ok = self._run(sender, said.to, said.data, tx_hash, block)
        else:
            ok = True
        cost = GAS * self.base_fee
        self._nonces[sender] = said.nonce + 1
        self._moved[sender] = self._moved.get(sender, 0) - cost - said.value
        self._moved[said.to or NOBODY] = self._moved.get(said.to or NOBODY, 0) + said.value
        parent = self._hashes[block - 1]
        where = self._hashes[block] if block < len(self._hashes) else self._block_hash(block, parent)
        self._receipts[tx_hash] = Receipt(ok, block, where, GAS, cost)

    def _run(self, sender: str, contract: str, data: bytes, tx_hash: str, block: int) -> bool:
        if data[:4] == _contract.rotate_call([], NOBODY)[:4]:
            return self._rotate(sender, contract, data)
        key = data[4:36]
        state = self.states.get((contract, key))
        if data == _contract.open_call(key):
            self.states[contract, key] = state or SessionState(sender, 0, False, FIRST_HEAD)
            return state is None
        words = [data[n : n + 32] for n in range(36, len(data), 32)]
        seq, prev = int.from_bytes(words[0]), words[1]
        if state is None or state.closed:
            return False
        if (state.owner, seq, prev) != (sender, state.count + 1, state.head):
            return False
        if data[:4] == _contract.anchor_call(key, seq, prev, prev, 1)[:4]:
            count = int.from_bytes(words[3])
            head = next_anchored_head(key, seq, prev, words[2], count)
            if count == 0:
                return False
            self.events.append((contract, Anchored(key, seq, count, words[2], head, tx_hash, block)))
            self.states[contract, key] = SessionState(sender, seq + count - 1, False, head)
            return True
        if data == _contract.append_call(key, seq, prev, words[2], int.from_bytes(words[3])):
            digests, kinds = [words[2]], [int.from_bytes(words[3])]
        else:
            count = int.from_bytes(words[4])
            digests, kinds = words[5 : 5 + count], [int.from_bytes(word) for word in words[6 + count :]]
        head = prev
        for place, (digest, kind) in enumerate(zip(digests, kinds, strict=True), seq):
            head = next_head(key, place, head, digest, kind)
            self.events.append((contract, Appended(key, place, digest, kind, head, tx_hash, block)))
        self.states[contract, key] = SessionState(sender, seq + len(digests) - 1, False, head)
        return True

    def _rotate(self, sender: str, contract: str, data: bytes) -> bool:
        owner = _contract.rotated_to(data)
        keys = [data[n : n + 32] for n in range(100, len(data), 32)]
        states = [self.states.get((contract, key)) for key in keys]
        if any(state is None or state.owner != sender for state in states):
            return False
        for key, state in zip(keys, states, strict=True):
            assert state is not None
            self.states[contract, key] = SessionState(owner, state.count, state.closed, state.head)
        return True

    def _block_hash(self, number: int, parent: str) -> str:
        return "0x" + hashlib.sha256(f"{self._forks} {number} {parent}".encode()).hexdigest()

    def _reach(self) -> None:
        if self.away:
            raise ChainError("The chain is away.")


def _sender(raw: bytes) -> str:
    import rlp

    account: bytes = rlp.decode(raw[1:])[10]
    return "0x" + account.hex()
