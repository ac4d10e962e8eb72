"""A thousand changes to a ledger, all of which are found; and a hundred ledgers in order, all cleared."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from llmasos.ledger._contract import Anchored, Appended
from llmasos.ledger._digest import next_head, session_key
from llmasos.ledger._records import seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import Entry, Verdict
from tests.ledger.built import Built, anything, varied

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

TABLES = ("ledger_records", "ledger_outbox", "ledger_anchors")
Row = dict[str, Any]


class Bench:
    """A ledger that is changed, verified and put right again.

    Its tables have lost their constraints, as they would to somebody who can write the file.
    """

    def __init__(self, built: Built) -> None:
        self.built = built
        self.rows: dict[str, list[Row]] = {}
        with built.store.engine.begin() as work:
            for table in TABLES:
                self._do(work, f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
                self._do(work, f"DROP TABLE {table}")
                self._do(work, f"CREATE TABLE {table} AS SELECT * FROM kept_{table}")
                found = work.execute(text(f"SELECT rowid, * FROM kept_{table} ORDER BY rowid"))
                self.rows[table] = [dict(row) for row in found.mappings()]

    async def changed(self, change: Callable[[Connection], None], table: str) -> Verdict:
        """Return what verification says after a change to a table, and undo it."""
        with self.built.store.engine.begin() as work:
            change(work)
        verdict = await self.built.verify()
        with self.built.store.engine.begin() as work:
            self._do(work, f"DELETE FROM {table}")
            self._do(work, f"INSERT INTO {table} SELECT * FROM kept_{table} ORDER BY rowid")
        return verdict

    def _do(self, work: Connection, statement: str) -> None:
        work.execute(text(statement))


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(await varied(tmp_path))


def others(value: Any, dice: random.Random) -> Iterator[tuple[str, Any, str]]:
    """Return other values than a column has: how they differ, and the expression that stores them."""
    if value is not None:
        yield "NULL", None, ":value"
    if isinstance(value, int):
        yield "one more", value + 1, ":value"
        yield "another bit", value ^ (1 << dice.randrange(16)), ":value"
        yield "less than nothing", -1 - value, ":value"
        yield "text", "text", ":value"
    elif isinstance(value, str):
        raw = bytearray(value.encode() or b"0")
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        yield "another bit", bytes(raw), "CAST(:value AS TEXT)"
        yield "another text", value + "x", ":value"
        yield "nothing" if value else "something", "" if value else "0", ":value"
        yield "bytes", value.encode() or b"0", ":value"
    else:
        raw = bytearray(value or b"0")
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        yield "another bit", bytes(raw), ":value"
        yield "a byte more", (value or b"") + b"\0", ":value"
        yield "nothing" if value else "something", b"" if value else b"0", ":value"


def harmless(table: str, row: Row, column: str, rows: list[Row]) -> bool:
    """Return whether a column says nothing that could be proved: why something did not happen, in words."""
    if table == "ledger_outbox" and column == "error":
        return bool(row["state"] == "failed")
    # A receipt that is not there is one that is still to come, as long as it is the newest.
    return table == "ledger_anchors" and column == "receipt" and row["id"] == rows[-1]["id"]


@pytest.mark.parametrize("table", TABLES)
async def test_a_change_to_any_column_is_found(bench: Bench, table: str) -> None:
    dice = random.Random(table)
    rows, found = bench.rows[table], 0
    most = {"ledger_records": 2, "ledger_outbox": 1, "ledger_anchors": 4}
    for row in rows:
        for column, value in row.items():
            if column == "rowid" or harmless(table, row, column, rows):
                continue
            kinds = list(others(value, dice))
            for how, new, expression in dice.sample(kinds, most[table]):

                def change(
                    work: Connection,
                    column: str = column,
                    new: Any = new,
                    to: str = expression,
                    at: int = row["rowid"],
                ) -> None:
                    statement = f"UPDATE {table} SET {column} = {to} WHERE rowid = :at"
                    work.execute(text(statement), {"value": new, "at": at})

                verdict = await bench.changed(change, table)
                what = f"{column} of row {row['rowid']} of {table}: {value!r} became {how} ({new!r})"
                assert verdict.finding == "bad", f"{what} was not found: {verdict}"
                if table == "ledger_records":
                    # A record whose place was altered has another name.
                    moved = column in ("number", "session", "seq") and verdict.problems[0].startswith(
                        "Record "
                    )
                    # Without the record of an erasure, those that it covers are the first to be suspected.
                    first = None if row["kind"] == "erase" else 1
                    assert moved or named(verdict.problems[:first], row), (
                        f"{what} was not named: {verdict.problems}"
                    )
                found += 1
    assert (await bench.built.verify()).ok
    assert found >= {"ledger_records": 390, "ledger_outbox": 290, "ledger_anchors": 80}[table], found


def named(problems: Sequence[str], row: Row) -> bool:
    """Return whether problems speak of a record by its place in the session or among all."""
    name = f"Record {row['seq']} of session {row['session']!r}"
    number = f"Record number {row['number']} of all"
    return any(name in problem or number in problem for problem in problems)


@pytest.mark.parametrize("table", TABLES)
async def test_removed_doubled_and_exchanged_rows_are_found(bench: Bench, table: str) -> None:
    dice = random.Random(table)
    rows = bench.rows[table]
    columns = [column for column in rows[0] if column != "rowid"]
    listed = ", ".join(columns)

    def sql(*statements: str) -> Callable[[Connection], None]:
        def change(work: Connection) -> None:
            for statement in statements:
                work.execute(text(statement))

        return change

    changes: list[tuple[str, Callable[[Connection], None]]] = []
    for row in rows:
        at = row["rowid"]
        # Of attempts that came to nothing the last leaves no trace; nor does the transfer of what was left.
        last = row.get("call") == "fund" or row.get("state") == "replaced"
        if not last:
            changes.append((f"row {at} removed", sql(f"DELETE FROM {table} WHERE rowid = {at}")))
        again = f"INSERT INTO {table} ({listed}) SELECT {listed} FROM kept_{table} WHERE rowid = {at}"
        changes.append((f"row {at} doubled", sql(again)))
        other = dice.choice([each for each in rows if each is not row])
        for column in columns:
            if row[column] == other[column] or harmless(table, row, column, rows):
                continue
            take = f"UPDATE {table} SET {column} = (SELECT {column} FROM kept_{table} WHERE rowid = {{}})"
            take += " WHERE rowid = {}"
            swap = take.format(other["rowid"], at), take.format(at, other["rowid"])
            if dice.random() < 0.4:
                changes.append((f"{column} of rows {at} and {other['rowid']} exchanged", sql(*swap)))
    for what, change in changes:
        verdict = await bench.changed(change, table)
        assert verdict.finding == "bad", f"{table}: {what} was not found: {verdict}"
    assert (await bench.built.verify()).ok
    assert len(changes) >= {"ledger_records": 80, "ledger_outbox": 100, "ledger_anchors": 5}[table]


async def test_a_tail_that_was_cut_off_is_found(bench: Bench) -> None:
    newest = bench.rows["ledger_records"][-1]["number"]
    for first in range(1, newest + 1):
        statements = [f"DELETE FROM {table} WHERE number >= {first}" for table in TABLES[:2]]

        def change(work: Connection, statements: list[str] = statements) -> None:
            for statement in statements:
                work.execute(text(statement))

        with bench.built.store.engine.begin() as work:
            change(work)
        verdict = await bench.built.verify(anchors=[])
        with bench.built.store.engine.begin() as work:
            for table in TABLES[:2]:
                work.execute(text(f"DELETE FROM {table}"))
                work.execute(text(f"INSERT INTO {table} SELECT * FROM kept_{table}"))
        assert verdict.finding == "bad", (first, verdict)


async def test_a_database_that_was_rewritten_from_some_record_on_is_found(bench: Bench) -> None:
    """Everything is made anew as if it had been recorded so, and no anchor helps."""
    newest = bench.rows["ledger_records"][-1]["number"]
    for first in range(1, newest + 1):

        def change(work: Connection, first: int = first) -> None:
            rewrite(work, bench.rows["ledger_records"], first)

        with bench.built.store.engine.begin() as work:
            change(work)
        verdict = await bench.built.verify(anchors=[])
        with bench.built.store.engine.begin() as work:
            work.execute(text("DELETE FROM ledger_records"))
            work.execute(text("INSERT INTO ledger_records SELECT * FROM kept_ledger_records"))
        assert verdict.finding == "bad", (first, verdict)
        row = bench.rows["ledger_records"][first - 1]
        if row["route"] == "session":
            assert any(
                f"Record {row['seq']} of session {row['session']!r}" in problem and "rewritten" in problem
                for problem in verdict.problems
            ), verdict.problems
        else:
            assert any("carries a tree over" in problem for problem in verdict.problems), verdict.problems


def rewrite(work: Connection, rows: list[Row], first: int) -> None:
    """Record everything from a number on again, with another body for the first."""
    heads: dict[str, bytes] = {}
    for row in rows:
        if row["number"] < first:
            heads[row["session"]] = bytes.fromhex(row["head"])
            continue
        entry = Entry(session=row["session"], kind=row["kind"], action=row["action"], tool=row["tool"])
        body = '{"another":"body"}' if row["body"] is None or row["number"] == first else row["body"]
        new = seal(
            entry,
            body,
            number=row["number"],
            seq=row["seq"],
            head=heads.get(row["session"], bytes(32)),
            route=row["route"],
        )
        heads[row["session"]] = bytes.fromhex(new.head)
        values = {column.name: getattr(new, column.name) for column in RecordRow.__table__.columns}
        names = ", ".join(f"{name} = :{name}" for name in values)
        work.execute(text(f"UPDATE ledger_records SET {names} WHERE number = :number"), values)


async def test_forged_hidden_moved_and_added_events_are_found(bench: Bench) -> None:
    chain, built = bench.built.chain, bench.built
    events, found = list(chain.events), 0
    for place, (contract, event) in enumerate(events):
        head = next_head(event.key, 1, bytes(32), bytes(32), 0)
        forged: list[list[Any]] = [[], [event, event], [replace(event, tx_hash="0x" + "00" * 32)]]
        forged += [[replace(event, head=head)], [replace(event, block=event.block - 1)]]
        forged += [[replace(event, key=session_key("strange"))]]
        if isinstance(event, Appended):
            forged += [[replace(event, digest=bytes(32))], [replace(event, seq=event.seq + 1)]]
            forged += [[replace(event, kind=event.kind + 1)]]
        if isinstance(event, Anchored):
            forged += [[replace(event, root=bytes(32))], [replace(event, count=event.count + 1)]]
        for instead in forged:
            made = [*events[:place], *((contract, each) for each in instead), *events[place + 1 :]]
            # The chain gives its events in the order of its blocks.
            chain.events[:] = sorted(made, key=lambda each: each[1].block)
            verdict = await built.verify()
            assert verdict.finding == "bad", (place, event, instead, verdict)
            found += 1
        if place:
            chain.events[:] = [*events[: place - 1], events[place], events[place - 1], *events[place + 1 :]]
            assert (await built.verify()).finding == "bad", (place, event)
            found += 1
    chain.events[:] = events
    assert (await built.verify()).ok
    assert found >= 90


async def test_forged_states_are_found(bench: Bench) -> None:
    chain, built = bench.built.chain, bench.built
    for key, state in list(chain.states.items()):
        forged = [
            replace(state, owner="0x" + "99" * 20),
            replace(state, count=state.count + 1),
            replace(state, count=state.count - 1),
            replace(state, closed=True),
            replace(state, head=bytes(32)),
            replace(state, count=0, head=bytes(32)),
        ]
        for instead in forged:
            chain.states[key] = instead
            verdict = await built.verify()
            assert verdict.finding == "bad", (key, instead, verdict)
        chain.states[key] = state
    assert (await built.verify()).ok


@pytest.mark.parametrize("start", range(0, 100, 25))
async def test_a_ledger_in_order_is_never_suspected(tmp_path: Path, start: int) -> None:
    for seed in range(start, start + 25):
        folder = tmp_path / str(seed)
        folder.mkdir()
        built = await anything(folder, seed)
        verdict = await built.verify()
        assert verdict.finding == "ok", (seed, verdict)
        built.store.close()
