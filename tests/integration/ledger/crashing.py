"""Writers of a ledger that get killed, each forked from a process that has imported everything.

Starting Python with all imports takes a second, and a fork takes milliseconds, so that hundreds of deaths fit
into a minute. The embedded chain's node is a fork, too; only how it begins differs from the real one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from sqlalchemy import event

from llmasos.ledger import ChainLedger, Entry
from llmasos.ledger._contract import Anchored
from llmasos.ledger._digest import use_native_code
from llmasos.ledger._types import Mode
from llmasos.ledger.chains.anvil import AnvilChain
from llmasos.ledger.chains.embedded import EmbeddedChain
from llmasos.ledger.chains.local import LocalChain
from llmasos.ledger.chains.port import ChainError
from llmasos.store import Base, Store

PRELOADED = (
    *("coincurve", "rfc8785", "rlp", "sha3", "eth.chains.base", "eth.db.atomic", "eth.vm.forks.cancun"),
    *("llmasos.ledger.node.__main__", "llmasos.ledger.node.methods", "llmasos.ledger._verify"),
    *("sqlalchemy.dialects.sqlite", "anyio._backends._asyncio", "tests.integration.ledger.crashing"),
)
SESSIONS = 3
# One that begins while the one of a writer killed before still ends finds its chain in use.
SPARE_NODES = 4
BURST = 6
# What changes something outside of the process; what lies between two of them leaves no trace of itself.
STEPS = ("connect", "send", "receipts", "prepare", "adopt")
PATIENCE = 60.0


@dataclass(frozen=True)
class Plan:
    """What a writer does.

    Args:
        folder: Where database, chain and key are.
        step: At which step its whole group dies; 0 for a writer that goes on until it is killed.
        records: How many records a writer makes that dies at a step, or ends.
        rotates: Whether it then hands everything to another key.
    """

    folder: Path
    chain: Literal["embedded", "anvil"]
    mode: Mode
    seed: int = 0
    step: int = 0
    records: int = 0
    rotates: bool = False


@dataclass(frozen=True)
class Durable:
    """A record as its writer was told that it is on the disk."""

    number: int
    session: str
    seq: int
    digest: str


@dataclass(frozen=True)
class State:
    """A ledger as it is found.

    Args:
        flushed: Whether everything reached the chain.
        records: What is in the database.
        events: How many records the chain says that it holds, doubled ones counted twice.
    """

    flushed: bool
    finding: str
    problems: tuple[str, ...]
    records: tuple[Durable, ...]
    events: int
    error: str


@dataclass
class Writer:
    """A writer that was started, and what it has said."""

    process: Any
    said: Connection
    nodes: tuple[int, ...] = ()
    durable: list[Durable] = field(default_factory=list)
    died: str = ""

    @property
    def pid(self) -> int:
        """The process and its group."""
        return cast(int, self.process.pid)

    def ended(self) -> int:
        """Wait for the end of the writer, and return its exit status after reading what it said."""
        with suppress(EOFError):
            while True:
                what, *said = json.loads(self.said.recv_bytes())
                if what == "record":
                    self.durable.append(Durable(*said))
                elif what == "died":
                    self.died = said[0]
        self.process.join(PATIENCE)
        status = cast("int | None", self.process.exitcode)
        assert status is not None, "the writer goes on after it closed its output"
        self.said.close()
        self.process.close()
        return status


def start(plan: Plan) -> Writer:
    """Start a writer, and return it when it begins to open its ledger."""
    use_native_code()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    said, say = context.Pipe(duplex=False)
    process = context.Process(target=_write_all, args=(plan, say), daemon=True)
    process.start()
    say.close()
    what, *nodes = json.loads(said.recv_bytes())
    assert what == "up"
    return Writer(process, said, tuple(nodes))


def look(plan: Plan) -> State:
    """Open a ledger, wait until everything is on its chain, and return how it is."""
    context = multiprocessing.get_context("forkserver")
    found, tell = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(plan, tell), daemon=True)
    process.start()
    tell.close()
    state = cast(State, found.recv())
    process.join(PATIENCE)
    assert process.exitcode == 0
    found.close()
    process.close()
    return state


class ForkedNode:
    """A process forked ahead, which becomes the embedded chain's node once it is told its arguments.

    It looks like a process of anyio's.
    """

    def __init__(self) -> None:
        orders, self._orders = os.pipe()
        self._output, output = os.pipe()
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(orders, 0)
            os.dup2(output, 1)
            # Among these are the ends of other pipes, whose readers wait until all writers have closed them.
            os.closerange(3, 1024)
            os._exit(_become())
        os.close(orders)
        os.close(output)

    def become(self, arguments: list[str]) -> None:
        """Let it run the node."""
        os.write(self._orders, json.dumps(arguments).encode())
        os.close(self._orders)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what it prints."""
        await anyio.wait_readable(self._output)
        if chunk := os.read(self._output, max_bytes):
            return chunk
        raise anyio.EndOfStream

    @property
    def returncode(self) -> int | None:
        """Its exit status; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end."""
        descriptor = os.pidfd_open(self.pid) if self.returncode is None else None
        if descriptor is not None:
            await anyio.wait_readable(descriptor)
            os.close(descriptor)
        return self.returncode or 0

    async def aclose(self) -> None:
        """Let go of it."""
        os.close(self._output)


def _become() -> int:
    from llmasos.ledger.node.__main__ import main

    orders = b""
    while chunk := os.read(0, 65536):
        orders += chunk
    return main(json.loads(orders)) if orders else 0


