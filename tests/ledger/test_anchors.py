"""Anchors on a chain in memory: what is stated, when, where, and what is found when something was altered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError, LedgerError
from llmasos.ledger import _anchoring
from llmasos.ledger._anchoring import Schedule, put, statement
from llmasos.ledger._contract import created_address
from llmasos.ledger._digest import FIRST_HEAD, next_history
from llmasos.ledger._records import append
from llmasos.ledger._tables import AnchorRow, OutboxRow, RecordRow
from llmasos.ledger._types import Entry, Route
from llmasos.ledger.anchors import evm
from llmasos.ledger.anchors.check import AnchorFindings, anchored_numbers, check_anchors, newest_anchor
from llmasos.ledger.anchors.choice import open_anchors
from llmasos.ledger.anchors.evm import EvmAnchor
from llmasos.ledger.anchors.file import FileAnchor
from llmasos.ledger.anchors.port import Anchor, AnchorError, AnchorMismatch, Statement
from llmasos.ledger.chains.memory import MemoryChain
from llmasos.ledger.chains.port import ChainError
from llmasos.store import Base, Store

pytestmark = pytest.mark.anyio

CONTRACT = "0x" + "22" * 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'ledger.db'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.close()


def stated(records: int = 3, history: str = "ab" * 32) -> Statement:
    return Statement(
        chain_id=7,
        contract=CONTRACT,
        block=records,
        block_hash="0x" + "cd" * 32,
        records=records,
        history=history,
        at=f"2026-01-02T03:04:0{records % 10}.000005+00:00",
    )


async def add(store: Store, *sessions: str, route: Route = "session") -> None:
    def write(work: Session) -> None:
        for name in sessions:
            append(work, Entry(session=name, kind="intent"), "{}", route=route)

    await store.run(write)


async def carry(
    store: Store, chain: MemoryChain, call: str, number: int, count: int = 1, contract: str = CONTRACT
) -> None:
    """Write that a transaction in a new block of the chain carries records."""
    chain.mine()
    block = await chain.block()
    assert block is not None
    nonce = block.number
    row = OutboxRow(
        account=chain.account,
        chain_id=chain.chain_id,
        nonce=nonce,
        attempt=0,
        contract=contract,
        call=call,
        number=number,
        count=count,
        raw=b"",
        tx_hash=f"0x{nonce:064x}",
        state="confirmed",
        block=block.number,
        block_hash=block.hash,
    )
    await store.run(lambda work: work.add(row))


async def carried(store: Store, chain: MemoryChain, *sessions: str) -> None:
    """Add records, each carried by a transaction of its own."""
    await add(store, *sessions)
    last = await store.run(lambda work: len(work.scalars(select(RecordRow.number)).all()))
    for number in range(last - len(sessions) + 1, last + 1):
        await carry(store, chain, "append", number)


async def histories(store: Store) -> Mapping[int, bytes]:
    """Return the history at each anchored number, from zero, as a verification computes it."""
    wanted, history, found = await anchored_numbers(store), FIRST_HEAD, {}
    digests = await store.run(
        lambda work: work.scalars(select(RecordRow.digest).order_by(RecordRow.number)).all()
    )
    for number, digest in enumerate(digests, 1):
        history = next_history(history, bytes.fromhex(digest))
        if number in wanted:
            found[number] = history
    return found


async def checked(store: Store, chain: MemoryChain | None, *anchors: Anchor) -> AnchorFindings:
    return await check_anchors(store, chain, anchors, await histories(store), await newest_anchor(store))


async def run_sql(store: Store, *statements: str) -> None:
    await store.run(lambda work: [work.execute(text(sql)) for sql in statements])


# What is stated


async def test_a_statement_ends_before_the_first_record_that_is_not_confirmed(store: Store) -> None:
    chain = MemoryChain()
    await add(store, "a", "b", "a")
    with pytest.raises(LedgerError, match="No record is confirmed"):
        await statement(store, chain, CONTRACT)
    await carry(store, chain, "append", 1)
    await carry(store, chain, "append", 3)
    assert (await statement(store, chain, CONTRACT)).records == 1
    await carry(store, chain, "append", 2, contract="0x" + "33" * 20)
    assert (await statement(store, chain, CONTRACT)).records == 1
    await carry(store, chain, "append", 2)
    made = await statement(store, chain, CONTRACT)
    block = await chain.block(4)
    assert block is not None
    assert (made.records, made.block, made.block_hash) == (3, 4, block.hash)


async def test_batches_and_trees_count_for_all_that_they_carry(store: Store) -> None:
    chain = MemoryChain()
    await add(store, "a", "b", "a", "a")
    await add(store, "t", "u", "t", route="tree")
    await carry(store, chain, "many", 1, 3)
    await carry(store, chain, "append", 2)
    assert (await statement(store, chain, CONTRACT)).records == 4
    await carry(store, chain, "anchor", 5, 2)
    assert (await statement(store, chain, CONTRACT)).records == 6
    await carry(store, chain, "anchor", 7)
    assert (await statement(store, chain, CONTRACT)).records == 7


async def test_the_history_is_continued_from_the_newest_anchor_only_if_that_is_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_anchoring, "CHUNK", 2)
    chain, anchor = MemoryChain(), FileAnchor(tmp_path / "anchors")
    await carried(store, chain, "a", "a", "a")
    await put(store, anchor, await statement(store, chain, CONTRACT))
    await carried(store, chain, "a", "b")
    first = await statement(store, chain, CONTRACT)
    # The digests of what was anchored are not read again …
    await run_sql(store, f"UPDATE ledger_records SET digest = '{'00' * 32}' WHERE number = 1")
    assert (await statement(store, chain, CONTRACT)).history == first.history
    # … unless the anchor was altered.
    await run_sql(store, f"UPDATE ledger_anchors SET history = '{'00' * 32}'")
    again = await statement(store, chain, CONTRACT)
    assert again.history not in (first.history, "00" * 32)
    await run_sql(store, "DELETE FROM ledger_records WHERE number = 2")
    with pytest.raises(LedgerError, match="missing"):
        await statement(store, chain, CONTRACT)


async def test_nothing_is_stated_of_a_block_that_the_chain_lost(store: Store) -> None:
    chain = MemoryChain()
    await carried(store, chain, "a", "a")
    chain.reorganise(1)
    with pytest.raises(ChainError, match="block 2"):
        await statement(store, chain, CONTRACT)
    chain.mine()
    with pytest.raises(ChainError, match="block 2"):
        await statement(store, chain, CONTRACT)


# The file


async def test_a_file_holds_a_line_for_each_statement(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "anchors.jsonl")
    assert await anchor.digests() == []
    receipts = [await anchor.put(stated(n)) for n in (1, 2)]
    before = (tmp_path / "anchors.jsonl").read_bytes()
    assert await anchor.put(stated(1)) == receipts[0]
    assert (tmp_path / "anchors.jsonl").read_bytes() == before
    assert await anchor.digests() == [stated(1).digest, stated(2).digest]
    assert await anchor.check(stated(2), receipts[1]) == stated(2).at
    for about, receipt in [(stated(2), receipts[0]), (stated(2), b'{"line":9}'), (stated(2), b"x")]:
        with pytest.raises(AnchorMismatch):
            await anchor.check(about, receipt)


@pytest.mark.parametrize("cut", [1, 5, 40, 200])
async def test_a_line_that_a_crash_cut_off_stays_and_the_next_one_follows(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "anchors.jsonl"
    anchor = FileAnchor(path)
    first = await anchor.put(stated(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:cut])
    assert await anchor.digests() == [stated(1).digest]
    second = await anchor.put(stated(2))
    assert path.read_bytes().startswith(whole + whole[:cut] + b"\n")
    assert await anchor.digests() == [stated(1).digest, stated(2).digest]
    for number, receipt in ((1, first), (2, second)):
        assert await anchor.check(stated(number), receipt)


async def test_a_file_that_was_rewritten_or_shortened_is_found(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    anchor = FileAnchor(path)
    first, second = await anchor.put(stated(1)), await anchor.put(stated(2))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0])
    assert await anchor.check(stated(1), first)
    with pytest.raises(AnchorMismatch, match="cut off"):
        await anchor.check(stated(2), second)
    path.write_text(lines[1] + lines[0])
    with pytest.raises(AnchorMismatch, match="rewritten"):
        await anchor.check(stated(2), second)
    path.unlink()
    with pytest.raises(AnchorMismatch, match="cut off"):
        await anchor.check(stated(1), first)
    path.write_text(lines[0].replace('"records":1', '"records":2'))
    with pytest.raises(AnchorMismatch, match="Line 1"):
        await anchor.digests()
    path.write_text("notes of somebody\n")
    with pytest.raises(AnchorMismatch, match="Line 1"):
        await anchor.put(stated(1))
    assert path.read_text() == "notes of somebody\n"


async def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(AnchorError, match="does not exist") as missing:
        await FileAnchor(tmp_path / "disk" / "anchors").put(stated())
    assert "mount" in missing.value.hint
    with pytest.raises(AnchorError, match="does not exist"):
        await FileAnchor(tmp_path / "disk" / "anchors").digests()
    with pytest.raises(AnchorError, match="directory"):
        await FileAnchor(tmp_path).put(stated())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AnchorError, match="not a file"):
        await FileAnchor(tmp_path / "pipe").put(stated())
    # A disk that is full and one that is read-only say so the same way.
    with pytest.raises(AnchorError, match="cannot be written"):
        await FileAnchor(Path("/dev/full")).put(stated())
    with pytest.raises(AnchorError, match="cannot be written"):
        await FileAnchor(Path("/proc/anchors")).put(stated())


# Another chain


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evm, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(evm, "CONFIRM_SECONDS", 0.05)


async def test_another_chain_holds_digests_in_a_contract_of_its_own() -> None:
    chain = MemoryChain()
    anchor = EvmAnchor("evm:5@https://example.org", chain)
    assert await anchor.digests() == []
    first, second = await anchor.put(stated(1)), await anchor.put(stated(2))
    assert await anchor.digests() == [stated(1).digest, stated(2).digest]
    assert len(chain.sent) == 4
    assert await anchor.put(stated(1)) == first
    assert len(chain.sent) == 4
    block = await chain.block()
    assert block is not None
    assert datetime.fromisoformat(await anchor.check(stated(2), second)).timestamp() == block.time
    for about, receipt in [(stated(1), second), (stated(2), b"{}")]:
        with pytest.raises(AnchorMismatch):
            await anchor.check(about, receipt)
    # Somebody with the key began anew: the statements are gone.
    chain.wipe()
    with pytest.raises(AnchorMismatch, match="does not hold"):
        await anchor.check(stated(1), first)
    assert await anchor.digests() == []
    chain.away = True
    for question in (anchor.put(stated(3)), anchor.check(stated(1), first), anchor.digests()):
        with pytest.raises(AnchorError, match="away"):
            await question


async def test_a_chain_that_hides_statements_is_found() -> None:
    chain = MemoryChain()
    anchor = EvmAnchor("evm:5@https://example.org", chain)
    for number in (1, 2, 3):
        await anchor.put(stated(number))
    events = list(chain.events)
    for shown in (events[:2], events[1:], [events[0], events[2]], []):
        chain.events = shown
        with pytest.raises(AnchorMismatch, match="stores"):
            await anchor.digests()


@pytest.mark.usefixtures("_impatient")
async def test_what_is_not_mined_is_sent_again_with_more() -> None:
    chain = MemoryChain(automatic=False)
    anchor = EvmAnchor("evm:5@https://example.org", chain)
    chain.base_fee = 10
    with pytest.raises(AnchorError, match="has not mined"):
        await anchor.put(stated(1))
    with pytest.raises(AnchorError, match="has not mined"):
        await anchor.put(stated(1))
    assert len(set(chain.sent)) == 2
    chain.mine()
    assert await chain.has_code(created_address(chain.account, 0))


async def test_an_account_that_did_something_else_is_refused() -> None:
    chain = MemoryChain()
    await chain.send([chain.sign(0, chain.account, b"", await chain.fees()).raw])
    with pytest.raises(AnchorMismatch, match="something else"):
        await EvmAnchor("evm:5@https://example.org", chain).put(stated(1))
    with pytest.raises(AnchorError, match="needs funds"):
        await EvmAnchor("evm:5@https://example.org", Poor()).put(stated(1))


class Poor(MemoryChain):
    """A chain whose account cannot pay."""

    async def send(self, transactions: Any) -> None:
        raise ChainError("The account needs funds.")


# Which places


def chosen(*targets: str) -> list[Anchor]:
    opened: list[tuple[str, int]] = []

    def open_chain(url: str, ident: int) -> MemoryChain:
        opened.append((url, ident))
        return MemoryChain()

    return open_anchors(LedgerSettings(anchors=targets), open_chain)


async def test_targets_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    targets = [
        "file:/mnt/other/anchors.jsonl",
        "file:~/a b#c",
        "git:/srv/log",
        "git:/srv/log#audit/x",
        "evm:11155111@https://name:pass@example.org:8545/v3/secret?key=secret#100",
    ]
    assert [anchor.target for anchor in chosen(*targets)] == [
        "file:/mnt/other/anchors.jsonl",
        "file:/home/somebody/a b#c",
        "git:/srv/log",
        "git:/srv/log#audit/x",
        "evm:11155111@https://example.org:8545",
    ]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("ftp:/x", "unknown"),
        ("", "unknown"),
        ("/mnt/x", "unknown"),
        ("file:anchors.jsonl", "must begin"),
        ("file:", "must begin"),
        ("file:/a\0b", "must begin"),
        ("git:repository", "must begin"),
        ("git:/r#", "no name of a branch"),
        ("git:/r#a..b", "no name of a branch"),
        ("git:/r#-d", "no name of a branch"),
        ("rfc3161:ftp://example.org", "http"),
        ("rfc3161:https://", "http"),
        ("rfc3161:https://example.org:x/secret", "http"),
        ("rfc3161:https://me:secret@example.org", "password"),
        ("rfc3161:https://example.org#roots.pem", "must begin"),
        ("evm:https://example.org/secret", "chain's id"),
        ("evm:0@https://example.org/secret", "chain's id"),
        ("evm:5@example.org/secret", "http"),
        ("evm:5@https://example.org/secret#x", "number of a block"),
    ],
)
def test_a_target_that_is_wrong_is_named_without_its_secrets(target: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        chosen(target)
    assert "secret" not in str(caught.value)
    assert "rfc3161:URL" in caught.value.hint


def test_a_target_is_named_once() -> None:
    with pytest.raises(ConfigError, match="twice"):
        chosen("file:/x", "file:/x")


# Putting, and a crash in between


class Remembering:
    """A place in memory.

    Args:
        lists: Whether it can tell what it holds.

    `fail` makes the next calls of `put` fail; `crash` makes them fail after the statement lies there.
    """

    def __init__(self, target: str = "memory:a", *, lists: bool = True) -> None:
        self.target = target
        self.held: list[Statement] = []
        self.fail = self.crash = self.away = False
        self.puts = 0
        self.called = anyio.Event()
        self._lists = lists

    async def put(self, statement: Statement) -> bytes:
        self.puts += 1
        self.called.set()
        self.called = anyio.Event()
        if self.fail:
            raise AnchorError("The place is away.", hint="Wait.")
        if not self._lists or statement not in self.held:
            self.held.append(statement)
        if self.crash:
            raise RuntimeError("killed")
        return json.dumps(len(self.held)).encode()

    async def check(self, statement: Statement, receipt: bytes) -> str:
        if self.away:
            raise AnchorError("The place is away.")
        if statement not in self.held:
            raise AnchorMismatch("The place does not hold this.")
        return statement.at

    async def digests(self) -> list[bytes] | None:
        if self.away:
            raise AnchorError("The place is away.")
        return [statement.digest for statement in self.held] if self._lists else None

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("lists", [True, False])
async def test_a_crash_before_the_receipt_leaves_nothing_that_is_not_known(store: Store, lists: bool) -> None:
    chain, anchor = MemoryChain(), Remembering(lists=lists)
    await carried(store, chain, "a")
    anchor.crash = True
    with pytest.raises(RuntimeError):
        await put(store, anchor, await statement(store, chain, CONTRACT))
    findings = await checked(store, chain, anchor)
    assert (findings.anchored, findings.problems) == ((), ())
    anchor.crash = False
    await carried(store, chain, "a")
    done = await put(store, anchor, await statement(store, chain, CONTRACT))
    assert done is not None and done.records == 2
    findings = await checked(store, chain, anchor)
    assert ([found.last for found in findings.anchored], findings.problems) == ([2, 1], ())
    assert len(set(anchor.held)) == 2
    assert await put(store, anchor, await statement(store, chain, CONTRACT)) is None


async def test_what_is_owed_is_put_even_while_the_chain_is_away(store: Store) -> None:
    chain, anchor = MemoryChain(), Remembering()
    await carried(store, chain, "a")
    anchor.fail = True
    with pytest.raises(AnchorError):
        await put(store, anchor, await statement(store, chain, CONTRACT))
    anchor.fail = False
    done = await put(store, anchor, None)
    assert done is not None and done.records == 1
    assert (await checked(store, None, anchor)).anchored[0].last == 1


# Checking


async def anchored(store: Store, chain: MemoryChain, *anchors: Anchor) -> None:
    """Anchor two records, then four."""
    for _ in range(2):
        await carried(store, chain, "a", "b")
        made = await statement(store, chain, CONTRACT)
        for anchor in anchors:
            await put(store, anchor, made)


async def test_what_holds_is_vouched_for(store: Store, tmp_path: Path) -> None:
    chain = MemoryChain()
    anchors = FileAnchor(tmp_path / "x"), Remembering(lists=False), EvmAnchor("evm:1@x", MemoryChain())
    await anchored(store, chain, *anchors)
    assert await anchored_numbers(store) == [2, 4]
    findings = await checked(store, chain, *anchors)
    assert (findings.problems, findings.unreachable, findings.notes) == ((), (), ())
    assert [found.last for found in findings.anchored] == [4, 4, 4, 2, 2, 2]
    assert {found.note for found in findings.anchored} == {""}
    # A chain that was built again is worth a note, and no more.
    chain.reorganise(1)
    chain.mine()
    notes = {found.last: found.note for found in (await checked(store, chain, *anchors)).anchored}
    assert "rebuilt" in notes[4] and not notes[2]
    chain.away = True
    assert len((await checked(store, chain, *anchors)).anchored) == 6


async def test_an_anchor_that_is_made_during_a_check_is_left_to_the_next_one(
    store: Store, tmp_path: Path
) -> None:
    chain, anchor = MemoryChain(), FileAnchor(tmp_path / "x")
    await anchored(store, chain, anchor)
    newest, history = await newest_anchor(store), await histories(store)
    await carried(store, chain, "c")
    await put(store, anchor, await statement(store, chain, CONTRACT))
    findings = await check_anchors(store, chain, [anchor], history, newest)
    assert findings.problems == () and [found.last for found in findings.anchored] == [4, 2]
    assert [found.last for found in (await checked(store, chain, anchor)).anchored] == [5, 4, 2]


@pytest.mark.parametrize(
    ("sql", "first", "reason"),
    [
        ("UPDATE ledger_anchors SET records = 3 WHERE id = 2", 3, "altered"),
        ("UPDATE ledger_anchors SET history = 'ff' WHERE id = 2", 3, "altered"),
        ("UPDATE ledger_anchors SET block = 9 WHERE id = 1", 1, "altered"),
        ("UPDATE ledger_anchors SET block_hash = '0x' WHERE id = 1", 1, "altered"),
        ("UPDATE ledger_anchors SET chain_id = 9 WHERE id = 1", 1, "altered"),
        ("UPDATE ledger_anchors SET contract = '0x' WHERE id = 1", 1, "altered"),
        ("UPDATE ledger_anchors SET at = '' WHERE id = 2", 3, "altered"),
        (f"UPDATE ledger_anchors SET digest = '{'00' * 32}' WHERE id = 2", 1, "does not know"),
        ("UPDATE ledger_anchors SET target = 'file:/y' WHERE id = 2", 1, "does not know"),
        ("UPDATE ledger_anchors SET receipt = x'00' WHERE id = 2", 5, "receipt was altered"),
        ("UPDATE ledger_anchors SET receipt = x'' WHERE id = 1", 3, "is missing"),
        ("DELETE FROM ledger_anchors WHERE id = 2", 1, "does not know"),
        ("DELETE FROM ledger_anchors", 1, "does not know"),
        (f"UPDATE ledger_records SET digest = '{'00' * 32}' WHERE number = 3", 3, "Records 3 to 4"),
        (f"UPDATE ledger_records SET digest = '{'00' * 32}' WHERE number = 1", 1, "Records 1 to 2"),
        ("DELETE FROM ledger_records WHERE number = 4", 3, "the last are missing"),
    ],
)
async def test_what_was_altered_is_found(
    store: Store, tmp_path: Path, sql: str, first: int, reason: str
) -> None:
    chain, anchor = MemoryChain(), FileAnchor(tmp_path / "x")
    await anchored(store, chain, anchor)
    await run_sql(store, sql)
    problems = (await checked(store, chain, anchor)).problems
    assert len(problems) == 1
    assert problems[0][0] == first and reason in problems[0][1]


async def test_a_database_that_was_rewritten_as_a_whole_is_found(store: Store, tmp_path: Path) -> None:
    chain, anchor = MemoryChain(), FileAnchor(tmp_path / "x")
    await anchored(store, chain, anchor)
    await run_sql(store, *(f"DELETE FROM ledger_{table}" for table in ("records", "outbox", "anchors")))
    chain.wipe()
    await carried(store, chain, "a", "b", "a", "b")
    assert "does not know" in (await checked(store, chain, anchor)).problems[0][1]
    # Anchoring it again does not hide that.
    await put(store, anchor, await statement(store, chain, CONTRACT))
    assert "2 statements" in (await checked(store, chain, anchor)).problems[0][1]


async def test_places_that_cannot_be_asked_are_told_apart(store: Store) -> None:
    chain, near, far = MemoryChain(), Remembering("memory:near"), Remembering("memory:far")
    await anchored(store, chain, near, far)
    far.away = True
    findings = await checked(store, chain, near, far)
    assert (findings.problems, [found.target for found in findings.anchored]) == ((), ["memory:near"] * 2)
    assert findings.unreachable == ("memory:far: The place is away.",)
    findings = await checked(store, chain, near)
    assert (findings.problems, findings.unreachable) == ((), ())
    assert "memory:far" in findings.notes[0]


# The schedule


@pytest.fixture
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_anchoring, "IDLE_SECONDS", 0.001)
    monkeypatch.setattr(_anchoring, "LONGEST_SECONDS", 0.001)
    monkeypatch.setattr(_anchoring, "FIRST_RETRY_SECONDS", 0.001)


class Clock:
    """A clock that is set by hand, begun at the real time."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.mark.usefixtures("_eager")
