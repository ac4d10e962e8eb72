"""Checking the outbox and the records against the chain: receipts, events and stored sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import anyio.to_thread

from llmasos.ledger._check_outbox import MINED, OutboxCheck, Sent
from llmasos.ledger._contract import (
    TREE_KEY,
    Anchored,
    Appended,
    Logged,
    SessionState,
    anchor_call,
    append_call,
    append_many_call,
)
from llmasos.ledger._digest import FIRST_HEAD, next_anchored_head, next_head, session_key
from llmasos.ledger._envelope import opened
from llmasos.ledger._pages import Pages, Row
from llmasos.ledger._problems import Problems, record_name
from llmasos.ledger._types import KINDS, kind_number
from llmasos.ledger.chains.port import Block, Chain, Receipt

SESSIONS = 100
RECORDS = 500
STRANGERS = 1_000
NOBODY = "0x" + "00" * 20

_SESSIONS = (
    "SELECT session, max(seq), max(number) FROM ledger_records WHERE session > ? AND number <= ?"
    " GROUP BY session ORDER BY session LIMIT ?"
)
_AT = "SELECT number, head, route FROM ledger_records WHERE session = ? AND seq = ?"
_OPENS = "SELECT 1 FROM ledger_outbox WHERE number = ? AND call = 'open' AND contract = ? LIMIT 1"
_FROM = (
    "SELECT number, seq, kind, action, digest, head FROM ledger_records WHERE session = ? AND seq >= ?"
    " ORDER BY seq LIMIT ?"
)
_LEAF_AFTER = (
    "SELECT session, seq FROM ledger_records WHERE route = 'tree' AND number > ? ORDER BY number LIMIT 1"
)
_NAMES = "SELECT DISTINCT session FROM ledger_records WHERE session > ? ORDER BY session LIMIT ?"


class _End(NamedTuple):
    """The record with which the contract's session ends; `unopened` is the first whose `open` is missing."""

    number: int
    head: str
    route: str
    unopened: int | None


