"""The ledger on the real embedded chain."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from sqlalchemy import func, select, text

from llmasos.ledger import ChainError, ChainLedger, EmbeddedChain, Entry, Filter
from llmasos.ledger._tables import OutboxRow
from llmasos.ledger.chains.port import ChainRefused
from llmasos.ledger.node.__main__ import LOCKED
from llmasos.store import Base, Store

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[ChainLedger, EmbeddedChain, Store]]:
    store = Store(f"sqlite:///{folder / 'ledger.db'}")
    Base.metadata.create_all(store.engine)
    chain = EmbeddedChain(folder)
    try:
        async with ChainLedger(store, chain) as ledger:
            yield ledger, chain, store
    finally:
        store.close()


async def fill(ledger: ChainLedger, count: int, session: str = "s") -> None:
    for number in range(count):
        await ledger.record(Entry(session=session, kind="intent", action=f"a{number}", body={"n": number}))


async def gone(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with anyio.fail_after(30):
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def test_records_reach_the_chain_and_are_verified(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, chain, store):
        await fill(ledger, 10)
        await fill(ledger, 3, "other")
        assert await ledger.flush(60)
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems
        assert (verdict.confirmed, verdict.sessions) == (13, 2)
        status = await ledger.status()
        assert (status.backend, status.pending, status.head_block) == ("embedded", 0, 1 + 2 + 13)
        for path in (chain.socket, chain.key_file, chain.database):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        change = text("UPDATE ledger_records SET body = '{}' WHERE session = 'other' AND seq = 2")
        await store.run(lambda session: session.execute(change))
        verdict = await ledger.verify()
        assert not verdict.ok
        assert verdict.problems[0].startswith(
            "Record 2 of session 'other' (intent of action 'a1') was altered: its body"
        )
        pid, key = chain.pid, chain.key_file.read_text().strip()
    assert pid is not None
    await gone(pid)
    assert not chain.socket.exists()
    assert key not in (tmp_path / "chain" / "node.log").read_text()


async def test_a_killed_node_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = 0
    real = EmbeddedChain.send

    async def send(chain: EmbeddedChain, transactions: Sequence[bytes]) -> None:
        nonlocal sends
        sends += 1
        # Once before the node sees the transaction, once when it is mined and its receipt is not read.
        if sends == 2:
            os.kill(chain.pid or 0, signal.SIGKILL)
        await real(chain, transactions)
        if sends == 3:
            os.kill(chain.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(EmbeddedChain, "send", send)
    async with opened(tmp_path) as (ledger, chain, store):
        await fill(ledger, 40)
        assert await ledger.flush(60)
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems
        assert verdict.confirmed == 40
        count = select(func.count()).select_from(OutboxRow)
        assert await chain.nonce() == await store.run(lambda session: session.scalar(count)) == 1 + 1 + 40
    assert sends >= 3


WRITER = """
import sys
from pathlib import Path
import anyio
from llmasos.ledger import ChainLedger, EmbeddedChain, Entry
from llmasos.store import Base, Store

async def main(folder):
    store = Store(f"sqlite:///{folder / 'ledger.db'}")
    Base.metadata.create_all(store.engine)
    async with ChainLedger(store, EmbeddedChain(folder)) as ledger:
        await ledger.flush(60)
        while True:
            record = await ledger.record(Entry(session="s", kind="intent"))
            print(record.seq, record.digest, flush=True)

anyio.run(main, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("lines", [1, 40, 133])
async def test_killing_the_whole_kernel_loses_and_doubles_nothing(tmp_path: Path, lines: int) -> None:
    async with await anyio.open_process([sys.executable, "-c", WRITER, str(tmp_path)], stderr=None) as writer:
        assert writer.stdout is not None
        output = BufferedByteReceiveStream(writer.stdout)
        said = [(await output.receive_until(b"\n", 1000)).decode().split() for _ in range(lines)]
        writer.kill()
    async with opened(tmp_path) as (ledger, _, _):
        await fill(ledger, 1)
        assert await ledger.flush(60)
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems
        kept = await ledger.records(Filter(session="s"), limit=100_000)
        assert [[str(record.seq), record.digest] for record in kept[:lines]] == said
        assert [record.seq for record in kept] == list(range(1, verdict.confirmed + 1))


async def test_a_wiped_chain_is_filled_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, chain, _):
        await fill(ledger, 8)
        assert await ledger.flush(60)
        contract = (await ledger.status()).contract
    for path in chain.database.parent.glob("blocks.db*"):
        path.unlink()
    async with opened(tmp_path) as (ledger, chain, _):
        await fill(ledger, 2)
        assert await ledger.flush(60)
        verdict = await ledger.verify()
        assert verdict.ok, verdict.problems
        status = await ledger.status()
        assert (status.confirmed, status.resent, status.contract) == (10, 10, contract)


async def test_a_lost_key_file_begins_a_new_chain_with_all_records(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, chain, _):
        await fill(ledger, 3)
        assert await ledger.flush(60)
    chain.key_file.unlink()
    with pytest.raises(ChainError, match="owns nothing"):
        await (other := EmbeddedChain(tmp_path)).connect()
    await other.close()
    shutil.rmtree(tmp_path / "chain")
    async with opened(tmp_path) as (ledger, chain, _):
        assert await ledger.flush(60)
        assert (await ledger.verify()).ok


async def test_two_nodes_on_one_chain_are_refused(tmp_path: Path) -> None:
    first, second = EmbeddedChain(tmp_path), EmbeddedChain(tmp_path)
    try:
        await first.connect()
        with pytest.raises(ChainError, match="in use by another node"):
            await second.connect()
        block = await first.block()
        assert block is not None and block.number == 0
    finally:
        await second.close()
        await first.close()