class ForkedChain(EmbeddedChain):
    """The embedded chain on nodes that were forked ahead, as long as there are some.

    Args:
        nodes: Those to use, the last one first.
    """

    def __init__(self, data_dir: Path, nodes: list[ForkedNode]) -> None:
        super().__init__(data_dir)
        self._nodes = nodes
        assert self._short is None, "the folder's path is too long"

    async def _start(self) -> None:
        if not self._nodes:
            await super()._start()
            return
        node = self._nodes.pop()
        # The command is an interpreter, `-m`, the module, and what the module is told.
        node.become(self._command()[3:])
        self._process = cast(anyio.abc.Process, node)
        try:
            output: Any = node
            await BufferedByteReceiveStream(output).receive_until(b"ready\n", 1000)
        except anyio.IncompleteRead as error:
            await self._stop()
            raise ChainError("The node ended at once.") from error


@asynccontextmanager
async def _opened(
    plan: Plan, chain: LocalChain, reach: Callable[[str], None] | None = None
) -> AsyncIterator[ChainLedger]:
    store = Store(f"sqlite:///{plan.folder / 'ledger.db'}")
    if reach is not None:
        _trace(store, chain, reach)
    Base.metadata.create_all(store.engine)
    try:
        async with ChainLedger(store, chain, mode=plan.mode, batch=5, wait=0.02) as ledger:
            yield ledger
    finally:
        store.close()


def _chain(plan: Plan, nodes: list[ForkedNode]) -> LocalChain:
    return ForkedChain(plan.folder, nodes) if plan.chain == "embedded" else AnvilChain(plan.folder)


def _forked(plan: Plan, count: int) -> list[ForkedNode]:
    return [ForkedNode() for _ in range(count if plan.chain == "embedded" else 0)]


def _write_all(plan: Plan, say: Connection) -> None:
    # A group of its own, so that writer and node die in one moment.
    os.setsid()
    nodes = _forked(plan, SPARE_NODES)
    tell = partial(_tell, say)
    tell("up", *(node.pid for node in nodes))
    anyio.run(_write, plan, _chain(plan, nodes), tell)


def _tell(say: Connection, *what: Any) -> None:
    say.send_bytes(json.dumps(what).encode())


async def _write(plan: Plan, chain: LocalChain, tell: Callable[..., None]) -> None:
    steps = 0

    def reach(what: str) -> None:
        nonlocal steps
        steps += 1
        if steps == plan.step:
            tell("died", what)
            os.killpg(0, signal.SIGKILL)

    chosen = random.Random(plan.seed)

    async def record(number: int) -> None:
        entry = Entry(
            session=f"s{chosen.randrange(SESSIONS)}",
            kind=chosen.choice(("intent", "outcome")),
            action=f"a{plan.seed}-{number}",
            body={"number": number},
        )
        made = await ledger.record(entry)
        tell("record", made.number, made.session, made.seq, made.digest)

    async with _opened(plan, chain, reach if plan.step else None) as ledger:
        if plan.records:
            for number in range(plan.records):
                await record(number)
            await ledger.flush(PATIENCE)
            if plan.rotates:
                await ledger.rotate()
                await record(plan.records)
                await ledger.flush(PATIENCE)
            return
        number = 0
        while True:
            for _ in range(chosen.randint(1, BURST)):
                number += 1
                await record(number)
            # Now and then more is recorded before the rest is on the chain.
            await ledger.flush(chosen.choice((0.01, PATIENCE)))


def _trace(store: Store, chain: LocalChain, reach: Callable[[str], None]) -> None:
    """Let `reach` know of every step: what is about to be committed, and what the chain is asked."""

    def committing(connection: sqlite3.Connection, _record: object) -> None:
        changes = connection.total_changes

        def traced(statement: str) -> None:
            nonlocal changes
            if statement.startswith("COMMIT") and connection.total_changes != changes:
                changes = connection.total_changes
                reach("commit")

        connection.set_trace_callback(traced)

    for engine in {store.engine, store.durable_engine}:
        event.listen(engine, "connect", committing)
    for name in STEPS:
        if (call := getattr(chain, name, None)) is not None:
            setattr(chain, name, _around(call, name, reach))


def _around(
    call: Callable[..., Awaitable[Any]], name: str, reach: Callable[[str], None]
) -> Callable[..., Awaitable[Any]]:
    async def called(*arguments: Any) -> Any:
        # What only asks leaves nothing to find; before the others something was committed.
        if name == "send":
            reach("before send")
        result = await call(*arguments)
        if name != "receipts" or any(result):
            reach(f"after {name}")
        return result

    return called


def _look(plan: Plan, tell: Connection) -> None:
    tell.send(anyio.run(_looked, plan, _chain(plan, _forked(plan, SPARE_NODES))))


async def _looked(plan: Plan, chain: LocalChain) -> State:
    async with _opened(plan, chain) as ledger:
        flushed = await ledger.flush(PATIENCE)
        verdict = await ledger.verify()
        status = await ledger.status()
        found = await ledger.records(limit=1_000_000)
        block = await chain.block()
        assert block is not None
        events = 0
        if status.contract is not None:
            async for logged in chain.logged(status.contract, 0, block.number):
                events += logged.count if isinstance(logged, Anchored) else 1
        return State(
            flushed=flushed,
            finding=verdict.finding,
            problems=verdict.problems,
            records=tuple(Durable(row.number, row.session, row.seq, row.digest) for row in found),
            events=events,
            error=status.last_error,
        )