async def test_the_schedule_anchors_what_is_new_when_it_is_due(store: Store) -> None:
    chain, anchor, clock = MemoryChain(), Remembering(), Clock()

    async def held(count: int) -> None:
        with anyio.fail_after(10):
            while len(anchor.held) < count:
                await anchor.called.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Schedule(store, chain, lambda: CONTRACT, [anchor], 24, now=clock).run)
        await carried(store, chain, "a")
        await held(1)
        await carried(store, chain, "a")
        clock.time += timedelta(hours=23)
        turns = Counting(store)
        await turns.wait(5)
        assert len(anchor.held) == 1
        clock.time += timedelta(hours=2)
        await held(2)
        clock.time += timedelta(hours=25)
        await turns.wait(5)
        assert (len(anchor.held), anchor.puts) == (2, 2)
        tasks.cancel_scope.cancel()
    # After a restart the time goes on from the newest anchor.
    clock.time = datetime.fromisoformat(anchor.held[-1].at) + timedelta(hours=23)
    again = Schedule(store, chain, lambda: CONTRACT, [anchor], 24, now=clock)
    await carried(store, chain, "a")
    assert await again._turn() > 0 and anchor.puts == 2
    clock.time += timedelta(hours=2)
    assert await again._turn() == 0 and anchor.puts == 3


