"""Databases that earlier versions wrote."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from llmasos import migrations
from llmasos.agent import _records, search_sessions
from llmasos.errors import ConfigError
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    AssistantText,
    Event,
    TurnFinished,
    TurnStarted,
    Usage,
)
from llmasos.knowledge.words import indexed
from llmasos.ledger._digest import FIRST_HEAD, body_digest, next_head, record_digest, session_key
from llmasos.ledger._outbox import Outbox
from llmasos.ledger._tables import OutboxRow, RecordRow
from llmasos.ledger._types import kind_number
from llmasos.ledger.chains.memory import MemoryChain
from llmasos.migrations import upgrade
from llmasos.store import Base, Store

pytestmark = pytest.mark.anyio

OLD_RECORD = text(
    "INSERT INTO ledger_records (number, session, seq, kind, action, tool, at, body, salt, digest, head) "
    "VALUES (:number, :session, :seq, 'intent', 'a', 't', '2026-01-01T00:00:00.000000+00:00', :body, x'00', "
    "'', '')"
)
OLD_TRANSACTION = text(
    "INSERT INTO ledger_outbox VALUES ('0x1', 1, 0, '0x2', 'append', 1, x'00', '0x3', 'confirmed', '')"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'llmasos.db'}")


CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(migrations.__file__).parent))
REVISIONS = [script.revision for script in ScriptDirectory.from_config(CONFIG).walk_revisions()]


def upgrade_to(store: Store, revision: str) -> None:
    with store.durable_engine.begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, revision)


def revision_of(store: Store) -> str | None:
    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


async def test_records_of_an_earlier_schema_are_sealed_anew_and_submitted(store: Store) -> None:
    await anyio.to_thread.run_sync(upgrade_to, store, "0002")
    with store.durable_engine.begin() as connection:
        places = [("one", 1), ("two", 1), ("one", 2), *(("many", seq) for seq in range(1, 1200))]
        for number, (session, seq) in enumerate(places, 1):
            values = {"number": number, "session": session, "seq": seq, "body": f'{{"n":{number}}}'}
            connection.execute(OLD_RECORD, values)
        connection.execute(OLD_TRANSACTION)
    upgrade(store)
    rows = await store.read(lambda work: list(work.scalars(select(RecordRow).order_by(RecordRow.number))))
    assert [(row.session, row.seq) for row in rows] == places
    heads: dict[str, bytes] = {}
    for row in rows:
        assert (row.body, row.route, row.action) == (f'{{"n":{row.number}}}', "session", "a")
        assert row.body is not None
        assert row.body_salt is not None
        assert row.body_digest == body_digest(row.body, row.body_salt).hex()
        names = ("number", "session", "seq", "kind", "action", "tool", "at", "body_digest", "salt")
        digest = record_digest(**{name: getattr(row, name) for name in names})
        head = heads.get(row.session, FIRST_HEAD)
        heads[row.session] = next_head(session_key(row.session), row.seq, head, digest, kind_number("intent"))
        assert (row.digest, row.head) == (digest.hex(), heads[row.session].hex())
    assert len({row.salt for row in rows} | {row.body_salt for row in rows}) == 2 * len(rows)
    assert await store.read(lambda work: work.scalars(select(OutboxRow)).all()) == []
    chain = MemoryChain()
    outbox = Outbox(store, chain)
    while not outbox.settled(len(rows)):
        await outbox.step()
    assert len(chain.events) == len(rows)
    store.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_schema_becomes_the_newest(
    store: Store, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade_to(store, revision)
    upgrade(store)
    assert revision_of(store) == REVISIONS[0]
    monkeypatch.delattr(command, "upgrade")
    upgrade(store)
    store.close()


async def test_the_migrations_lead_to_the_tables_as_they_are_declared(store: Store) -> None:
    from alembic.autogenerate import compare_metadata

    upgrade(store)
    upgrade(store)
    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        tables = set(inspect(connection).get_table_names())
    ours = [change for change in differences if "ledger" in repr(change)]
    assert ours == []
    assert {"ledger_records", "ledger_outbox", "ledger_anchors"} <= tables
    store.close()


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    upgrade(store)
    with store.durable_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="schema '9999', which this version does not know") as caught:
        upgrade(store)
    assert "version of LLMasOS that wrote it" in caught.value.hint
    store.close()


async def test_what_was_said_before_is_found_afterwards(store: Store) -> None:
    await anyio.to_thread.run_sync(upgrade_to, store, "0007")
    event = text(
        "INSERT INTO events (session, seq, turn, type, body) VALUES ('s-1', :seq, 't-1', :type, :body)"
    )
    stored: list[Event] = [
        TurnStarted(turn="t-1", text="看看天气"),
        ActionStarted(turn="t-1", action="a", tool="read_file", arguments={"path": ["x", {"y": "zebra"}]}),
        ActionFinished(turn="t-1", action="a", tool="read_file", status="ok", result="a walrus " * 2000),
        AssistantText(turn="t-1", text="It is fine."),
        TurnFinished(turn="t-1", status="done", answer="It is fine."),
    ]
    usages = [Usage(requests=2, input_tokens=10), Usage(requests=1, seconds=0.5)]
    with store.durable_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sessions (id, folder, title, model, created, updated) VALUES "
                "('s-1', '/f', 'A title', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            )
        )
        for number, usage in enumerate(usages, 1):
            values = {"id": f"t-{number}", "number": number, "usage": usage.model_dump_json()}
            connection.execute(
                text(
                    "INSERT INTO turns (id, session, number, status, messages, usage) "
                    "VALUES (:id, 's-1', :number, 'done', '', :usage)"
                ),
                values,
            )
        for seq, each in enumerate(stored, 1):
            body = each.model_copy(update={"session": "s-1", "seq": seq}).model_dump_json()
            connection.execute(event, {"seq": seq, "type": each.type, "body": body})
        connection.execute(event, {"seq": 6, "type": "assistant_text", "body": "cut off"})
    upgrade(store)
    for query, kind in (("天气", "request"), ("zebra", "call"), ("walrus", "result"), ("fine", "answer")):
        [hit] = await search_sessions(store, query)
        assert (hit.kind, hit.title, hit.number) == (kind, "A title", 1)
    info = await _records.load_session(store, "s-1")
    assert (info.turns, info.usage) == (2, Usage(requests=3, input_tokens=10, seconds=0.5))
    store.close()


async def test_what_stands_for_earlier_turns_is_kept_once(store: Store) -> None:
    await anyio.to_thread.run_sync(upgrade_to, store, "0011")
    with store.durable_engine.begin() as connection:
        for session in ("s-1", "s-2"):
            connection.execute(
                text(
                    "INSERT INTO sessions (id, folder, title, model, created, updated) VALUES "
                    "(:id, '/f', '', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
                ),
                {"id": session},
            )
            for turn in (2, 3, 5):
                entries = json.dumps([{"number": number, "said": ["a"]} for number in range(1, turn + 1)])
                connection.execute(
                    text("INSERT INTO compactions VALUES (:session, :turn, :entries)"),
                    {"session": session, "turn": turn, "entries": entries},
                )
    upgrade(store)
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT entries FROM compactions ORDER BY session, turn")).scalars()
        assert [[entry["number"] for entry in json.loads(row)] for row in rows] == [[1, 2], [3], [4, 5]] * 2
    store.close()


async def test_what_takes_long_says_how_far_it_is(store: Store) -> None:
    await anyio.to_thread.run_sync(upgrade_to, store, "0008")
    with store.durable_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sessions (id, folder, title, model, created, updated) VALUES "
                "('s-1', '/f', '', '', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            )
        )
        event = text(
            "INSERT INTO events (session, seq, turn, type, body) VALUES ('s-1', :seq, '', 'x', '{}')"
        )
        connection.execute(event, [{"seq": seq} for seq in range(1, 11_001)])
    told: list[str] = []
    upgrade(store, told.append)
    assert told == [
        f"Past sessions are made searchable: {done} of 11,000 events." for done in ("0", "5,000", "10,000")
    ]
    store.close()


@pytest.mark.parametrize("said", ["看看天气 today", "Größe ǅ x_y 1.5", "한국어 を 一", "", "ﬁn Ａ"])
def test_the_words_of_an_earlier_schema_are_those_that_are_looked_for(said: str) -> None:
    script = ScriptDirectory.from_config(CONFIG).get_revision("0009")
    assert script is not None and script.module._words(said) == indexed(said)
