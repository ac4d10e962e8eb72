"""Erasing: what goes, what stays, what says so, and that the bytes are gone."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from llmasos.errors import ConfigError, LedgerError
from llmasos.ledger import _retention
from llmasos.ledger._digest import body_digest, canonical
from llmasos.ledger._erasures import Erasures
from llmasos.ledger._pages import Pages
from llmasos.ledger._records import append
from llmasos.ledger._retention import erase, expire, wipe
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import SYSTEM, Entry, Filter, Kind
from llmasos.store import Base, Store

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'ledger.db'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


async def add(store: Store, *bodies: str, session: str = "s", kind: Kind = "intent", tool: str = "t") -> None:
    def write(work: Any) -> None:
        for body in bodies:
            value = {"n": body}
            entry = Entry(session=session, kind=kind, tool=tool, body=value)
            append(work, entry, canonical(value).decode(), route="session")

    await store.run(write)


async def rows(store: Store) -> list[RecordRow]:
    query = select(RecordRow).order_by(RecordRow.number)
    return list(await store.run(lambda work: work.scalars(query).all()))


async def left(store: Store) -> list[int]:
    """Return the numbers of the records that have a body, but for those that note erasures."""
    return [row.number for row in await rows(store) if row.body is not None and row.kind != "erase"]


async def test_bodies_go_and_all_else_stays(store: Store) -> None:
    await add(store, "a", "b", "c", "d")
    before = await rows(store)
    done = await erase(store, [4, 1, 2, 2], reason="asked for", by="ann")
    assert (done.records, done.noted, done.wiped) == (3, (5,), True)
    after = await rows(store)
    for old, new in zip(before, after, strict=False):
        assert (old.digest, old.head, old.salt, old.body_digest) == (
            new.digest,
            new.head,
            new.salt,
            new.body_digest,
        )
    assert [(row.body, row.body_salt) for row in after if row.number != 3][:3] == [(None, None)] * 3
    note = after[-1]
    assert (note.session, note.kind, note.number) == (SYSTEM, "erase", 5)
    assert note.body == '{"by":"ann","ranges":[[1,2],[4,4]],"reason":"asked for"}'
    assert note.body_salt is not None
    assert body_digest(note.body, note.body_salt).hex() == note.body_digest


async def test_what_is_meant_can_be_said_by_a_filter(store: Store) -> None:
    await add(store, "a", "b")
    await add(store, "c", session="other")
    await add(store, "d", tool="shell")
    await add(store, "e", kind="outcome")
    await erase(store, Filter(session="other"), reason="r", by="b")
    assert await left(store) == [1, 2, 4, 5]
    await erase(store, Filter(tool="shell", kinds=("intent",)), reason="r", by="b")
    assert await left(store) == [1, 2, 5]
    await erase(store, Filter(after=2, kinds=("outcome",)), reason="r", by="b")
    assert await left(store) == [1, 2]
    moment = (await rows(store))[1].at
    await erase(store, Filter(until=moment), reason="r", by="b")
    assert await left(store) == [2]
    await erase(store, Filter(since=moment), reason="r", by="b")
    assert await left(store) == []


async def test_what_says_so_is_kept(store: Store) -> None:
    await add(store, "a")
    await add(store, "key", session=SYSTEM, kind="rotate")
    assert (await erase(store, Filter(), reason="all", by="ann")).records == 1
    again = await erase(store, Filter(), reason="all", by="ann")
    assert (again.records, again.noted) == (0, ())
    assert [row.kind for row in await rows(store) if row.body is not None] == ["rotate", "erase"]
    erased = Erasures(Pages(store))
    assert [erased(number) for number in range(5)] == [False, True, False, False, False]


async def test_nonsense_is_refused(store: Store) -> None:
    await add(store, "a")
    for which, reason, by in [([1], "", "ann"), ([1], "r", " "), ([0], "r", "b"), ([2], "r", "b")]:
        with pytest.raises(LedgerError):
            await erase(store, which, reason=reason, by=by)
    assert await left(store) == [1]
    assert (await erase(store, [], reason="r", by="b")).records == 0


async def test_body_and_note_change_together_or_not_at_all(store: Store) -> None:
    await add(store, "a", "b")

    @event.listens_for(store.durable_engine, "before_cursor_execute")
    def refuse(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT"):
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await erase(store, [1, 2], reason="r", by="b")
    assert await left(store) == [1, 2]
    event.remove(store.durable_engine, "before_cursor_execute", refuse)


async def test_much_is_erased_in_steps_each_with_its_note(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retention, "CHUNK", 3)
    await add(store, *"abcdefgh")
    done = await erase(store, Filter(), reason="r", by="b")
    assert (done.records, done.noted) == (8, (9, 10, 11))
    await add(store, *"abcd")
    done = await erase(store, range(1, 16), reason="r", by="b")
    assert (done.records, done.noted) == (4, (16, 17))
    erased = Erasures(Pages(store))
    assert [number for number in range(20) if erased(number)] == [
        *range(1, 9),
        *range(12, 16),
    ]


async def test_what_is_old_expires(store: Store) -> None:
    await add(store, "old", "new")
    past = (datetime.now(UTC) - timedelta(days=40)).isoformat(timespec="microseconds")
    await store.run(
        lambda work: work.execute(text(f"UPDATE ledger_records SET at = '{past}' WHERE number = 1"))
    )
    assert (await expire(store, 0)).records == 0
    assert (await expire(store, 41)).records == 0
    assert (await expire(store, 39)).records == 1
    assert (await expire(store, 39)).noted == ()
    assert await left(store) == [2]
    assert "older than 39 days" in ((await rows(store))[-1].body or "")


@pytest.mark.parametrize(
    "body", [None, "", "{}", "[]", '{"ranges":[[1]]}', '{"ranges":[["a","b"]]}', '{"ranges":3}', "\x00"]
)
async def test_a_note_that_cannot_be_read_covers_nothing(store: Store, body: str | None) -> None:
    await add(store, "a")
    await erase(store, [1], reason="r", by="b")
    change = text("UPDATE ledger_records SET body = :body WHERE number = 2").bindparams(body=body)
    await store.run(lambda work: work.execute(change))
    assert not Erasures(Pages(store))(1)


async def test_a_note_covers_nothing_after_itself(store: Store) -> None:
    await add(store, "a")
    body = {"by": "b", "ranges": [[1, 99]], "reason": "r"}
    entry = Entry(session=SYSTEM, kind="erase", body=body)
    await store.run(lambda work: append(work, entry, canonical(body).decode(), route="session"))
    await add(store, "c")
    erased = Erasures(Pages(store))
    assert [number for number in range(1, 100) if erased(number)] == [1]


def plain(folder: Path) -> set[int]:
    """Return which secrets can be read in the database's files."""
    data = b"".join(file.read_bytes() for file in folder.glob("ledger.db*"))
    return {int(found) for found in re.findall(rb"secret(\d{5})\.", data)}


