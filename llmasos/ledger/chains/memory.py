"""A chain in memory, for tests and for trying things out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence

from llmasos.ledger import _contract
from llmasos.ledger._contract import (
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
NOBODY = "0x" + "00" * 20


class MemoryChain:
    """A `Chain` that follows the contract's rules without running it, one block per `send`.

    Args:
        account: The account's address.
        automatic: Whether what is sent is mined at once; otherwise `mine` does it.

    `away` makes every call fail; `wipe` forgets all blocks; `reorganise` forgets the newest ones; `base_fee`
    is what a transaction must offer to be mined; `events` and `states` may be changed, as a forger would.
    """

    name = "memory"
    chain_id = CHAIN_ID

    def __init__(self, account: str = "0x" + "11" * 20, *, automatic: bool = True) -> None:
        self._account = account
        self._automatic = automatic
        self._forks = 0
        self.away = False
        self.base_fee = 1
        self.sent: list[bytes] = []
        self.wipe()

    @property
    def account(self) -> str:
        """The account's address."""
        return self._account

    def wipe(self) -> None:
        """Forget all blocks and all transactions that wait."""
        self._forks += 1
        self._mined: list[list[bytes]] = [[]]
        self._hashes = [self._block_hash(0, "")]
        self._waiting: dict[int, bytes] = {}
        self._replay([])

    def reorganise(self, depth: int, *, keep: bool = False) -> None:
        """Forget the newest blocks, as a fork that won would.

        Args:
            depth: How many.
            keep: Whether their transactions wait to be mined again.
        """
        lost = [raw for block in self._mined[len(self._mined) - depth :] for raw in block]
        kept = self._mined[1 : len(self._mined) - depth]
        self._forks += 1
        del self._hashes[len(self._hashes) - depth :]
        self._replay(kept)
        self._waiting = {transaction(raw).nonce: raw for raw in lost} if keep else {}

    def mine(self, count: int | None = None) -> None:
        """Mine one block of the transactions that wait and offer enough, all or the first ones."""
        block: list[bytes] = []
        while (raw := self._waiting.get(self._nonce)) is not None and (count is None or len(block) < count):
            if transaction(raw).cap < self.base_fee:
                break
            self._execute(raw, len(self._mined))
            block.append(self._waiting.pop(self._nonce - 1))
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
        import rlp  # type: ignore[import-untyped]

        target = bytes.fromhex(to[2:]) if to else b""
        account = bytes.fromhex(self._account[2:])
        fields = [self.chain_id, nonce, fees.tip, fees.cap, 0, target, value, data, [], 0, account, 0]
        raw = b"\x02" + rlp.encode(fields)
        return Signed(raw, transaction_hash(raw))

    async def send(self, transactions: Sequence[bytes]) -> None:
        """Take transactions.

        Raises:
            ChainError: A nonce is used up, or another transaction with it waits and offers as much.
        """
        self._reach()
        for raw in transactions:
            self.sent.append(raw)
            if transaction_hash(raw) in self._receipts:
                continue
            said = transaction(raw)
            other = self._waiting.get(said.nonce)
            if said.nonce < self._nonce:
                raise ChainError(f"nonce too low: {said.nonce} is used up, the next one is {self._nonce}")
            if other not in (None, raw) and transaction(other or b"").cap >= said.cap:
                raise ChainError("replacement transaction underpriced")
            self._waiting[said.nonce] = raw
        if self._automatic:
            self.mine()

    async def nonce(self) -> int:
        """Return the number of transactions."""
        self._reach()
        return self._nonce

    async def balance(self) -> int:
        """Return much."""
        self._reach()
        return 10**30

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
        return Block(number, self._hashes[number], parent, number, b"")

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
        """Refuse: there are no tries in memory.

        Raises:
            ChainError: Always.
        """
        raise ChainError("The chain in memory has nothing to prove with.")

    async def inspect(self) -> AsyncIterator[str | int]:
        """Find nothing."""
        yield 100

    def _replay(self, blocks: list[list[bytes]]) -> None:
        self._nonce = 0
        self._receipts: dict[str, Receipt] = {}
        self._contracts: set[str] = set()
        self.events: list[tuple[str, Logged]] = []
        self.states: dict[tuple[str, bytes], SessionState] = {}
        self._mined = [[], *blocks]
        for number, block in enumerate(blocks, 1):
            for raw in block:
                self._execute(raw, number)

    def _execute(self, raw: bytes, block: int) -> None:
        said, tx_hash = transaction(raw), transaction_hash(raw)
        if said.to is None:
            self._contracts.add(created_address(self._account, said.nonce))
            ok = True
        elif said.to in self._contracts:
            ok = self._run(said.to, said.data, tx_hash, block)
        else:
            ok = not said.data
        self._nonce += 1
        parent = self._hashes[block - 1]
        where = self._hashes[block] if block < len(self._hashes) else self._block_hash(block, parent)
        self._receipts[tx_hash] = Receipt(ok, block, where, 21_000, 21_000 * self.base_fee)

    def _run(self, contract: str, data: bytes, tx_hash: str, block: int) -> bool:
        if data[:4] == _contract.rotate_call([], NOBODY)[:4]:
            return self._rotate(contract, data)
        key = data[4:36]
        state = self.states.get((contract, key))
        if data == _contract.open_call(key):
            self.states[contract, key] = state or SessionState(self._account, 0, False, FIRST_HEAD)
            return state is None
        words = [data[n : n + 32] for n in range(36, len(data), 32)]
        seq, prev = int.from_bytes(words[0]), words[1]
        if state is None or (state.owner, seq, prev) != (self._account, state.count + 1, state.head):
            return False
        events: list[Logged] = []
        if data == _contract.append_call(key, seq, prev, words[2], int.from_bytes(words[3])):
            digests, kinds = [words[2]], [int.from_bytes(words[3])]
        elif data[:4] == _contract.anchor_call(key, seq, prev, prev, 1)[:4]:
            count, head = (
                int.from_bytes(words[3]),
                next_anchored_head(key, seq, prev, words[2], int.from_bytes(words[3])),
            )
            if count == 0:
                return False
            self.events.append((contract, Anchored(key, seq, count, words[2], head, tx_hash, block)))
            self.states[contract, key] = SessionState(self._account, seq + count - 1, False, head)
            return True
        else:
            count = int.from_bytes(words[4])
            digests, kinds = words[5 : 5 + count], [int.from_bytes(word) for word in words[6 + count :]]
        head = prev
        for place, (digest, kind) in enumerate(zip(digests, kinds, strict=True), seq):
            head = next_head(key, place, head, digest, kind)
            events.append(Appended(key, place, digest, kind, head, tx_hash, block))
        self.events += [(contract, event) for event in events]
        self.states[contract, key] = SessionState(self._account, seq + len(digests) - 1, False, head)
        return True

    def _rotate(self, contract: str, data: bytes) -> bool:
        owner = "0x" + data[48:68].hex()
        keys = [data[n : n + 32] for n in range(100, len(data), 32)]
        states = [self.states.get((contract, key)) for key in keys]
        if any(state is None or state.owner != self._account for state in states):
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