class ChainCheck:
    """One comparison with the chain as it was after a block.

    Args:
        contract: The audit log's address.
        pin: The block.
        last: The last record that counts; newer ones may be under way.
        settled: Whether the outbox has noted what became of everything up to there.
        reach: Makes sure that the records up to a number were checked for themselves.

    `confirmed` and `pending` count records up to `last`; `sessions` their sessions.
    """

    def __init__(
        self,
        pages: Pages,
        problems: Problems,
        chain: Chain,
        outbox: OutboxCheck,
        *,
        accounts: Sequence[str],
        contract: str,
        pin: Block,
        last: int,
        settled: bool,
        reach: Callable[[int], Awaitable[None]],
    ) -> None:
        self._pages, self._problems, self._chain, self._outbox = pages, problems, chain, outbox
        self._accounts, self._contract, self._pin = accounts, contract, pin
        # While the keys are changed, some sessions belong to the next account already.
        self._owners = {NOBODY, *accounts, chain.successor}
        self._last, self._settled, self._reach = last, settled, reach
        self._events: AsyncIterator[Logged] = chain.logged(contract, 0, pin.number)
        self._event: Logged | None = None
        self._strangers: dict[bytes, bool] = {}
        self._tree = SessionState(NOBODY, 0, False, FIRST_HEAD)
        self._leaves, self._tree_head = 0, FIRST_HEAD
        self.confirmed = self.pending = self.sessions = 0

    async def begin(self) -> None:
        """Read the trees' session, and the first event."""
        (self._tree,) = await self._chain.sessions(self._contract, [TREE_KEY], self._pin)
        await self._next()

    async def check_sessions(self, progress: Callable[[int], None]) -> None:
        """Compare each session's end with what the contract stores."""
        after = ""
        while rows := await self._run(self._pages.fetch, _SESSIONS, after, self._last, SESSIONS):
            rows = [row for row in rows if isinstance(row[0], str)]
            if not rows:
                break
            after = rows[-1][0]
            # What has no such place was reported with the records.
            names = [row for row in rows if _is_text(row[0]) and isinstance(row[1], int)]
            keys = [session_key(row[0]) for row in names]
            states = await self._chain.sessions(self._contract, keys, self._pin)
            ends = await self._run(self._ends, names, states)
            for (name, top, newest), state, end in zip(names, states, ends, strict=True):
                await self._check_session(name, top, newest, state, end)
            self.sessions += len(rows)
            progress(self.sessions)

    async def check_transactions(self, rows: Sequence[Sent]) -> None:
        """Compare transactions with what became of them, and with the events that they cause."""
        rows = [row for row in rows if self._outbox.ours(row) and row.contract == self._contract]
        receipts = await self._chain.receipts([row.tx_hash for row in rows])
        for row, receipt in zip(rows, receipts, strict=True):
            problem = self._settlement(row, receipt)
            if problem:
                self._problems.other(row.number, f"{row.name} {problem}")
            if receipt is not None and receipt.ok and receipt.block <= self._pin.number and row.raw:
                for event in _events(row, receipt):
                    await self._expect(event, row)

    async def end(self) -> None:
        """Report what is left on the chain, and compare the trees."""
        while self._event is not None and not self._problems.full:
            await self._extra(self._event)
            await self._next()
        await self._check_trees()
        used, known = await self._chain.nonce(), self._outbox.nonces
        if known is not None and used > known:
            text = f"The account has {used} transactions on the chain, the outbox {known}"
            why = "rows were removed, or the key was used elsewhere."
            self._problems.other(self._last + 0.5, f"{text}: {why}")
        if not self._outbox.deployed:
            text = "The deployment of the ledger's contract is missing from the outbox."
            self._problems.other(self._last + 0.5, text)

    def _settlement(self, row: Sent, receipt: Receipt | None) -> str:
        if receipt is None:
            return (
                f"is {row.state}, the outbox says, but the chain does not have it."
                if row.state in MINED
                else ""
            )
        if row.state == "pending":
            known = self._settled and row.number <= self._last
            return "is on the chain, but pending in the outbox." if known else ""
        state = "confirmed" if receipt.ok else "failed"
        if row.state != state:
            return f"is {row.state}, the outbox says, but {state} on the chain."
        if (row.block, row.block_hash) != (receipt.block, receipt.block_hash):
            return f"was altered: it is in block {receipt.block} ({receipt.block_hash}) of the chain."
        if row.cost != str(receipt.cost):
            return f"was altered: it cost {receipt.cost} wei, not {row.cost}."
        return ""

    async def _expect(self, expected: Logged, row: Sent) -> None:
        """Take the next event, which must be the expected one."""
        while self._event is not None and self._event.tx_hash != expected.tx_hash and not self._problems.full:
            place = await self._run(self._place, self._event.tx_hash)
            if place is not None and place > (self._accounts.index(row.account), row.nonce):
                break
            await self._extra(self._event, known=place is not None)
            await self._next()
        event = self._event
        if isinstance(expected, Anchored):
            self._leaves, self._tree_head = expected.first + expected.count - 1, expected.head
        if event == expected:
            await self._next()
        elif not self._problems.full:
            name = await self._run(self._event_name, expected, row.number)
            if event is not None and event.tx_hash == expected.tx_hash and _spot(event) == _spot(expected):
                text = (
                    f"{name} has an event on the chain that is not what its transaction {row.tx_hash} says."
                )
                await self._next()
            else:
                text = f"{name} is in transaction {row.tx_hash}, but the chain's events lack it."
            self._problems.other(row.number, text)

    async def _extra(self, event: Logged, *, known: bool = False) -> None:
        """Report an event that no transaction of the outbox causes, unless the session is a stranger's."""
        name = await self._run(self._name_of, event.key)
        if name is None and event.key != TREE_KEY:
            if event.key not in self._strangers:
                (state,) = await self._chain.sessions(self._contract, [event.key], self._pin)
                if len(self._strangers) >= STRANGERS:
                    self._strangers.clear()
                self._strangers[event.key] = state.owner not in self._owners
                if state.owner in self._owners:
                    text = f"The chain holds {state.count} records of a session that the database lacks"
                    self._problems.other(self._last + 0.5, f"{text} (its key is 0x{event.key.hex()}).")
            return
        at, what = await self._run(self._record_at, name, event)
        how = "out of its order" if known else "which is missing from the outbox"
        self._problems.other(at, f"{what} is on the chain in transaction {event.tx_hash}, {how}.")

    def _ends(self, sessions: Sequence[Row], states: Sequence[SessionState]) -> list[_End]:
        """Return where the contract's sessions end in the database, and whether they were opened by us."""
        ends = []
        for (name, _, newest), state in zip(sessions, states, strict=True):
            found = self._pages.fetch(_AT, name, state.count or 1)
            first = found[0][0] if state.count < 2 and found else None
            if state.count > 1:
                first = self._pages.one(_AT, name, 1)
            opens = True
            if state.count and isinstance(first, int):
                opens = self._pages.one(_OPENS, first, self._contract) is not None
            number, head, route = found[0] if found else (newest, "", "")
            if not state.count:
                number, head = 0, FIRST_HEAD.hex()
            ends.append(_End(number, head, route, first if not opens else None))
        return ends

    async def _check_session(self, name: str, top: int, newest: int, state: SessionState, end: _End) -> None:
        self._problems_of_owner(name, newest, state)
        if end.route == "tree":
            if state != SessionState(NOBODY, 0, False, FIRST_HEAD):
                text = (
                    f"Session {name!r} goes by trees, the database says, but the chain holds a session for it"
                )
                self._problems.other(newest, f"{text} with {state.count} records.")
            return
        if isinstance(end.number, int) and end.number > self._last:
            await self._reach(end.number)
        confirmed = min(top, state.count)
        if end.head != state.head.hex():
            confirmed = await self._first_bad(name, newest, state)
        self.confirmed += confirmed
        self.pending += top - confirmed
        if self._settled and state.count < top:
            at, text = await self._run(self._waiting, name, state.count + 1)
            self._problems.record(at, text)
        if end.unopened is not None:
            text = f"The transaction that opened session {name!r} is missing from the outbox."
            self._problems.other(end.unopened, text)

    def _problems_of_owner(self, name: str, newest: int, state: SessionState) -> None:
        if state.owner not in self._owners:
            text = f"Session {name!r} belongs to {state.owner} on the chain, which was never this ledger's."
            self._problems.other(newest + 0.5, text)
        if state.closed:
            self._problems.other(
                newest + 0.5, f"Session {name!r} was closed on the chain; the ledger closes none."
            )

    async def _first_bad(self, name: str, newest: int, state: SessionState) -> int:
        """Name the first record that is not as the chain has it, and return how many are before it."""
        rows: list[Row] = []
        expected = 1
        async for event in self._chain.logged(self._contract, 0, self._pin.number, session_key(name)):
            if not rows:
                rows = await self._run(self._pages.fetch, _FROM, name, expected, RECORDS)
            if not isinstance(event, Appended) or event.seq != expected:
                text = f"The chain's events lack {record_name(name, expected)}."
                self._problems.other(newest + 0.5, text[:1].upper() + text[1:])
                return expected - 1
            row = rows.pop(0) if rows and rows[0][1] == expected else None
            if row is None:
                kind = KINDS[event.kind] if event.kind < len(KINDS) else ""
                text = f"{record_name(name, expected, kind)} is missing from the database; the chain has it."
                self._problems.missing(newest + 0.5, text)
                return expected - 1
            number, seq, kind, action, digest, head = row
            if (digest, kind_number(kind), head) != (event.digest.hex(), event.kind, event.head.hex()):
                self._problems.record(
                    number, f"{record_name(name, seq, kind, action)} {self._how(name, row, event)}"
                )
                return expected - 1
            expected += 1
        if expected <= state.count or not state.count:
            text = f"The chain's events of session {name!r} end at record {expected - 1}, not {state.count}."
        else:
            text = f"The chain's events of session {name!r} do not give its head."
        self._problems.other(newest + 0.5, text)
        return min(expected - 1, state.count)

    def _how(self, name: str, row: Row, event: Appended) -> str:
        _, seq, kind, _, digest, _ = row
        place = "SELECT seq FROM ledger_records WHERE session = ? AND digest = ? LIMIT 1"
        elsewhere = self._pages.one(place, name, event.digest.hex())
        if digest == event.digest.hex():
            return "has another kind or link on the chain."
        if elsewhere is not None and elsewhere != seq:
            return f"was moved: the chain has record {elsewhere} in its place."
        if kind_number(kind) != event.kind and event.kind < len(KINDS):
            return f"was rewritten: the chain has a record of the kind {KINDS[event.kind]} in its place."
        return "was rewritten: the chain holds another digest in its place."

    async def _check_trees(self) -> None:
        state, newest = self._tree, self._last
        count = "SELECT count(*) FROM ledger_records WHERE route = 'tree' AND number <= ?"
        total = await self._run(self._pages.one, count, newest)
        ends = "SELECT number FROM ledger_records WHERE route = 'tree' ORDER BY number LIMIT 1 OFFSET ?"
        end = await self._run(self._pages.one, ends, state.count - 1) if state.count else 0
        if state.owner not in self._owners or state.closed:
            self._problems.other(
                newest + 0.5, "The trees on the chain were closed, or belong to somebody else."
            )
        if end is None:
            text = (
                f"The chain's trees hold {state.count} records, the database {total}: the last are missing."
            )
            self._problems.other(newest + 0.5, text)
        elif (self._leaves, self._tree_head) != (state.count, state.head):
            text = f"The outbox's trees end at leaf {self._leaves}, the chain's at {state.count}"
            self._problems.other(newest + 0.5, f"{text}, or their heads differ.")
        confirmed = min(total, state.count)
        self.confirmed += confirmed
        self.pending += total - confirmed
        if self._settled and confirmed < total:
            first = await self._run(self._pages.fetch, _LEAF_AFTER, end or 0)
            for name, seq in first:
                at, text = await self._run(self._waiting, name, seq)
                self._problems.record(at, text)

    def _waiting(self, name: str, seq: int) -> tuple[int, str]:
        """Say why a record is not on the chain though nothing is under way."""
        rows = self._pages.fetch(_FROM, name, seq, 1)
        number, _, kind, action, *_ = rows[0]
        sent = (
            "SELECT error FROM ledger_outbox WHERE number = ? AND contract = ? AND state = 'failed' LIMIT 1"
        )
        error = self._pages.one(sent, number, self._contract)
        why = (
            f"was refused by the chain: {error}"
            if error
            else "is not on the chain, and nothing is under way for it"
        )
        return number, f"{record_name(name, seq, kind, action)} {why.rstrip('.')}."

    def _place(self, tx_hash: str) -> tuple[int, int] | None:
        """Return where a transaction is in the outbox's order."""
        rows = self._pages.fetch(
            "SELECT account, nonce FROM ledger_outbox WHERE tx_hash = ? LIMIT 1", tx_hash
        )
        if not rows or rows[0][0] not in self._accounts or not isinstance(rows[0][1], int):
            return None
        return self._accounts.index(rows[0][0]), rows[0][1]

    def _event_name(self, event: Logged, number: int) -> str:
        if isinstance(event, Anchored):
            return f"The tree over {event.count} records from number {number} on"
        name = self._pages.one("SELECT session FROM ledger_records WHERE number = ?", number)
        return record_name(name, event.seq)

    def _record_at(self, name: str | None, event: Logged) -> tuple[float, str]:
        if name is None or isinstance(event, Anchored):
            return (
                self._last + 0.5,
                f"The tree at leaf {event.first if isinstance(event, Anchored) else event.seq}",
            )
        rows = self._pages.fetch(
            "SELECT number, kind, action FROM ledger_records WHERE session = ? AND seq = ?", name, event.seq
        )
        if not rows:
            return self._last + 0.5, record_name(name, event.seq)
        return rows[0][0], record_name(name, event.seq, *rows[0][1:])

    def _name_of(self, key: bytes) -> str | None:
        """Return the session of a key, which only a look at all of them tells."""
        after = ""
        while rows := self._pages.fetch(_NAMES, after, RECORDS):
            for (name,) in rows:
                if isinstance(name, str) and _is_text(name) and session_key(name) == key:
                    return name
            after = rows[-1][0]
        return None

    async def _next(self) -> None:
        self._event = await anext(self._events, None)

    async def _run(self, work: Callable[..., Any], *values: object) -> Any:
        return await anyio.to_thread.run_sync(partial(work, *values))


