"""How fast the ledger is, beside the chain that web3's users test on and beside bare SQLite, in one run.

    python -m benchmarks ledger

The peer is installed into an environment of its own from ledger.requirements.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from sqlalchemy import insert
from sqlalchemy.orm import Session

from llmasos.ledger import ChainLedger, Entry, MemoryChain, Progress, _contract
from llmasos.ledger._check_records import RecordCheck
from llmasos.ledger._digest import FIRST_HEAD, canonical, next_anchored_head, next_head
from llmasos.ledger._pages import Pages
from llmasos.ledger._problems import Problems
from llmasos.ledger._records import route_of, seal
from llmasos.ledger._tables import RecordRow
from llmasos.ledger._types import Mode, kind_number
from llmasos.ledger.chains.anvil import AnvilChain
from llmasos.ledger.chains.embedded import EmbeddedChain
from llmasos.ledger.chains.local import LocalChain
from llmasos.ledger.chains.port import Chain
from llmasos.store import Base, Store

HERE = Path(__file__).parent
ARTIFACT = HERE.parent / "llmasos" / "ledger" / "AuditLog.json"
EVENT_ONLY = HERE / "EventOnly.json"
PEER = "`EthereumTesterProvider`"
COUNT, ANVIL_COUNT = 150, 5_000
COMMITS, CHECKS = 100, 50
TREE = 1_024
FEW, MANY = 10_000, 100_000
CHUNK, SESSIONS = 5_000, 20
PATIENCE = 300.0
COLUMNS = tuple(column.name for column in RecordRow.__table__.columns)
BODY = {
    "arguments": hashlib.sha256(b"arguments").hexdigest(),
    "policy": {"rule": "allow: read", "version": hashlib.sha256(b"policy").hexdigest()},
    "tier": "bubblewrap",
    "who": {"client": "shell", "user": "somebody"},
}


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        ours: What was measured.
        unit: `ms`, `MiB`, `bytes`, `gas`, or something per second.
        bound: What `ours` may be at most, or must be at least; None for a figure that only informs.
        least: Whether more is better.
        peer: What it is compared with; empty when the bound is a figure of its own.
        theirs: The peer's figure.
        factor: How the bound relates to the peer's figure, in words.
    """

    what: str
    ours: float
    unit: str
    bound: float | None = None
    least: bool = False
    peer: str = ""
    theirs: float = 0.0
    factor: str = ""

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.bound is None or (self.ours >= self.bound if self.least else self.ours <= self.bound)

    def markdown(self) -> str:
        """Return the line in Markdown."""
        word = "at least" if self.least else "at most"
        bound = self.factor or ("" if self.bound is None else f"{word} {self._show(self.bound)}")
        beside = f"{self.peer}: {self._show(self.theirs)}" if self.peer else ""
        ratio = ""
        if self.theirs:
            times = self.ours / self.theirs
            ratio = f"{times:,.2f}x" if times >= 0.01 else f"1/{1 / times:,.0f}"
        met = "" if self.bound is None else "yes" if self.met else "**no**"
        return f"| {self.what} | {bound} | {self._show(self.ours)} | {beside} | {ratio} | {met} |"

    def _show(self, value: float) -> str:
        digits = 0 if value >= 1000 or value == int(value) else 2
        return f"{value:,.{digits}f} {self.unit}"


@dataclass
class Desk:
    """A ledger on a chain of its own, with its database, whose first record is made by `record`."""

    ledger: ChainLedger
    store: Store

    async def record(self) -> None:
        """Record one action."""
        await self.ledger.record(entry(0, "first"))

    def fill(self, count: int, mode: Mode) -> float:
        """Write records as the ledger does, in one transaction, and return the moment before its commit.

        The ledger does not know of them before its next look at the database.
        """
        route = route_of(mode)
        body = canonical(BODY).decode()
        heads: dict[str, tuple[int, bytes]] = {}

        def rows(start: int) -> Iterator[dict[str, Any]]:
            for place in range(start, min(start + CHUNK, count)):
                made = entry(place, f"s{place % SESSIONS}")
                seq, head = heads.get(made.session, (0, FIRST_HEAD))
                row = seal(made, body, number=place + 2, seq=seq + 1, head=head, route=route)
                heads[made.session] = seq + 1, bytes.fromhex(row.head)
                yield {name: getattr(row, name) for name in COLUMNS}

        def write(session: Session) -> float:
            for start in range(0, count, CHUNK):
                session.execute(insert(RecordRow), list(rows(start)))
            return time.perf_counter()

        return self.store.run_sync(write)

    async def flush(self) -> None:
        """Wait until the chain has everything; a figure of something that failed says nothing."""
        if not await self.ledger.flush(PATIENCE):
            raise RuntimeError(f"the chain does not take the records: {await self.ledger.status()}")


