"""The embedded chain's node: its answers, its file, and the check that finds every change of it."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.ledger import _contract
from llmasos.ledger._digest import FIRST_HEAD, keccak, next_head
from llmasos.ledger.node.__main__ import DAMAGED, UNUSABLE
from llmasos.ledger.node.evm import CHAIN_ID, Evm, TransactionRefused, to_hex
from llmasos.ledger.node.methods import (
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    MOST_LOGS,
    NOT_FOUND,
    SERVER_ERROR,
    Methods,
)
from llmasos.ledger.node.server import MOST_REQUESTS, REQUEST_BYTES, BadRequest, split
from llmasos.ledger.node.store import FileUnusable
from llmasos.ledger.node.trie import BLANK_ROOT, decode, encode, walk, written
from tests.integration.ledger.bench import Account, Bench

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

MUTATIONS = 320


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.evm.close()


def fill(bench: Bench, key: bytes, count: int) -> None:
    """Open a session and append records to it."""
    bench.do(_contract.open_call(key))
    head = FIRST_HEAD
    for seq in range(1, count + 1):
        digest = keccak(key + bytes([seq]))
        bench.do(_contract.append_call(key, seq, head, digest, 1))
        head = next_head(key, seq, head, digest, 1)


def busy(bench: Bench) -> None:
    """Fill a chain with a little of everything."""
    keys = [bench.key() for _ in range(6)]
    for key in keys:
        fill(bench, key, 3)
    digests = [keccak(bytes([number])) for number in range(8)]
    many = bench.key()
    bench.do(_contract.open_call(many))
    bench.do(_contract.append_many_call(many, 1, FIRST_HEAD, digests, range(8)))
    bench.do(_contract.append_call(many, 1, FIRST_HEAD, digests[0], 1))
    bench.do(_contract.rotate_call(keys, bench.other.address))
    bench.send(bench.other.sign(bytes([5]) * 20, b"", value=1))


# What the chain takes


def test_the_chain_takes_a_transaction_once_and_in_order(bench: Bench) -> None:
    raw = bench.account.sign(bench.contract, _contract.open_call(bench.key()))
    height = bench.evm.height
    assert bench.evm.send(raw) == bench.evm.send(raw) == keccak(raw)
    assert bench.evm.height == height + 1
    refused = {
        "nonce too high": bench.account.sign(bench.contract, b"", nonce=99),
        "nonce too low": bench.account.sign(bench.contract, b"", nonce=0),
        "for chain 1, this is": bench.account.sign(bench.contract, b"", chainId=1),
        "refused": b"\x02\xc0",
        "refused: ": b"",
        "insufficient|afford|balance": Account(3).sign(bench.contract, b""),
        "(?i)gas": bench.account.sign(bench.contract, b"", nonce=height + 1, gas=31_000_000),
        "(?i)intrinsic|gas": bench.account.sign(bench.contract, b"", nonce=height + 1, gas=20_000),
    }
    for message, bad in refused.items():
        with pytest.raises(TransactionRefused, match=message):
            bench.evm.send(bad)
    assert bench.evm.height == height + 1
    assert bench.inspect() == []


def test_a_transaction_that_cannot_be_stored_leaves_no_trace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = bench.account.sign(bench.contract, _contract.open_call(bench.key()))
    before = bench.ask("eth_getBlockByNumber", "latest")

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.evm.store, "add", full)
        assert bench.refused("eth_sendRawTransaction", to_hex(raw)) == (
            SERVER_ERROR,
            "the chain's file cannot be used: database or disk is full",
        )
    assert bench.ask("eth_getBlockByNumber", "latest") == before
    assert bench.inspect() == []
    assert bench.ask("eth_sendRawTransaction", to_hex(raw)) == to_hex(keccak(raw))
    assert bench.inspect() == []


def test_of_blocks_that_are_stored_together_none_is_kept_or_all_are(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    raws = [bench.account.sign(bench.contract, _contract.open_call(bench.key())) for _ in range(4)]
    late = bench.account.sign(bench.contract, b"", nonce=bench.account.nonce + 5)
    requests = [
        {"id": place, "method": "eth_sendRawTransaction", "params": [to_hex(raw)]}
        for place, raw in enumerate([*raws[:2], late, *raws[2:]])
    ]
    before, write, calls = bench.evm.height, bench.evm.store._write, itertools.count()

    def full(number: int) -> None:
        write(number)
        if next(calls) == 1:
            raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.evm.store, "_write", full)
        answers = bench.methods.answer_sent(requests)
    assert [answer["error"]["code"] for answer in answers] == [SERVER_ERROR] * 5
    assert [answer["id"] for answer in answers] == list(range(5))
    assert bench.evm.height == before
    assert bench.inspect() == []
    # One that is refused takes none of the others with it.
    answers = bench.methods.answer_sent(requests)
    assert ["result" in answer for answer in answers] == [True, True, False, True, True]
    assert "nonce too high" in answers[2]["error"]["message"]
    assert bench.evm.height == before + 4
    assert bench.inspect() == []


def test_the_chain_is_the_same_after_it_was_opened_again(bench: Bench, tmp_path: Path) -> None:
    busy(bench)
    questions: list[tuple[Any, ...]] = [("eth_getBlockByNumber", "latest", True), ("eth_gasPrice",)]
    questions += [("eth_getLogs", {"fromBlock": "0x0"}), ("eth_getBalance", bench.account.address)]
    before = [bench.ask(*question) for question in questions]
    bench.evm.close()
    bench.evm = Evm(tmp_path / "chain.db", bytes(20))
    bench.methods = Methods(bench.evm)
    assert [bench.ask(*question) for question in questions] == before
    assert bench.do(_contract.open_call(bench.key()))["status"] == "0x1"


# What the node answers


def test_logs_can_be_filtered_by_every_field(bench: Bench) -> None:
    busy(bench)
    every = bench.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    assert len(every) == 6 + 18 + 1 + 8 + 6
    keys = sorted({log["topics"][1] for log in every})
    filters: list[dict[str, Any]] = [
        {"topics": [_contract.appended_topic()]},
        {"topics": [None, keys[0]]},
        {"topics": [[_contract.appended_topic(), _contract.anchored_topic()], keys[1:3]]},
        {"topics": [None, None, None]},
        {"topics": [None, None, None, None]},
        {"topics": [None, keys, every[5]["topics"][2]]},
        {"address": [to_hex(bench.contract), "0x" + "00" * 20]},
        {"address": "0x" + "00" * 20},
        {"fromBlock": every[3]["blockNumber"], "toBlock": every[20]["blockNumber"]},
        {"fromBlock": "0x7000"},
        {"blockHash": every[-1]["blockHash"]},
    ]

    def meant(log: dict[str, Any], query: dict[str, Any]) -> bool:
        def among(value: str, wanted: Any) -> bool:
            return wanted is None or value in ([wanted] if isinstance(wanted, str) else wanted)

        first, last = int(query.get("fromBlock", "0x0"), 16), int(query.get("toBlock", "0x7fff"), 16)
        wanted = query.get("topics", [])
        return (
            first <= int(log["blockNumber"], 16) <= last
            and among(log["address"], query.get("address"))
            and among(log["blockHash"], query.get("blockHash"))
            and len(wanted) <= len(log["topics"])
            and all(among(topic, want) for topic, want in zip(log["topics"], wanted, strict=False))
        )

    for query in filters:
        bounds = {} if "blockHash" in query else {"fromBlock": "0x0", "toBlock": "latest"}
        assert bench.ask("eth_getLogs", bounds | query) == [log for log in every if meant(log, query)], query
    (plan,) = bench.evm.store.connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM logs WHERE block BETWEEN 0 AND 9 AND topic1 IN (?)", (b"",)
    )
    assert "logs_by_topic1" in plan[3]


def test_too_many_logs_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_LOGS == 10_000
    monkeypatch.setattr("llmasos.ledger.node.methods.MOST_LOGS", 50)
    # A page of the check ends where it has read enough, not only after so many blocks.
    monkeypatch.setattr("llmasos.ledger.node.inspection.PAGE_BYTES", 10_000)
    key, head, seq, size = bench.key(), FIRST_HEAD, 1, 20
    bench.do(_contract.open_call(key))
    for number in range(3):
        digests = [keccak(bytes([number, place])) for place in range(size)]
        receipt = bench.do(_contract.append_many_call(key, seq, head, digests, [1] * size))
        assert len(receipt["logs"]) == size
        head, seq = bytes.fromhex(receipt["logs"][-1]["data"][-64:]), seq + size
    query = {"fromBlock": "0x0", "toBlock": "latest"}
    assert bench.refused("eth_getLogs", query) == (LIMIT_EXCEEDED, "query returned more than 50 results")
    assert len(bench.ask("eth_getLogs", {**query, "fromBlock": hex(bench.evm.height - 1)})) == 2 * size
    pages: list[None] = []
    assert bench.inspect(lambda: pages.append(None)) == []
    assert len(pages) > 1


def test_proofs_can_be_checked_against_the_state_root(bench: Bench) -> None:
    from eth_utils.hexadecimal import decode_hex
    from trie.hexary import HexaryTrie

    keys = [bench.key() for _ in range(40)]
    for key in keys:
        bench.do(_contract.open_call(key))
    block = bench.ask("eth_getBlockByNumber", "0x10")
    # The contract keeps its sessions in the mapping that is its slot 0.
    slots = [keccak(key + bytes(32)) for key in keys]
    proof = bench.ask("eth_getProof", to_hex(bench.contract), [to_hex(slot) for slot in slots], "0x10")

    def value(root: str, key: bytes, nodes: list[str]) -> bytes:
        check: Any = HexaryTrie.get_from_proof
        found = check(decode_hex(root), keccak(key), [decode(decode_hex(node)) for node in nodes])
        assert isinstance(found, bytes)
        return found

    account = decode(value(block["stateRoot"], bench.contract, proof["accountProof"]))
    assert [to_hex(account[2]), to_hex(account[3])] == [proof["storageHash"], proof["codeHash"]]
    there = 0
    for slot, shown in zip(slots, proof["storageProof"], strict=True):
        found = value(proof["storageHash"], slot, shown["proof"])
        number = int.from_bytes(decode(found)) if found else 0
        assert hex(number) == shown["value"]
        there += number != 0
    # Two blocks came before the sessions; those of later blocks are proved to be absent.
    assert there == 0x10 - 2
    absent = bench.ask("eth_getProof", "0x" + "77" * 20, ["0x0"], "latest")
    assert (absent["balance"], absent["nonce"], absent["storageProof"][0]["proof"]) == ("0x0", "0x0", [])
    assert bench.refused("eth_getProof", "0x" + "77" * 20, ["0x0"] * 1025, "latest")[0] == LIMIT_EXCEEDED


def test_fees_are_those_of_the_blocks(bench: Bench) -> None:
    fill(bench, bench.key(), 5)
    newest = bench.evm.height
    history = bench.ask("eth_feeHistory", "0x3", "latest", [10, 90])
    blocks = [bench.ask("eth_getBlockByNumber", hex(number)) for number in range(newest - 2, newest + 1)]
    assert history["oldestBlock"] == blocks[0]["number"]
    assert history["baseFeePerGas"] == [
        *(block["baseFeePerGas"] for block in blocks),
        bench.ask("eth_gasPrice"),
    ]
    assert history["gasUsedRatio"] == [
        int(block["gasUsed"], 16) / int(block["gasLimit"], 16) for block in blocks
    ]
    assert history["reward"] == [["0x0", "0x0"]] * 3
    older = bench.ask("eth_feeHistory", 2, hex(newest - 1))
    assert older["baseFeePerGas"] == [block["baseFeePerGas"] for block in blocks]
    assert bench.refused("eth_feeHistory", "0x0", "latest")[0] == INVALID_PARAMS
    assert bench.refused("eth_feeHistory", "0x1", "0x7000")[0] == SERVER_ERROR


def test_what_is_not_there_is_none_and_what_is_wrong_is_refused(bench: Bench) -> None:
    none = "0x" + "11" * 32
    for method in (
        "TransactionReceipt",
        "TransactionByHash",
        "RawTransactionByHash",
        "BlockByHash",
        "BlockReceipts",
    ):
        assert bench.ask(f"eth_get{method}", none) is None
    for number in ("0x7000", hex(2**70), "-0x1"):
        assert bench.ask("eth_getBlockByNumber", number) is None
    assert bench.ask("eth_getBlockReceipts", "0x0") == []
    assert bench.refused("eth_nothing")[0] == NOT_FOUND
    assert bench.refused("eth_getBalance", bench.account.address, "0x7000")[0] == SERVER_ERROR
    wrong: list[tuple[Any, ...]] = [
        ("eth_getCode", "0x12"),
        ("eth_getCode", None),
        ("eth_getBalance", bench.account.address, {"blockNumber": "0x0"}),
        ("eth_getLogs", {"topics": [["0x12"]]}),
        ("eth_getLogs", {"topics": [None] * 5}),
        ("eth_getLogs", {"fromBlock": hex(2**80), "toBlock": hex(2**81)}),
        ("eth_getLogs",),
        ("eth_sendRawTransaction", "0xzz"),
        ("eth_getBlockByNumber", 5),
        ("llmasos_inspect", "x"),
        ("llmasos_inspect", "1:2:3"),
    ]
    for question in wrong:
        assert bench.refused(*question)[0] == INVALID_PARAMS, question
    requests: list[Any] = [None, 5, [], {}, {"method": 5}, {"method": "eth_chainId", "params": {"a": 1}}]
    for request in [*requests, {"method": "eth_chainId", "id": [[]]}]:
        assert "error" in bench.methods.answer(request)


keys = st.binary(min_size=3, max_size=3)
rounds = st.lists(
    st.dictionaries(keys, st.binary(min_size=1, max_size=60), min_size=1, max_size=8), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(rounds)
def test_tries_are_those_of_a_library(rounds: list[dict[bytes, bytes]]) -> None:
    from trie.hexary import HexaryTrie

    nodes: dict[bytes, bytes] = {}
    root, peer, held = BLANK_ROOT, cast(Any, HexaryTrie)({}), dict[bytes, bytes]()
    for values in rounds:
        root, new = written(nodes, root, values)
        nodes |= new
        for key, value in values.items():
            peer[key] = value
        held |= values
        assert root == peer.root_hash
        assert all(keccak(node) == digest for digest, node in new.items())
    for key in [*held, b"abc"]:
        assert walk(nodes, root, key)[1] == held.get(key, b"")


@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=70)))
def test_rlp_is_that_of_a_library(value: Any) -> None:
    import rlp

    assert encode(value) == rlp.encode(value)
    assert decode(encode(value)) == value


# What the check of the file finds


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("blocks", "nodes", "logs")
        }


def flipped(value: Any, dice: random.Random) -> Any:
    """Return a value that differs in one bit."""
    if value is None:
        return dice.randbytes(32)
    if isinstance(value, int):
        return value ^ (1 << dice.randrange(40))
    changed = bytearray(value or b"\0")
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed) if value else bytes(changed[:1])


def mutate(connection: sqlite3.Connection, dice: random.Random) -> str | None:
    """Change one row of the chain's file and say how; None when SQLite's own rules refuse it."""
    table = dice.choice(["blocks", "nodes", "logs"])
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    places = {"blocks": 1, "nodes": 1, "logs": 2}[table]
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()
    row = dice.choice(rows)
    where = " AND ".join(f"{column} = ?" for column in columns[:places])
    kind = dice.choice(["flip", "flip", "flip", "delete", "insert", "copy", "empty", "swap"])
    try:
        if kind == "delete":
            connection.execute(f"DELETE FROM {table} WHERE {where}", row[:places])
        elif kind in ("insert", "copy"):
            fresh = list(row) if kind == "copy" else [flipped(value, dice) for value in row]
            fresh[0] = dice.choice([max(item[0] for item in rows) + dice.randrange(1, 3), -1, row[0]])
            if places == 2:
                fresh[1] = dice.randrange(3, 20)
            elif fresh[1] == row[1]:
                fresh[1] = dice.choice([flipped(row[1], dice), keccak(row[2])])
            if table == "nodes" and kind == "copy":
                # A node that is what its hash stands for, which no block needs.
                fresh[2] = dice.randbytes(40)
                fresh[1] = keccak(fresh[2])
            connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(fresh))})", fresh)
        elif kind == "swap":
            place = dice.randrange(places, len(columns))
            value = dice.choice(rows)[place]
            if value == row[place]:
                return None
            connection.execute(
                f"UPDATE {table} SET {columns[place]} = ? WHERE {where}", (value, *row[:places])
            )
        else:
            place = dice.randrange(len(columns))
            value = flipped(row[place], dice) if kind == "flip" else dice.choice([b"", "", 0, -1, b"\xc0"])
            if value == row[place]:
                return None
            connection.execute(
                f"UPDATE {table} SET {columns[place]} = ? WHERE {where}", (value, *row[:places])
            )
    except (sqlite3.IntegrityError, OverflowError):
        return None
    return f"{kind} in {table}: {row[:places]}"


def test_every_change_of_the_file_is_found(bench: Bench, tmp_path: Path) -> None:
    busy(bench)
    assert bench.inspect() == []
    bench.evm.close()
    clean = tmp_path / "chain.db"
    found = 0
    for seed in range(10 * MUTATIONS):
        changed = tmp_path / "changed.db"
        shutil.copy(clean, changed)
        with closing(sqlite3.connect(changed, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            what = mutate(connection, random.Random(seed))
        if what is None or tables(changed) == tables(clean):
            continue
        assert problems_in(bench, changed), (seed, what)
        found += 1
        if found == MUTATIONS:
            break
    assert found == MUTATIONS
    assert problems_in(bench, clean) == []


def problems_in(bench: Bench, path: Path) -> list[str]:
    """Return what the check finds in a file, through a node that opened it or through its refusal."""
    try:
        bench.evm = Evm(path, bytes(20))
    except FileUnusable as error:
        return [error.message]
    try:
        bench.methods = Methods(bench.evm)
        return bench.inspect()
    finally:
        bench.evm.close()


def test_every_part_of_a_broken_file_gives_a_clear_problem(bench: Bench, tmp_path: Path) -> None:
    busy(bench)
    bench.evm.close()
    whole, used = (tmp_path / "chain.db").read_bytes(), tables(tmp_path / "chain.db")
    dice, noticed = random.Random(5), 0
    for _ in range(60):
        data = bytearray(whole)
        start = dice.randrange(100, len(data) - 64)
        data[start : start + 64] = dice.randbytes(64)
        changed = tmp_path / "changed.db"
        changed.write_bytes(data)
        problems = problems_in(bench, changed)
        try:
            same = tables(changed) == used
        except sqlite3.Error:
            same = False
        # Bytes between rows mean nothing.
        assert problems or same
        noticed += bool(problems)
    assert noticed > 20
    # A file that ends too early, is empty of tables, or is none at all.
    for broken in (whole[: len(whole) // 2], b"no database at all, " * 500):
        (tmp_path / "changed.db").write_bytes(broken)
        assert problems_in(bench, tmp_path / "changed.db")


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB)")
    with pytest.raises(FileUnusable, match="another version"):
        Evm(tmp_path / "old.db", bytes(20))


def test_the_chain_may_grow_while_it_is_checked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.ledger.node.inspection.PAGE_BLOCKS", 3)
    busy(bench)
    turns = iter(range(5))

    def grow() -> None:
        if next(turns, None) is not None:
            bench.do(_contract.open_call(bench.key()))

    assert bench.inspect(grow) == []


# The process


@asynccontextmanager
async def node(folder: Path, account: str) -> AsyncIterator[tuple[anyio.abc.Process, Path]]:
    """Run a node in a process of its own."""
    command = [sys.executable, "-m", "llmasos.ledger.node", "--database", str(folder / "chain.db")]
    command += ["--socket", str(folder / "s"), "--account", account]
    process = await anyio.open_process(command, stderr=None)
    try:
        assert process.stdout is not None
        with anyio.fail_after(60):
            await BufferedByteReceiveStream(process.stdout).receive_until(b"ready\n", 100)
        yield process, folder / "s"
    finally:
        if process.returncode is None:
            process.terminate()
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def test_a_killed_node_leaves_a_whole_chain(tmp_path: Path) -> None:
    account, dice, sent = Account(1), random.Random(1), 0
    contract = bytes.fromhex(_contract.created_address(account.address, 0)[2:])
    raws = [account.sign(None, _contract.deploy_code())]
    raws += [account.sign(contract, _contract.open_call(keccak(bytes([number])))) for number in range(200)]
    for _ in range(4):
        async with (
            node(tmp_path, account.address) as (process, socket),
            await anyio.connect_unix(socket) as stream,
        ):
            batch = [
                {"jsonrpc": "2.0", "id": place, "method": "eth_sendRawTransaction", "params": [to_hex(raw)]}
                for place, raw in enumerate(raws[sent : sent + 30])
            ]
            one_by_one = BufferedByteReceiveStream(stream)
            for question in batch[: dice.randrange(2, 8)]:
                await stream.send(json.dumps(question).encode())
                assert "result" in json.loads(await one_by_one.receive_until(b"\n", 1000))
            # The rest is being mined when the node dies, at a moment that nobody chose.
            await stream.send(json.dumps(batch).encode())
            other = await anyio.connect_unix(socket)
            await other.send(b'{"id": 1, "method": "eth_blockNumber"}')
            await BufferedByteReceiveStream(other).receive_until(b"\n", 1000)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await other.aclose()
        evm = Evm(tmp_path / "chain.db", bytes(20))
        (tmp_path / "s").unlink(missing_ok=True)
        assert sent < evm.height <= len(raws)
        sent = evm.height
        problems: list[str] = []
        cursor = None
        while True:
            page = Methods(evm).answer({"method": "llmasos_inspect", "params": [cursor]})["result"]
            problems, cursor = problems + page["problems"], page["cursor"]
            if cursor is None:
                break
        evm.close()
        assert problems == []


async def test_no_request_stops_the_node(tmp_path: Path) -> None:
    chain_id = b'{"jsonrpc": "2.0", "id": 7, "method": "eth_chainId", "params": []}'
    many = b"[" + b",".join([chain_id] * (MOST_REQUESTS + 1)) + b"]"
    bad = [
        b"hello\n",
        b'{"method": nonsense }\n',
        b"[" * 100_000 + b"]\n",
        b'{"id": ' + b"[" * 900 + b"]" * 900 + b', "method": "eth_chainId"}\n',
        b'{"a":' * 50_000 + b"}\n",
        b"\xff\xfe{}\n",
        b'{"method": "eth_getBlockByNumber", "params": ["0x' + b"f" * 100_000 + b'"]}\n',
        b'{"method": "eth_getBlockByNumber", "params": [' + b"9" * 10_000 + b"]}\n",
        b'{"id": 1, "method": "\xed\xa0\x80"}\n',
        b"[]\n",
        b'{"method": "eth_sendRawTransaction", "params": ["0x' + b"c1" * 50_000 + b'"]}',
        b"5\n",
        many,
    ]
    async with node(tmp_path, Account(1).address) as (_, socket):
        for request in bad:
            async with await anyio.connect_unix(socket) as stream:
                await stream.send(request)
                answer = json.loads(await BufferedByteReceiveStream(stream).receive_until(b"\n", 10_000))
                assert "error" in answer or answer["result"] is None, request[:100]
        async with await anyio.connect_unix(socket) as stream:
            # More than a request may have is refused before it is whole.
            await stream.send(b'{"a": "' + b"x" * REQUEST_BYTES)
            answer = json.loads(await BufferedByteReceiveStream(stream).receive_until(b"\n", 1000))
            assert "at most" in answer["error"]["message"]
        async with await anyio.connect_unix(socket) as stream:
            buffered = BufferedByteReceiveStream(stream)
            # Values may come in pieces, or several at once, with newlines or without.
            for piece in (
                chain_id[:20],
                chain_id[20:] + b"\n\n" + chain_id,
                b"[" + chain_id + b"," + chain_id + b"]",
            ):
                await stream.send(piece)
            answers = [json.loads(await buffered.receive_until(b"\n", 1000)) for _ in range(3)]
            one = {"jsonrpc": "2.0", "id": 7, "result": hex(CHAIN_ID)}
            assert answers == [one, one, [one, one]]


def test_requests_may_come_in_any_pieces() -> None:
    said = '{"method": "é", "params": [1.5e3, true, null, "\\u00e9\\n"]}'.encode()
    wanted = json.loads(said)
    for end in b"", b"\n":
        for cut in range(1, len(said)):
            values, rest = split(said[:cut])
            assert values == []
            assert split(rest + said[cut:] + end) == ([wanted], b"")
    assert split(said + said + said[:9]) == ([wanted, wanted], said[:9])
    for bad in (b"x", b"}", b"{]", b'{"a": tru }\n', b"\xff" * 20 + b"}"):
        with pytest.raises(BadRequest):
            split(bad + b" " * 20 + b"}")


async def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "chain.db").write_bytes(b"this is no chain" * 300)
    for database, status in (
        (tmp_path / "chain.db", DAMAGED),
        (tmp_path / "missing" / "chain.db", UNUSABLE),
    ):
        command = [sys.executable, "-m", "llmasos.ledger.node", "--database", str(database)]
        command += ["--socket", str(tmp_path / "s"), "--account", "0x" + "11" * 20]
        done = await anyio.run_process(command, check=False)
        assert done.returncode == status
        (line,) = done.stderr.decode().splitlines()
        assert str(database.parent) in line