@pytest.mark.parametrize("size", [3, 120, 1500])
async def test_the_bytes_are_gone_from_the_files(store: Store, tmp_path: Path, size: int) -> None:
    chance = random.Random(size)
    numbers = list(range(1, 201))
    await add(store, *(f"secret{number:05}." * chance.randint(1, size) for number in numbers))
    assert plain(tmp_path) == set(numbers)
    chance.shuffle(numbers)
    while numbers:
        gone, numbers = numbers[:70], numbers[70:]
        assert (await erase(store, gone, reason="r", by="b")).wiped
        assert plain(tmp_path) == set(numbers)


async def test_what_another_program_still_reads_is_wiped_later(store: Store, tmp_path: Path) -> None:
    await add(store, "secret00001.")
    reader = Store(f"sqlite:///{tmp_path / 'ledger.db'}").engine.raw_connection()
    try:
        with store.durable_engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
        cursor = reader.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT body FROM ledger_records").fetchall()
        done = await erase(store, [1], reason="r", by="b")
        assert (done.records, done.wiped) == (1, False)
        cursor.execute("ROLLBACK")
        assert await wipe(store)
        assert plain(tmp_path) == set()
    finally:
        reader.close()


async def test_a_disk_that_cannot_be_written_loses_nothing(store: Store) -> None:
    await add(store, "a")
    with store.durable_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(ConfigError):
        await erase(store, [1], reason="r", by="b")
    assert await left(store) == [1]