@asynccontextmanager
async def desk(folder: Path, chain: Chain, mode: Mode = "each") -> AsyncIterator[Desk]:
    """Give out a ledger."""
    store = Store(f"sqlite:///{folder / 'ledger.db'}")
    Base.metadata.create_all(store.engine)
    try:
        async with ChainLedger(store, chain, mode=mode, wait=0.0, backlog=10 * MANY) as ledger:
            yield Desk(ledger, store)
    finally:
        store.close()


def entry(place: int, session: str) -> Entry:
    """Return what is recorded of an action."""
    return Entry(session=session, kind="intent", action=f"action-{place}", tool="read_file", body=BODY)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peers() -> dict[str, float]:
    """Install the peer, and return what a transaction and an event of a query take there, in seconds."""
    with tempfile.TemporaryDirectory() as base:
        venv.create(base, with_pip=True)
        python = f"{base}/bin/python"
        wanted = str(HERE / "ledger.requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        command = [python, str(HERE / "ledger_peers.py"), str(ARTIFACT), str(COUNT)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


class Account:
    """An account on a local chain, with the audit log deployed and a session opened, without a ledger."""

    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._nonce = 0
        self.key = hashlib.sha256(b"bench").digest()
        self.contract = ""

    async def open(self) -> None:
        """Deploy the contract, and open the session."""
        await self._chain.connect()
        self.contract = await self.deploy(_contract.deploy_code())
        await self.send(self.contract, _contract.open_call(self.key))

    async def deploy(self, code: bytes) -> str:
        """Deploy a contract, and return its address."""
        address = _contract.created_address(self._chain.account, self._nonce)
        await self.send(None, code)
        return address

    async def send(self, to: str | None, data: bytes) -> int:
        """Send a transaction, and return the gas that it used."""
        signed = await self.signed(to, data)
        await self._chain.send([signed.raw])
        (receipt,) = await self._chain.receipts([signed.tx_hash])
        if receipt is None or not receipt.ok:
            raise RuntimeError("the contract refused it")
        return receipt.gas

    async def signed(self, to: str | None, data: bytes) -> Any:
        """Return the account's next transaction."""
        self._nonce += 1
        return self._chain.sign(self._nonce - 1, to, data, await self._chain.fees())


async def node_alone(folder: Path) -> tuple[float, float]:
    """Return what one `append` and one event of a query take on the embedded chain, in seconds."""
    chain = EmbeddedChain(folder)
    try:
        account = Account(chain)
        await account.open()
        signed, head = [], FIRST_HEAD
        for seq in range(1, COUNT + 1):
            digest = hashlib.sha256(seq.to_bytes(8)).digest()
            call = _contract.append_call(account.key, seq, head, digest, kind_number("intent"))
            signed.append(await account.signed(account.contract, call))
            head = next_head(account.key, seq, head, digest, kind_number("intent"))
        appended = []
        for transaction in signed:
            began = time.perf_counter()
            await chain.send([transaction.raw])
            receipts = await chain.receipts([transaction.tx_hash])
            appended.append(time.perf_counter() - began)
            if receipts[0] is None or not receipts[0].ok:
                raise RuntimeError("the contract refused it")
        queried = []
        for _ in range(5):
            began = time.perf_counter()
            block = await chain.block()
            events = [
                event async for event in chain.logged(account.contract, 0, block.number if block else 0)
            ]
            queried.append(time.perf_counter() - began)
            if len(events) != COUNT:
                raise RuntimeError("events are missing")
        return statistics.median(appended), statistics.median(queried) / COUNT
    finally:
        await chain.close()


async def gas(folder: Path) -> dict[str, float]:
    """Return the gas of an event alone, of an append, and for each record of a batch and of a tree."""
    chain = EmbeddedChain(folder)
    try:
        account = Account(chain)
        await account.open()
        peer: dict[str, Any] = json.loads(EVENT_ONLY.read_text())
        events = await account.deploy(bytes.fromhex(peer["bytecode"]))
        (selector,) = peer["selectors"].values()
        head, kind = FIRST_HEAD, kind_number("intent")
        # The first record of a session pays for the room of its head.
        for seq in (1, 2):
            digest = hashlib.sha256(seq.to_bytes(8)).digest()
            words = account.key, seq.to_bytes(32), digest, kind.to_bytes(32)
            alone = await account.send(events, bytes.fromhex(selector) + b"".join(words))
            call = _contract.append_call(account.key, seq, head, digest, kind)
            append = await account.send(account.contract, call)
            head = next_head(account.key, seq, head, digest, kind)
        digests = [hashlib.sha256(seq.to_bytes(8)).digest() for seq in range(100)]
        many = await account.send(
            account.contract, _contract.append_many_call(account.key, 3, head, digests, [kind] * 100)
        )
        trees, head = _contract.TREE_KEY, FIRST_HEAD
        await account.send(account.contract, _contract.open_call(trees))
        for first in (1, 1 + TREE):
            tree = await account.send(
                account.contract, _contract.anchor_call(trees, first, head, digest, TREE)
            )
            head = next_anchored_head(trees, first, head, digest, TREE)
        return {"event": alone, "append": append, "many": many / 100, "tree": tree / TREE}
    finally:
        await chain.close()


async def recording(folder: Path, chain: Chain) -> tuple[float, float]:
    """Return the medians of `record` and of a bare durable commit of as many bytes, taken in turns."""
    size = len(canonical(BODY)) + 500
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, text TEXT)")
    ours, theirs = [], []

    def commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (text) VALUES (?)", ("x" * size,))
        bare.execute("COMMIT")

    async with desk(folder, chain) as work:
        await work.record()
        await work.flush()
        for place in range(COMMITS):
            began = time.perf_counter()
            await work.ledger.record(entry(place, "s"))
            ours.append(time.perf_counter() - began)
            await work.flush()
            theirs.append(seconds(commit))
    bare.close()
    return statistics.median(ours), statistics.median(theirs)