def _events(row: Sent, receipt: Receipt) -> Iterator[Logged]:
    """Return what a transaction that the contract took logs, whatever the outbox says of it."""
    data = opened(row.raw).data
    words = [data[at : at + 32] for at in range(36, len(data), 32)]
    selector, key, tail = data[:4], data[4:36], (row.tx_hash, receipt.block)
    call = _logging().get(selector)
    if call is None or len(words) < 4:
        return
    place, head = int.from_bytes(words[0]), words[1]
    if call == "anchor":
        count = int.from_bytes(words[3])
        yield Anchored(
            key, place, count, words[2], next_anchored_head(key, place, head, words[2], count), *tail
        )
        return
    if call == "append":
        digests, kinds = [words[2]], [words[3]]
    else:
        count = int.from_bytes(words[4])
        digests, kinds = words[5 : 5 + count], words[6 + count : 6 + 2 * count]
    for seq, (digest, word) in enumerate(zip(digests, kinds, strict=False), place):
        kind = int.from_bytes(word)
        head = next_head(key, seq, head, digest, kind)
        yield Appended(key, seq, digest, kind, head, *tail)


@cache
def _logging() -> dict[bytes, str]:
    """Return the calls that log records, by their selectors."""
    none = b""
    calls = {
        "append": append_call(none, 0, none, none, 0),
        "many": append_many_call(none, 0, none, [], []),
        "anchor": anchor_call(none, 0, none, none, 0),
    }
    return {data[:4]: name for name, data in calls.items()}


def _spot(event: Logged) -> tuple[bytes, int]:
    return event.key, event.first if isinstance(event, Anchored) else event.seq


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