class Counting:
    """Counts the transactions on a store, so that a test can wait for some more."""

    def __init__(self, store: Store) -> None:
        self._run, self._next = store.run, anyio.Event()
        store.run = self._counted  # type: ignore[method-assign]

    async def _counted(self, *arguments: Any, **options: Any) -> Any:
        result = await self._run(*arguments, **options)
        self._next.set()
        self._next = anyio.Event()
        return result

    async def wait(self, count: int) -> None:
        with anyio.fail_after(10):
            for _ in range(count):
                await self._next.wait()


@pytest.mark.usefixtures("_eager")
async def test_what_fails_is_told_and_tried_again(store: Store) -> None:
    chain, good, bad = MemoryChain(), Remembering("memory:good"), Remembering("memory:bad")
    bad.fail = True
    await carried(store, chain, "a")
    schedule = Schedule(store, chain, lambda: CONTRACT, [bad, good], 24)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedule.run)
        with anyio.fail_after(10):
            while bad.puts < 4:
                await bad.called.wait()
        states = {state.target: state for state in await schedule.states()}
        assert (states["memory:good"].records, states["memory:good"].error) == (1, "")
        assert states["memory:bad"].records == 0
        assert (states["memory:bad"].error, states["memory:bad"].hint) == ("The place is away.", "Wait.")
        bad.fail = False
        with anyio.fail_after(10):
            while not bad.held:
                await bad.called.wait()
        tasks.cancel_scope.cancel()
    assert good.puts == 1