async def confirmed(folder: Path, chain: Chain, mode: Mode, count: int) -> float:
    """Return how many records a second go from rows in the database to confirmed ones."""
    async with desk(folder, chain, mode) as work:
        await work.record()
        await work.flush()
        began = await anyio.to_thread.run_sync(work.fill, count, mode)
        # The ledger learns of them by this one.
        await work.record()
        await work.flush()
        return (count + 1) / (time.perf_counter() - began)


async def through(folder: Path, mode: Mode) -> float:
    """Return how many records a second go from `record` to confirmed on the embedded chain."""
    async with desk(folder, EmbeddedChain(folder), mode) as work:
        await work.record()
        await work.flush()
        began = time.perf_counter()
        for place in range(COUNT):
            await work.ledger.record(entry(place, "s"))
        await work.flush()
        return COUNT / (time.perf_counter() - began)


async def proofs(folder: Path, mode: Mode) -> tuple[int, float]:
    """Return the size of one record's proof, and what checking it takes, in seconds."""
    from llmasos.ledger import check

    async with desk(folder, EmbeddedChain(folder), mode) as work:
        await work.record()
        await work.flush()
        await anyio.to_thread.run_sync(work.fill, TREE if mode == "merkle" else 50, mode)
        await work.record()
        await work.flush()
        document = canonical(await work.ledger.prove([20]))
    return len(document), statistics.median(seconds(lambda: check.check(document)) for _ in range(CHECKS))


async def verified(folder: Path) -> dict[str, float]:
    """Verify a ledger in this process, and return rows a second, its peak of memory in MiB, and reports."""

    def peak() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    reports: list[Progress] = []
    async with desk(folder, EmbeddedChain(folder), "merkle") as work:
        await work.flush()
        began = time.perf_counter()
        verdict = await work.ledger.verify(reports.append)
        ended = time.perf_counter()
        most = peak()
        rate = max(_pass(work.store) for _ in range(3))
    if not verdict.ok:
        raise RuntimeError(f"the ledger is not in order: {verdict.problems}")
    return {
        "everything": verdict.checked / (ended - began),
        "records": rate,
        "peak": most,
        "reports": len(reports),
    }


def _pass(store: Store) -> float:
    """Return how many records a second of one core are checked in themselves, in their sessions and order."""
    records, began = RecordCheck(Pages(store), Problems()), time.process_time()
    while records.page(MANY + FEW):
        pass
    return records.checked / (time.process_time() - began)


def apart(folder: Path) -> dict[str, float]:
    """Return `verified` of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ledger", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def measure() -> list[str]:
    """Measure everything, and return the section's lines."""
    with tempfile.TemporaryDirectory() as base:
        rows = [row async for row in measured(Path(base))]
    return [
        "Medians of one run. An `append` counts from sending its signed bytes to its receipt; the peer is",
        "asked in its own process, ours over its socket. Rates count from `record()`, or from rows that wait",
        "in the database, to records that the outbox has noted as confirmed. The bare commit writes as many",
        "bytes as a record to a database beside it. Verifying is of a ledger in trees on the embedded chain.",
        "",
        "| what | bound | ours | beside | ratio | met |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row.markdown() for row in rows),
    ]