async def test_a_damaged_chain_is_refused_and_one_that_cannot_be_read_is_not(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path)
    try:
        await chain.connect()
        await chain.close()
        with closing(sqlite3.connect(chain.database)) as connection, connection:
            connection.execute("UPDATE blocks SET header = header || x'00'")
        with pytest.raises(ChainRefused, match="damaged") as damaged:
            await chain.connect()
        assert damaged.value.hint is not None and str(chain.database) in damaged.value.hint
        for path in tmp_path.glob("chain/blocks.db*"):
            path.unlink()
        chain.database.mkdir()
        with pytest.raises(ChainError, match="unable to open") as unreadable:
            await chain.connect()
        assert not isinstance(unreadable.value, ChainRefused)
    finally:
        await chain.close()


async def test_a_short_folder_for_the_socket_is_used_again_and_only_if_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # The folder of the test may be too long itself.
    base = Path(tempfile.mkdtemp(prefix="short-"))
    request.addfinalizer(lambda: shutil.rmtree(base))
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    chain, again = EmbeddedChain(folder), EmbeddedChain(folder)
    short = chain.socket.parent
    assert again.socket == chain.socket and short.parent == base
    assert EmbeddedChain(tmp_path / ("y" * 120)).socket != chain.socket
    try:
        # What a node that was killed has left behind.
        short.mkdir(mode=0o700)
        (short / "node.sock").touch()
        await chain.connect()
        assert chain.socket.is_socket()
        # Another one that cannot start leaves it alone.
        with pytest.raises(ChainError, match="in use by another node"):
            await again.connect()
        assert chain.socket.is_socket()
        await chain.close()
        assert not short.exists()
        short.mkdir()
        short.chmod(0o755)
        with pytest.raises(ChainError, match="others may enter it"):
            await chain.connect()
        short.rmdir()
        short.symlink_to(tmp_path)
        with pytest.raises(ChainError, match="cannot be used for the chain's socket"):
            await chain.connect()
    finally:
        await chain.close()


async def test_a_node_ends_with_its_parent(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path)
    command = [sys.executable, "-m", "llmasos.ledger.node", "--database", str(tmp_path / "c.db")]
    command += ["--socket", str(tmp_path / "s"), "--account", chain.account]
    script = (
        "import subprocess, sys;"
        "p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); p.stdout.readline(); print(p.pid)"
    )
    done = await anyio.run_process([sys.executable, "-c", script, *command])
    await gone(int(done.stdout))
    assert not (tmp_path / "s").exists()


async def test_a_locked_database_has_its_own_exit_status(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path)
    await chain.connect()
    try:
        command = [sys.executable, "-m", "llmasos.ledger.node", "--database", str(chain.database)]
        command += ["--socket", str(tmp_path / "s"), "--account", chain.account]
        done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
        assert (done.returncode, b"in use" in done.stderr) == (LOCKED, True)
    finally:
        await chain.close()


async def test_web3_can_use_the_node(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, chain, _):
        await fill(ledger, 3)
        assert await ledger.flush(60)
        status = await ledger.status()
        await anyio.to_thread.run_sync(ask_web3, chain.socket, chain.account, status.contract)


def ask_web3(socket: Path, account: str, contract: str | None) -> None:
    assert contract is not None
    from web3 import IPCProvider, Web3

    from llmasos.ledger._contract import artifact

    provider = IPCProvider(socket)
    w3 = Web3(provider)
    log = w3.eth.contract(address=Web3.to_checksum_address(contract), abi=artifact()["abi"])
    events = log.events.Appended().get_logs(from_block=0)
    assert [event["args"]["seq"] for event in events] == [1, 2, 3]
    one = log.events.Appended().get_logs(from_block=0, argument_filters={"seq": 2})
    assert [event["args"]["head"] for event in one] == [events[1]["args"]["head"]]
    key = events[0]["args"]["session"]
    owner, count, closed, head = log.functions.sessions(key).call()
    assert (owner.lower(), count, closed, head) == (account, 3, False, events[-1]["args"]["head"])
    assert log.functions.open(bytes(32)).estimate_gas({"from": owner}) > 21_000
    block = w3.eth.get_block("latest", full_transactions=True)
    assert [item["hash"] for item in block["transactions"]] == [events[-1]["transactionHash"]]  # type: ignore[call-overload]
    assert w3.eth.get_block(block["hash"])["number"] == w3.eth.block_number
    found = w3.eth.get_transaction(events[-1]["transactionHash"])
    receipt = w3.eth.get_transaction_receipt(events[-1]["transactionHash"])
    assert (found["from"].lower(), receipt["status"], len(receipt["logs"])) == (account, 1, 1)
    assert w3.eth.get_storage_at(log.address, 0) == bytes(32)
    assert w3.eth.get_balance(owner) > 0
    assert w3.eth.gas_price > 0
    assert provider.make_request("eth_nothing", [])["error"]["code"] == -32601
    assert provider.make_request("eth_getCode", ["0x12"])["error"]["code"] == -32602
    assert provider._socket is not None and provider._socket.sock is not None
    provider._socket.sock.close()


@pytest.mark.parametrize("block", ["4", "(SELECT max(number) FROM blocks)"])
async def test_a_damaged_chain_is_found(tmp_path: Path, block: str) -> None:
    async with opened(tmp_path) as (ledger, chain, _):
        await fill(ledger, 6)
        assert await ledger.flush(60)
    with closing(sqlite3.connect(chain.database)) as blocks, blocks:
        blocks.execute(f"UPDATE blocks SET header = CAST(header || x'00' AS BLOB) WHERE number = {block}")
    async with opened(tmp_path) as (ledger, chain, _):
        verdict = await ledger.verify()
    assert verdict.finding == "bad", verdict