@pytest.mark.usefixtures("_eager")
async def test_the_schedule_outlives_a_row_that_was_altered(store: Store) -> None:
    chain, anchor = MemoryChain(), Remembering()
    await carried(store, chain, "a")
    await put(store, anchor, await statement(store, chain, CONTRACT))
    await run_sql(store, "UPDATE ledger_anchors SET at = 'never'")
    schedule = Schedule(store, chain, lambda: CONTRACT, [anchor], 24)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(schedule.run)
        await Counting(store).wait(3)
        assert "never" in (await schedule.states())[0].error
        await run_sql(store, "DELETE FROM ledger_anchors")
        with anyio.fail_after(10):
            while anchor.puts < 2:
                await anchor.called.wait()
        tasks.cancel_scope.cancel()


async def test_delays_grow_to_a_limit(store: Store) -> None:
    schedule = Schedule(store, MemoryChain(), lambda: CONTRACT, [Remembering()], 24)
    place, waits = schedule._places["memory:a"], []
    for _ in range(12):
        schedule._failed(place, AnchorError("away"))
        waits.append(round(place.retry_at - anyio.current_time()))
    assert waits[:4] == [10, 20, 40, 80] and waits[-1] == 3600


async def test_anchoring_on_demand(store: Store) -> None:
    chain, one, two = MemoryChain(), Remembering("memory:one"), Remembering("memory:two")
    contract: list[str | None] = [None]
    schedule = Schedule(store, chain, lambda: contract[0], [one, two], 24)
    states = await schedule.anchor()
    assert [state.error for state in states] == ["Nothing has reached the chain yet."] * 2
    contract[0] = CONTRACT
    await carried(store, chain, "a")
    (state,) = await schedule.anchor("memory:two")
    assert (state.target, state.records, state.error, len(one.held)) == ("memory:two", 1, "", 0)
    two.fail = True
    await carried(store, chain, "a")
    states = await schedule.anchor()
    assert [(state.records, state.error) for state in states] == [(2, ""), (1, "The place is away.")]
    with pytest.raises(ConfigError, match="memory:three") as caught:
        await schedule.anchor("memory:three")
    assert "memory:one" in caught.value.hint
    with pytest.raises(ConfigError, match="No anchors"):
        await Schedule(store, chain, lambda: CONTRACT, [], 24).anchor()


async def test_a_row_that_was_altered_is_not_put(store: Store) -> None:
    chain, anchor = MemoryChain(), Remembering()
    await carried(store, chain, "a")
    anchor.fail = True
    with pytest.raises(AnchorError):
        await put(store, anchor, await statement(store, chain, CONTRACT))
    anchor.fail = False
    await store.run(lambda work: work.execute(update(AnchorRow).values(records=7)))
    with pytest.raises(AnchorMismatch, match="altered"):
        await put(store, anchor, None)
    assert not anchor.held
