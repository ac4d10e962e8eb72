"""A ledger and a chain in memory, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmasos.ledger import _contract
from llmasos.ledger.chains.port import ChainError, Receipt, Signed
from llmasos.ledger._contract import Appended, SessionState
from llmasos.ledger._digest import FIRST_HEAD, canonical, next_head, record_digest
from llmasos.ledger.node.evm import CHAIN_ID
from llmasos.ledger._records import as_record, seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import Entry, LedgerStatus, Record, Verdict


class MemoryLedger:
    """A `Ledger` without a database or a chain; every record is confirmed at once.

    Args:
        refuse: Makes `record` fail, as a full disk would; it may be set later.
    """

    def __init__(self, *, refuse: Exception | None = None) -> None:
        self.refuse = refuse
        self.entries: list[Entry] = []
        self._rows: list[RecordRow] = []

    async def record(self, entry: Entry) -> Record:
        """Keep an entry.

        Raises:
            LedgerError: The body cannot be recorded.
        """
        if self.refuse is not None:
            raise self.refuse
        before = [row for row in self._rows if row.session == entry.session]
        head = bytes.fromhex(before[-1].head) if before else FIRST_HEAD
        body = canonical(entry.body).decode()
        row = seal(entry, body, number=len(self._rows) + 1, seq=len(before) + 1, head=head)
        self._rows.append(row)
        self.entries.append(entry)
        return self._shown(row)

    async def records(
        self, session: str | None = None, action: str | None = None, limit: int = 1000
    ) -> list[Record]:
        """Return the newest records, oldest first."""
        found = [
            row
            for row in self._rows
            if (session is None or row.session == session) and (action is None or row.action == action)
        ]
        return [self._shown(row) for row in found[len(found) - min(limit, len(found)) :]]

    async def bodies(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what was recorded of each action, by action and `intent` or `outcome`."""
        ends = {"intent": "intent", "outcome": "outcome", "cancel": "outcome"}
        return {(entry.action, ends[entry.kind]): entry.body for entry in self.entries if entry.kind in ends}

    async def status(self) -> LedgerStatus:
        """Return how many records there are."""
        count = len(self._rows)
        return LedgerStatus("memory", 0, None, count, count, 0, None, 0, "")

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verdict:
        """Recompute every digest."""
        problems = []
        for done, row in enumerate(self._rows, 1):
            fields = {
                name: getattr(row, name)
                for name in ("number", "session", "seq", "kind", "action", "tool", "at")
            }
            if record_digest(**fields, body=row.body, salt=row.salt).hex() != row.digest:
                problems.append(f"Record {row.seq} of session {row.session!r} ({row.kind}) was altered.")
            if progress is not None:
                progress(done, len(self._rows))
        count, sessions = len(self._rows), len({row.session for row in self._rows})
        message = problems[0] if problems else f"All {count} records in {sessions} sessions are as recorded."
        return Verdict(not problems, count, count, 0, sessions, tuple(problems), message)

    async def flush(self, timeout: float) -> bool:
        """Return at once: nothing is ever on its way."""
        return True

    def _shown(self, row: RecordRow) -> Record:
        record = as_record(row, None)
        return Record(**{**record.__dict__, "state": "confirmed"})


class MemoryChain:
    """A `Chain` that follows the contract's rules without running it, one block per transaction.

    Args:
        account: The account's address.

    `away` makes every call fail; `wipe` forgets all blocks; `events` may be changed, as a forger would.
    """

    name = "memory"
    chain_id = CHAIN_ID

    def __init__(self, account: str = "0x" + "11" * 20) -> None:
        self._account = account
        self.away = False
        self.sent: list[bytes] = []
        self.wipe()

    @property
    def account(self) -> str:
        """The account's address."""
        return self._account

    def wipe(self) -> None:
        """Forget all blocks."""
        self._receipts: dict[str, Receipt] = {}
        self._contracts: set[str] = set()
        self.events: list[tuple[int, str, Appended]] = []
        self.states: dict[tuple[str, bytes], SessionState] = {}

    async def connect(self) -> None:
        """Fail when the chain is away."""
        self._reach()

    async def close(self) -> None:
        """Do nothing."""

    def sign(self, nonce: int, to: str | None, data: bytes) -> Signed:
        """Return a transaction with the layout of a real one and without a signature."""
        import rlp  # type: ignore[import-untyped]

        target = bytes.fromhex(to[2:]) if to else b""
        raw = b"\x02" + rlp.encode([self.chain_id, nonce, 0, 0, 0, target, 0, data, [], 0, 0, 0])
        return Signed(raw, _contract.transaction_hash(raw))

    async def send(self, raw: bytes) -> None:
        """Mine a transaction.

        Raises:
            ChainError: Its nonce is not the next one.
        """
        self._reach()
        self.sent.append(raw)
        tx_hash = _contract.transaction_hash(raw)
        if tx_hash in self._receipts:
            return
        said = _contract.transaction(raw)
        if said.nonce != len(self._receipts):
            raise ChainError(f"nonce {said.nonce} is not the next one, {len(self._receipts)}")
        if said.to is None:
            self._contracts.add(_contract.created_address(self._account, said.nonce))
            self._receipts[tx_hash] = Receipt(ok=True)
        else:
            ok = said.to in self._contracts and self._run(said.to, said.data, tx_hash)
            self._receipts[tx_hash] = Receipt(ok=ok)

    def _run(self, contract: str, data: bytes, tx_hash: str) -> bool:
        key = data[4:36]
        state = self.states.get((contract, key))
        if data == _contract.open_call(key):
            self.states[contract, key] = state or SessionState(self._account, 0, False, FIRST_HEAD)
            return state is None
        seq, prev, digest, kind = (
            int.from_bytes(data[36:68]),
            data[68:100],
            data[100:132],
            int.from_bytes(data[132:]),
        )
        if state is None or seq != state.count + 1 or prev != state.head:
            return False
        head = next_head(key, seq, prev, digest, kind)
        self.states[contract, key] = SessionState(self._account, seq, False, head)
        event = Appended(key, seq, digest, kind, head, tx_hash)
        self.events.append((len(self._receipts) + 1, contract, event))
        return True

    async def nonce(self) -> int:
        """Return the number of transactions."""
        self._reach()
        return len(self._receipts)

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """Return what became of a transaction."""
        self._reach()
        return self._receipts.get(tx_hash)

    async def block_number(self) -> int:
        """Return the number of transactions, each of which is a block."""
        return await self.nonce()

    async def has_code(self, address: str) -> bool:
        """Return whether a contract was deployed to an address."""
        self._reach()
        return address in self._contracts

    async def appended(self, contract: str, block: int) -> list[Appended]:
        """Return a contract's events up to a block."""
        self._reach()
        return [event for at, where, event in self.events if where == contract and at <= block]

    async def session(self, contract: str, key: bytes, block: int) -> SessionState:
        """Return a session as it is now."""
        self._reach()
        return self.states.get((contract, key), SessionState("0x" + "00" * 20, 0, False, FIRST_HEAD))

    def _reach(self) -> None:
        if self.away:
            raise ChainError("The chain is away.")
