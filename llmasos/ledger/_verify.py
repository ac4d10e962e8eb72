"""Checking the records against each other, against the outbox and against the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from llmasos.errors import LedgerError
from llmasos.ledger import _contract
from llmasos.ledger._contract import Appended, SessionState
from llmasos.ledger._digest import FIRST_HEAD, next_head, record_digest, session_key
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import KINDS, Verdict, kind_number


class Examination:
    """One pass over all records; `problems` holds at most one sentence per record.

    Args:
        records: All records in the order of their numbers.
        outbox: This account's transactions on this chain.
        contract: The audit log's address.
        account: Whose transactions carry the records.
        events: The audit log's events; None when the chain could not be asked.
        last: The number of the last record to check; newer ones may still be on their way.
        settled: Whether the outbox has noted what became of every transaction up to there.
    """

    def __init__(
        self,
        records: list[RecordRow],
        outbox: list[OutboxRow],
        contract: str | None,
        account: str,
        events: list[Appended] | None,
        *,
        last: int,
        settled: bool,
    ) -> None:
        self._account, self._contract = account, contract
        self._last, self._settled = last, settled
        self._reached = events is not None
        self._records = records
        self._sessions: dict[str, list[RecordRow]] = defaultdict(list)
        for record in records:
            self._sessions[record.session].append(record)
        self._events: dict[bytes, dict[int, Appended]] = defaultdict(dict)
        for event in events or []:
            self._events[event.key][event.seq] = event
        self._outbox = outbox
        self._appends = {
            row.number: row for row in outbox if row.call == "append" and row.contract == contract
        }
        self._found: list[tuple[int, str]] = []
        self.confirmed = self.pending = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in the order of the records concerned."""
        return tuple(text for _, text in sorted(self._found, key=lambda found: found[0]))

    def check_records(self) -> Iterator[int]:
        """Check every record, yielding how many are done."""
        done = 0
        for records in self._sessions.values():
            records.sort(key=lambda record: record.seq)
            prev, expected = FIRST_HEAD, 1
            for record in records:
                key = session_key(record.session)
                expected, first = record.seq + 1, expected
                self._check_missing(record.session, key, first, record.seq, record.number)
                if record.number > self._last:
                    continue
                event = self._events[key].get(record.seq)
                problem = self._check_record(record, key, prev, event)
                if problem:
                    self._found.append((record.number, f"{_name(record)} {problem}"))
                prev = (
                    event.head
                    if event
                    else bytes.fromhex(record.head)
                    if _is_hash(record.head)
                    else FIRST_HEAD
                )
                done += 1
                yield done
        for position, record in enumerate(self._records, 1):
            if record.number != position:
                self._found.append(
                    (position, f"Record number {position} of all is missing from the database.")
                )
                break

    def check_sessions(self, states: dict[bytes, SessionState]) -> None:
        """Compare each session's end with the contract's own count, head and owner."""
        for name, records in self._sessions.items():
            key, at = session_key(name), records[-1].number
            events, state = self._events[key], states.get(key)
            self._check_missing(name, key, records[-1].seq + 1, max(events, default=0) + 1, at)
            if state is None:
                continue
            if state.owner != self._account:
                self._found.append(
                    (at, f"Session {name!r} belongs to {state.owner} on the chain, not to this ledger.")
                )
            newest = events.get(state.count)
            if state.count != len(events) or newest is None or newest.head != state.head:
                self._found.append((at, f"The chain's events of session {name!r} do not give its head."))
        known = {session_key(name) for name in self._sessions}
        for key, events in self._events.items():
            if key not in known and events:
                text = f"The chain holds {len(events)} records of a session that is missing from the database"
                self._found.append((len(self._records) + 1, f"{text} (its key is 0x{key.hex()})."))

    def check_outbox(self) -> None:
        """Check that each stored transaction says what its row says."""
        by_number = {record.number: record for record in self._records}
        for row in self._outbox:
            if row.number > self._last:
                continue
            problem = self._check_transaction(row, by_number.get(row.number))
            if problem:
                self._found.append(
                    (row.number, f"Transaction {row.nonce} ({row.call}) in the outbox {problem}")
                )

    def verdict(self) -> Verdict:
        """Return the result."""
        problems, count = self.problems, sum(record.number <= self._last for record in self._records)
        if problems:
            message = f"{len(problems)} problem{'s' * (len(problems) > 1)} found. {problems[0]}"
        else:
            message = (
                f"All {count} records in {_sessions(len(self._sessions))} are as recorded, and on the chain."
            )
        return Verdict(
            not problems, count, self.confirmed, self.pending, len(self._sessions), problems, message
        )

    def add(self, problem: str) -> None:
        """Add a problem that comes before any record."""
        self._found.append((0, problem))

    def _check_missing(self, session: str, key: bytes, first: int, end: int, at: int) -> None:
        for seq in range(first, end):
            event = self._events[key].get(seq)
            kind = f" ({KINDS[event.kind]})" if event and event.kind < len(KINDS) else ""
            there = "; the chain has it" if event else ""
            self._found.append(
                (at, f"Record {seq} of session {session!r}{kind} is missing from the database{there}.")
            )

    def _check_record(self, record: RecordRow, key: bytes, prev: bytes, event: Appended | None) -> str:
        try:
            digest = record_digest(
                number=record.number,
                session=record.session,
                seq=record.seq,
                kind=record.kind,
                action=record.action,
                tool=record.tool,
                at=record.at,
                body=record.body,
                salt=record.salt,
            )
        except (LedgerError, TypeError) as error:
            return f"was altered: it cannot be read ({error})."
        if event is None:
            return self._check_absent(record, key, prev, digest)
        if digest != event.digest:
            return self._altered(record, digest, event)
        if record.digest != digest.hex():
            return "has an altered digest in the database; its content is as recorded."
        head = next_head(key, record.seq, prev, digest, kind_number(record.kind))
        if event.head != head or event.kind != kind_number(record.kind):
            return "is on the chain with a link that does not follow from the record before."
        if record.head != head.hex():
            return "has an altered link to the record before in the database."
        row = self._appends.get(record.number)
        if row is None:
            return "is on the chain, but its transaction is missing from the outbox."
        if row.tx_hash != event.tx_hash:
            return f"is on the chain in transaction {event.tx_hash}, but the outbox says {row.tx_hash}."
        if row.state != "confirmed" and self._settled:
            return f"is on the chain, but the outbox says {row.state}."
        self.confirmed += 1
        return ""

    def _altered(self, record: RecordRow, digest: bytes, event: Appended) -> str:
        elsewhere = [
            seq for seq, other in self._events[event.key].items() if other.digest.hex() == record.digest
        ]
        if elsewhere and elsewhere[0] != record.seq:
            return f"was moved: the chain has it as record {elsewhere[0]}."
        if event.kind != kind_number(record.kind) and event.kind < len(KINDS):
            return f"was altered: it was recorded with the kind {KINDS[event.kind]}."
        if record.digest == digest.hex():
            return "was rewritten with a new digest: the chain holds another one."
        return "was altered: its body, tool, action, time, number or salt is not what was recorded."

    def _check_absent(self, record: RecordRow, key: bytes, prev: bytes, digest: bytes) -> str:
        self.pending += 1
        if record.digest != digest.hex():
            return "was altered: its content does not give its digest."
        if record.head != next_head(key, record.seq, prev, digest, kind_number(record.kind)).hex():
            return "does not follow from the record before it."
        row = self._appends.get(record.number)
        if not self._reached:
            return ""
        if row is None:
            return "was never submitted to the chain."
        if row.state == "confirmed":
            return "is marked as confirmed, but the chain does not have it."
        if row.state == "failed":
            return f"was refused by the chain: {row.error}."
        return "has not reached the chain yet."

    def _check_transaction(self, row: OutboxRow, record: RecordRow | None) -> str:
        if _contract.transaction_hash(row.raw) != row.tx_hash:
            return "was altered: its bytes do not give its hash."
        try:
            said = _contract.transaction(row.raw)
        except ValueError:
            return "was altered: its bytes are not a transaction."
        if (said.chain_id, said.nonce, self._account) != (row.chain_id, row.nonce, row.account):
            return "was altered: its nonce, chain or account is not the signed one."
        if row.call == "deploy":
            made = _contract.created_address(row.account, row.nonce)
            fits = (
                row.number == 0
                and said.to is None
                and said.data == _contract.deploy_code()
                and row.contract == made
            )
        elif record is None:
            return f"carries record number {row.number}, which is missing from the database."
        elif row.call == "open":
            opens = _contract.open_call(session_key(record.session))
            fits = record.seq == 1 and said.to == row.contract and said.data == opens
        else:
            # What an append carries is compared with the record through the chain's event.
            fits = row.call == "append" and said.to == row.contract
        if not fits:
            return "was altered: it is signed for something else than its row says."
        if row.contract != self._contract:
            return "belongs to another contract than the ledger's."
        if row.state == "failed" or (self._settled and row.state != "confirmed" and row.call != "append"):
            return f"is not on the chain: {row.error or row.state}."
        return "carries an unexplained error text." if row.error else ""


def _name(record: RecordRow) -> str:
    action = f" of action {record.action!r}" if record.action else ""
    return f"Record {record.seq} of session {record.session!r} ({record.kind}{action})"


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
