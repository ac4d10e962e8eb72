"""Drafts: records that are not on their way to the chain yet, as calls of the contract."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from llmasos.ledger import _contract
from llmasos.ledger._contract import TREE_KEY
from llmasos.ledger._digest import FIRST_HEAD, next_anchored_head, session_key
from llmasos.ledger._merkle import root
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import Mode, kind_number

TREE = ""
"""The line of the trees; every other line is a session, and no session's name is empty."""

SESSION_BATCH, TREE_BATCH = 100, 1024
MOST_ROWS = 40_000

_before = aliased(RecordRow)
_joined = and_(_before.session == RecordRow.session, _before.seq == RecordRow.seq - 1)
_APPENDED = (
    select(RecordRow.number, RecordRow.session, RecordRow.seq, RecordRow.kind, RecordRow.digest, _before.head)
    .outerjoin(_before, _joined)
    .where(RecordRow.route == "session", RecordRow.number > bindparam("mark"))
    .order_by(RecordRow.number)
    .limit(bindparam("most"))
)
_LEAVES = (
    select(RecordRow.number, RecordRow.digest)
    .where(RecordRow.route == "tree", RecordRow.number > bindparam("mark"))
    .order_by(RecordRow.number)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction that is not signed yet.

    Args:
        line: Whose records it carries: a session's name, `TREE`, or None for no records.
        data: The call; a deployment has none of its own and makes a new contract.
        to: Where it goes, when that is not the contract.
        value: What it hands over, in wei.
    """

    call: str
    number: int = 0
    count: int = 0
    line: str | None = None
    data: bytes = b""
    to: str = ""
    value: int = 0


@dataclass
class Plan:
    """Drafts, and where the drafting stands once they are stored; `newest` is the newest record."""

    mark: int
    tree_mark: int
    leaves: int
    tree_head: bytes
    newest: int = 0
    drafts: list[Draft] = field(default_factory=list)
    signed: dict[str, int] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether there are records behind those that it drafts."""
        return min(self.mark, self.tree_mark) < self.newest


class Drafter:
    """Where drafting stands: which records of which line are in transactions already.

    A line is a sequence of records that the contract takes in order: a session, or the leaves of the trees.

    Args:
        batch: Records in one transaction at most; 0 chooses.
        wait: Seconds for which a batch or a tree that is not full waits for more.
    """

    def __init__(self, mode: Mode, batch: int = 0, wait: float = 0.0) -> None:
        # A session that began in another mode goes on as it was, beside the trees.
        self._size = {"each": 1, "batch": batch or SESSION_BATCH, "merkle": SESSION_BATCH}[mode]
        self._tree_size = (batch if mode == "merkle" else 0) or TREE_BATCH
        self._wait = 0.0 if mode == "each" else wait
        self._since: float | None = None
        self._tree_since: float | None = None
        self.opened: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """Stand at the beginning, as for a new contract."""
        self.signed: dict[str, int] = {}
        self.mark = self.tree_mark = self.leaves = 0
        self.tree_head = FIRST_HEAD
        self.opened.clear()

    @property
    def reached(self) -> int:
        """The number up to which every record is in a transaction, or cannot be for now."""
        return min(self.mark, self.tree_mark)

    def due(self, now: float) -> float | None:
        """Return in how many seconds what waits for more stops waiting; None when nothing does."""
        begun = [since for since in (self._since, self._tree_since) if since is not None]
        return max(0.0, min(begun) + self._wait - now) if begun else None

    def load(self, session: Session, chain_id: int, contract: str) -> None:
        """Read where the drafting stands."""
        self.begin()
        carried = signed_lines(chain_id, contract)
        self.signed = {name: count for name, count in session.execute(carried) if name != TREE}
        newest = session.scalar(select(func.coalesce(func.max(RecordRow.number), 0))) or 0
        counts = select(RecordRow.session, func.max(RecordRow.seq)).where(RecordRow.route == "session")
        firsts = []
        for name, count in session.execute(counts.group_by(RecordRow.session)):
            if count > self.signed.get(name, 0):
                firsts.append(number_of(session, name, self.signed.get(name, 0) + 1) or newest)
        self.mark = min(firsts, default=newest + 1) - 1
        self._load_trees(session, chain_id, contract)

    def _load_trees(self, session: Session, chain_id: int, contract: str) -> None:
        last = last_anchor(session, chain_id, contract)
        self.leaves, self.tree_mark, self.tree_head = 0, 0, FIRST_HEAD
        if last is not None:
            self.leaves, self.tree_head = last.leaves, last.head
            self.tree_mark = leaf_number(session, last.leaves) or 0

    def forget(self, line: str, count: int, number: int) -> None:
        """Draft a session's records anew from behind the first `count`; `number` is the next, or 0."""
        self.signed[line] = count
        if number:
            self.mark = min(self.mark, number - 1)

    def forget_leaves(self, count: int, mark: int, head: bytes) -> None:
        """Draft the trees anew from behind the first `count` leaves, the last of which is record `mark`."""
        self.leaves, self.tree_mark, self.tree_head = count, mark, head

    def plan(self, session: Session, room: int, skip: Collection[str], now: float, hurry: int) -> Plan:
        """Draft what is to go next.

        Args:
            room: About how many transactions.
            skip: Lines that take nothing for now.
            now: The time in seconds, by a clock that never jumps.
            hurry: The number up to which records do not wait for more.
        """
        newest = session.scalar(select(func.coalesce(func.max(RecordRow.number), 0))) or 0
        plan = Plan(self.mark, self.tree_mark, self.leaves, self.tree_head, newest)
        if newest > self.mark:
            self._plan_sessions(session, plan, room, skip, now, hurry, newest)
        if newest > self.tree_mark:
            self._plan_trees(session, plan, max(1, room - len(plan.drafts)), skip, now, hurry, newest)
        return plan

    def accept(self, plan: Plan) -> None:
        """Go on behind a plan whose transactions are stored."""
        self.mark, self.tree_mark = plan.mark, plan.tree_mark
        self.leaves, self.tree_head = plan.leaves, plan.tree_head
        self.signed.update(plan.signed)

    def _plan_sessions(
        self,
        session: Session,
        plan: Plan,
        room: int,
        skip: Collection[str],
        now: float,
        hurry: int,
        newest: int,
    ) -> None:
        most = min(room * self._size, MOST_ROWS)
        rows = session.execute(_APPENDED, {"mark": self.mark, "most": most}).all()
        fresh = [row for row in rows if row[1] not in skip and row[2] > self.signed.get(row[1], 0)]
        if len(fresh) < self._size and fresh and fresh[0][0] > hurry:
            if self._since is None:
                self._since = now
            if now - self._since < self._wait:
                return
        self._since = None
        plan.mark = newest if len(rows) < most else rows[-1][0]
        for chunk in self._chunks(fresh):
            number, name, seq, _, _, head = chunk[0]
            key, prev = session_key(name), bytes.fromhex(head) if head else FIRST_HEAD
            if seq == 1 and name not in self.opened:
                plan.drafts.append(Draft("open", number, 0, name, _contract.open_call(key)))
            digests = [bytes.fromhex(row[4]) for row in chunk]
            kinds = [kind_number(row[3]) for row in chunk]
            if len(chunk) == 1:
                data = _contract.append_call(key, seq, prev, digests[0], kinds[0])
            else:
                data = _contract.append_many_call(key, seq, prev, digests, kinds)
            plan.drafts.append(Draft("append" if len(chunk) == 1 else "many", number, len(chunk), name, data))
            plan.signed[name] = chunk[-1][2]

    def _chunks(self, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
        if self._size == 1:
            yield from ([row] for row in rows)
            return
        by_session: dict[str, list[Any]] = {}
        for row in rows:
            by_session.setdefault(row[1], []).append(row)
        for name in by_session:
            yield from _slices(by_session[name], self._size)

    def _plan_trees(
        self,
        session: Session,
        plan: Plan,
        room: int,
        skip: Collection[str],
        now: float,
        hurry: int,
        newest: int,
    ) -> None:
        if TREE in skip:
            plan.tree_mark = newest
            return
        most = min(
            room * self._tree_size, max(self._tree_size, MOST_ROWS // self._tree_size * self._tree_size)
        )
        rows = session.execute(_LEAVES, {"mark": self.tree_mark, "most": most}).all()
        drained = len(rows) < most
        full = len(rows) // self._tree_size * self._tree_size
        rest = rows[full:]
        if rest and rest[0][0] > hurry:
            if self._tree_since is None:
                self._tree_since = now
            if now - self._tree_since < self._wait:
                rows, drained = rows[:full], False
        if drained or full:
            self._tree_since = None
        for chunk in _slices(rows, self._tree_size):
            if plan.leaves == 0 and TREE not in self.opened:
                plan.drafts.append(Draft("open", chunk[0][0], 0, TREE, _contract.open_call(TREE_KEY)))
            top = root([bytes.fromhex(digest) for _, digest in chunk])
            first, count, prev = plan.leaves + 1, len(chunk), plan.tree_head
            data = _contract.anchor_call(TREE_KEY, first, prev, top, count)
            plan.drafts.append(Draft("anchor", chunk[0][0], count, TREE, data))
            plan.tree_head = next_anchored_head(TREE_KEY, first, prev, top, count)
            plan.leaves += count
            plan.tree_mark = chunk[-1][0]
        if drained:
            plan.tree_mark = newest


@dataclass(frozen=True)
class Trees:
    """The newest anchored tree: how many leaves there are with it, and the head after it."""

    leaves: int
    head: bytes


def carried(chain_id: int, contract: str, *states: str) -> Any:
    """Return the transactions that carry records of a contract, each nonce once, as a subquery.

    Args:
        states: The states that count; all but `replaced` when none is given.
    """
    row = OutboxRow
    query = select(row.account, row.nonce, row.number, row.count, row.call).distinct()
    query = query.where(row.contract == contract, row.chain_id == chain_id, row.count > 0)
    query = query.where(row.state.in_(states) if states else row.state != "replaced")
    return query.subquery()


def signed_lines(chain_id: int, contract: str, *states: str) -> Select[str, int]:
    """Return how many records of each line are in transactions."""
    sent = carried(chain_id, contract, *states)
    query = select(RecordRow.session, func.sum(sent.c.count)).join(
        RecordRow, RecordRow.number == sent.c.number
    )
    return query.where(sent.c.call != "anchor").group_by(RecordRow.session)


def last_anchor(session: Session, chain_id: int, contract: str, *states: str) -> Trees | None:
    """Return the newest tree that is in a transaction."""
    row = OutboxRow
    query = select(row.raw).where(row.contract == contract, row.chain_id == chain_id, row.call == "anchor")
    query = query.where(row.state.in_(states) if states else row.state != "replaced")
    raw = session.scalar(query.order_by(row.number.desc(), row.attempt.desc()).limit(1))
    if raw is None:
        return None
    data = _contract.transaction(raw).data
    words = [data[n : n + 32] for n in range(4, len(data), 32)]
    first, count = int.from_bytes(words[1]), int.from_bytes(words[4])
    return Trees(first + count - 1, next_anchored_head(TREE_KEY, first, words[2], words[3], count))


def number_of(session: Session, name: str, seq: int) -> int | None:
    """Return the number of a session's record."""
    return session.scalar(select(RecordRow.number).where(RecordRow.session == name, RecordRow.seq == seq))


def leaf_number(session: Session, leaf: int) -> int | None:
    """Return the number of the record that is a leaf, counted from 1."""
    leaves = select(RecordRow.number).where(RecordRow.route == "tree").order_by(RecordRow.number)
    return session.scalar(leaves.offset(leaf - 1).limit(1)) if leaf else None


def _slices(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