async def measured(base: Path) -> AsyncIterator[Row]:
    """Return each line as it is measured; a part that fails is a line that says so."""
    theirs = await anyio.to_thread.run_sync(peers)
    for number, part in enumerate(PARTS):
        folder = base / str(number)
        folder.mkdir()
        try:
            found = await part(folder, theirs)
        except Exception as error:
            found = [Row(f"{part.__name__} failed: {type(error).__name__} {error}", 0.0, "", -1.0)]
        for row in found:
            print(row.markdown(), flush=True)
            yield row


def _at(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place


async def embedded_rows(folder: Path, theirs: dict[str, float]) -> Sequence[Row]:
    """Measure the embedded chain beside its peer."""
    append, event = await node_alone(_at(folder, "node"))
    rate, ours = 1 / theirs["append"], await through(_at(folder, "each"), "each")
    least = "at least 3x"
    return [
        Row("embedded: `append`, the node alone", 1 / append, "tx/s", 3 * rate, True, PEER, rate, least),
        Row("embedded: from `record()` to confirmed", ours, "tx/s", 3 * rate, True, PEER, rate, least),
        Row(
            "embedded: a query, for each event",
            event * 1000,
            "ms",
            theirs["event"] * 10,
            False,
            PEER,
            theirs["event"] * 1000,
            "100x faster",
        ),
    ]


async def recording_rows(folder: Path, theirs: dict[str, float]) -> Sequence[Row]:
    """Measure `record`."""
    rows = []
    for chain in (MemoryChain(), EmbeddedChain(folder)):
        ours, bare = (1000 * value for value in await recording(_at(folder, chain.name), chain))
        what = f"`record()`, median, on the {chain.name} chain"
        rows.append(Row(what, ours, "ms", 2.5 * bare, False, "bare FULL commit", bare, "at most 2.5x"))
    return rows


async def rate_rows(folder: Path, theirs: dict[str, float]) -> Sequence[Row]:
    """Measure the rates of the modes, and verify what the last one has written."""
    anvil = await confirmed(_at(folder, "anvil"), AnvilChain(folder / "anvil"), "each", ANVIL_COUNT)
    batch = await confirmed(_at(folder, "batch"), EmbeddedChain(folder / "batch"), "batch", 5_000)
    few, many = _at(folder, "few"), _at(folder, "many")
    await confirmed(few, EmbeddedChain(few), "merkle", FEW)
    trees = await confirmed(many, EmbeddedChain(many), "merkle", MANY)
    small, large = [await anyio.to_thread.run_sync(apart, place) for place in (few, many)]
    peak, beside = large["peak"], small["peak"]
    return [
        Row("anvil: rows to confirmed, a transaction each", anvil, "tx/s", 1_200, True),
        Row("embedded: rows to confirmed, `batch`", batch, "records/s"),
        Row("embedded: rows to confirmed, `merkle`", trees, "records/s", 29_000, True),
        Row("verify, records, on one core", large["records"], "rows/s", 100_000, True),
        Row("verify, everything", large["everything"], "rows/s"),
        Row("verify, reports of its progress", large["reports"], "reports", 20, True),
        Row("verify, peak memory", peak, "MiB", 1.05 * beside, False, "10,000 records", beside, "1.05x"),
    ]


async def gas_rows(folder: Path, theirs: dict[str, float]) -> Sequence[Row]:
    """Measure what records cost."""
    used = await gas(folder)
    event, peer = used["event"], "an event alone"
    return [
        Row("`append`", used["append"], "gas", 1.6 * event, False, peer, event, "at most 1.6x"),
        Row("`appendMany` of 100, each", used["many"], "gas", None, False, peer, event),
        Row(f"`anchor` of {TREE:,}, each", used["tree"], "gas", None, False, peer, event),
    ]


async def proof_rows(folder: Path, theirs: dict[str, float]) -> Sequence[Row]:
    """Measure the proofs."""
    rows = []
    modes: tuple[Mode, ...] = ("each", "merkle")
    for mode in modes:
        size, took = await proofs(_at(folder, mode), mode)
        rows.append(Row(f"proof of one record, `{mode}`", size, "bytes", 3_100))
        rows.append(Row(f"checking it, `{mode}`", took * 1000, "ms", 1.0))
    return rows


PARTS = (embedded_rows, recording_rows, rate_rows, gas_rows, proof_rows)


def main() -> None:
    """Print what verifying a ledger takes in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    print(json.dumps(anyio.run(verified, parser.parse_args().folder)))


if __name__ == "__main__":
    main()
