"""The contract on the embedded chain: what it takes, refuses and costs, and where its bytes come from."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.ledger import _contract
from llmasos.ledger._digest import FIRST_HEAD, keccak, next_anchored_head, next_head
from tests.integration.ledger.bench import Bench, call

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
DIGEST, OTHER = bytes([7]) * 32, bytes([8]) * 32
LAST = 2**64 - 1
PANIC_OVERFLOW = keccak(b"Panic(uint256)")[:4] + (0x11).to_bytes(32, "big")

words = st.binary(min_size=32, max_size=32)
places = st.integers(0, LAST)
kinds = st.integers(0, 255)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    yield bench
    bench.evm.close()


@pytest.fixture
def key(bench: Bench) -> bytes:
    """A session that was opened."""
    key = bench.key()
    bench.do(_contract.open_call(key))
    return key


def error(signature: str, *values: object) -> bytes:
    """Return an error as the contract encodes it."""
    types = [part for part in signature.split("(")[1][:-1].split(",") if part]
    return keccak(signature.encode())[:4] + encode(types, values)


def writes(key: bytes, seq: int, prev: bytes) -> list[bytes]:
    """Return the three calls that extend a session from a place and a head."""
    return [
        _contract.append_call(key, seq, prev, DIGEST, 1),
        _contract.append_many_call(key, seq, prev, [DIGEST, OTHER], [1, 2]),
        _contract.anchor_call(key, seq, prev, DIGEST, 5),
    ]


def events(bench: Bench, receipt: dict[str, object]) -> list[_contract.Logged]:
    assert receipt["status"] == "0x1"
    return [_contract.logged(log) for log in receipt["logs"]]  # type: ignore[attr-defined]


def test_a_session_is_opened_once_and_belongs_to_its_opener(bench: Bench) -> None:
    key = bench.key()
    assert bench.session(key) == _contract.SessionState("0x" + "00" * 20, 0, False, FIRST_HEAD)
    receipt = bench.do(_contract.open_call(key))
    topics = receipt["logs"][0]["topics"]
    assert topics == [
        "0x" + keccak(b"Opened(bytes32,address)").hex(),
        "0x" + key.hex(),
        "0x" + "00" * 12 + bench.account.address[2:],
    ]
    assert bench.session(key) == _contract.SessionState(bench.account.address, 0, False, FIRST_HEAD)
    for account in bench.account, bench.other:
        assert bench.refusal(_contract.open_call(key), account) == error("SessionExists(bytes32)", key)
    assert bench.do(_contract.open_call(key))["status"] == "0x0"


def test_a_session_must_be_open_and_the_callers(bench: Bench, key: bytes) -> None:
    unknown = bench.key()
    for data in [*writes(unknown, 1, FIRST_HEAD), call("close", unknown)]:
        assert bench.refusal(data) == error("SessionUnknown(bytes32)", unknown)
    rotation = _contract.rotate_call([key, unknown], bench.other.address)
    assert bench.refusal(rotation) == error("SessionUnknown(bytes32)", unknown)
    rotation = _contract.rotate_call([key], bench.other.address)
    for data in [*writes(key, 1, FIRST_HEAD), call("close", key), rotation]:
        expected = error("NotOwner(bytes32,address)", key, bench.other.address)
        assert bench.refusal(data, bench.other) == expected


def test_places_and_heads_must_follow(bench: Bench, key: bytes) -> None:
    for seq in (0, 2, LAST):
        for data in writes(key, seq, FIRST_HEAD):
            assert bench.refusal(data) == error("WrongSequence(uint64,uint64)", 1, seq)
    for data in writes(key, 1, OTHER):
        assert bench.refusal(data) == error("WrongHead(bytes32,bytes32)", FIRST_HEAD, OTHER)
    first = _contract.append_call(key, 1, FIRST_HEAD, DIGEST, 1)
    assert bench.do(first)["status"] == "0x1"
    assert bench.do(first)["status"] == "0x0"
    assert bench.refusal(first) == error("WrongSequence(uint64,uint64)", 2, 1)
    head = next_head(key, 1, FIRST_HEAD, DIGEST, 1)
    for data in writes(key, 2, FIRST_HEAD):
        assert bench.refusal(data) == error("WrongHead(bytes32,bytes32)", head, FIRST_HEAD)
    for data in writes(key, 2, head):
        assert bench.refusal(data) == b""


def test_heads_are_those_that_we_compute(bench: Bench, key: bytes) -> None:
    first, second, third = writes(key, 1, FIRST_HEAD)[0], b"", b""
    one = next_head(key, 1, FIRST_HEAD, DIGEST, 1)
    second = _contract.append_many_call(key, 2, one, [DIGEST, OTHER], [1, 255])
    two = next_head(key, 2, one, DIGEST, 1)
    three = next_head(key, 3, two, OTHER, 255)
    third = _contract.anchor_call(key, 4, three, DIGEST, 1000)
    last = next_anchored_head(key, 4, three, DIGEST, 1000)
    said = [event for data in (first, second, third) for event in events(bench, bench.do(data))]
    assert [event.head for event in said] == [one, two, three, last]
    appended = [event for event in said if isinstance(event, _contract.Appended)]
    assert [(event.seq, event.digest, event.kind) for event in appended] == [
        (1, DIGEST, 1),
        (2, DIGEST, 1),
        (3, OTHER, 255),
    ]
    anchored = said[-1]
    assert isinstance(anchored, _contract.Anchored)
    assert (anchored.key, anchored.first, anchored.count, anchored.root) == (key, 4, 1000, DIGEST)
    assert bench.session(key) == _contract.SessionState(bench.account.address, 1003, False, last)
    assert bench.refusal(_contract.append_call(key, 1004, last, DIGEST, 0)) == b""


def test_lists_must_fit_and_an_empty_one_does_nothing(bench: Bench, key: bytes) -> None:
    short = call("appendMany", key, 1, FIRST_HEAD, [DIGEST, DIGEST], [1])
    assert bench.refusal(short) == error("LengthMismatch(uint256,uint256)", 2, 1)
    assert bench.refusal(call("appendMany", key, 1, FIRST_HEAD, [], [1])) == error(
        "LengthMismatch(uint256,uint256)", 0, 1
    )
    before = bench.session(key)
    receipt = bench.do(_contract.append_many_call(key, 1, FIRST_HEAD, [], []))
    assert (receipt["status"], receipt["logs"]) == ("0x1", [])
    assert bench.session(key) == before
    assert bench.refusal(_contract.anchor_call(key, 1, FIRST_HEAD, DIGEST, 0)) == error(
        "EmptyTree(bytes32)", key
    )


def test_places_end_at_64_bits(bench: Bench, key: bytes) -> None:
    most = _contract.anchor_call(key, 1, FIRST_HEAD, DIGEST, LAST - 2)
    head = next_anchored_head(key, 1, FIRST_HEAD, DIGEST, LAST - 2)
    assert bench.do(most)["status"] == "0x1"
    # Two places are left: three records, or a tree over three, do not fit.
    three = _contract.append_many_call(key, LAST - 1, head, [DIGEST] * 3, [0] * 3)
    assert bench.refusal(three) == PANIC_OVERFLOW
    assert bench.refusal(_contract.anchor_call(key, LAST - 1, head, DIGEST, 3)) == PANIC_OVERFLOW
    assert bench.refusal(_contract.anchor_call(key, LAST - 1, head, DIGEST, LAST)) == PANIC_OVERFLOW
    assert bench.refusal(_contract.anchor_call(key, LAST - 1, head, DIGEST, 2)) == b""
    assert bench.do(_contract.append_many_call(key, LAST - 1, head, [DIGEST] * 2, [0] * 2))["status"] == "0x1"
    state = bench.session(key)
    assert state.count == LAST
    for seq in (0, 1, LAST):
        for data in writes(key, seq, state.head):
            assert bench.refusal(data) == PANIC_OVERFLOW
    assert bench.do(call("close", key))["status"] == "0x1"


def test_a_closed_session_takes_no_more(bench: Bench, key: bytes) -> None:
    bench.do(_contract.append_call(key, 1, FIRST_HEAD, DIGEST, 1))
    head = next_head(key, 1, FIRST_HEAD, DIGEST, 1)
    (log,) = bench.do(call("close", key))["logs"]
    assert log["topics"] == ["0x" + keccak(b"Closed(bytes32,uint64,bytes32)").hex(), "0x" + key.hex()]
    assert bytes.fromhex(log["data"][2:]) == encode(["uint64", "bytes32"], [1, head])
    for data in [*writes(key, 2, head), call("close", key)]:
        assert bench.refusal(data) == error("SessionClosed(bytes32)", key)
    assert bench.session(key) == _contract.SessionState(bench.account.address, 1, True, head)


def test_sessions_can_be_handed_to_another_key(bench: Bench, key: bytes) -> None:
    closed = bench.key()
    bench.do(_contract.open_call(closed))
    bench.do(call("close", closed))
    assert bench.refusal(_contract.rotate_call([key], "0x" + "00" * 20)) == error("NoOwner()")
    nothing = bench.do(_contract.rotate_call([], bench.other.address))
    assert (nothing["status"], nothing["logs"]) == ("0x1", [])
    receipt = bench.do(_contract.rotate_call([key, closed], bench.other.address))
    rotated = "0x" + keccak(b"Rotated(bytes32,address,address)").hex()
    pad = "0x" + "00" * 12
    assert [log["topics"] for log in receipt["logs"]] == [
        [rotated, "0x" + each.hex(), pad + bench.account.address[2:], pad + bench.other.address[2:]]
        for each in (key, closed)
    ]
    first = _contract.append_call(key, 1, FIRST_HEAD, DIGEST, 1)
    assert bench.refusal(first) == error("NotOwner(bytes32,address)", key, bench.account.address)
    assert bench.do(first, bench.other)["status"] == "0x1"
    assert bench.session(closed).closed
    assert bench.session(closed).owner == bench.other.address
    # All are handed over, or none.
    mixed = _contract.rotate_call([key, bench.key()], bench.account.address)
    assert bench.do(mixed, bench.other)["status"] == "0x0"
    assert bench.session(key).owner == bench.other.address


@settings(max_examples=25, deadline=None)
@given(before=st.integers(0, 2), records=st.lists(st.tuples(words, kinds), min_size=1, max_size=6))
def test_many_at_once_are_the_same_as_one_by_one(
    bench: Bench, before: int, records: list[tuple[bytes, int]]
) -> None:
    key = bench.key()
    bench.do(_contract.open_call(key))
    head = FIRST_HEAD
    for seq in range(1, before + 1):
        bench.do(_contract.append_call(key, seq, head, DIGEST, 0))
        head = next_head(key, seq, head, DIGEST, 0)
    digests, numbers = [digest for digest, _ in records], [kind for _, kind in records]
    many = bench.do(_contract.append_many_call(key, before + 1, head, digests, numbers))
    heads = []
    for seq, (digest, kind) in enumerate(records, before + 1):
        head = next_head(key, seq, head, digest, kind)
        heads.append(head)
    said = events(bench, many)
    assert [event.head for event in said] == heads
    assert bench.session(key) == _contract.SessionState(
        bench.account.address, before + len(records), False, heads[-1]
    )
    # The same records one by one, in a session that is the same but for its key.
    twin, head = bench.key(), FIRST_HEAD
    bench.do(_contract.open_call(twin))
    one_by_one: list[_contract.Logged] = []
    for seq, (digest, kind) in enumerate(records, 1):
        one_by_one += events(bench, bench.do(_contract.append_call(twin, seq, head, digest, kind)))
        head = one_by_one[-1].head
    assert bench.session(twin).head == head
    assert [(e.seq + before, e.digest, e.kind) for e in one_by_one if isinstance(e, _contract.Appended)] == [
        (e.seq, e.digest, e.kind) for e in said if isinstance(e, _contract.Appended)
    ]


@given(key=words, place=places, prev=words, word=words, number=places)
def test_a_record_and_a_tree_never_give_the_same_head(
    key: bytes, place: int, prev: bytes, word: bytes, number: int
) -> None:
    record = encode(
        ["bytes32", "uint64", "bytes32", "bytes32", "uint8"], [key, place, prev, word, number % 256]
    )
    tree = encode(
        ["bytes32", "uint64", "bytes32", "bytes32", "uint64", "uint256"], [key, place, prev, word, number, 1]
    )
    assert next_head(key, place, prev, word, number % 256) == keccak(record)
    assert next_anchored_head(key, place, prev, word, number) == keccak(tree)
    # Preimages of unequal length are unequal, whatever they hold.
    assert len(record) != len(tree)


@given(st.data())
def test_calls_are_encoded_as_the_abi_says(data: st.DataObject) -> None:
    draw = data.draw
    key, place, prev, digest, kind = draw(words), draw(places), draw(words), draw(words), draw(kinds)
    many = draw(st.lists(words, max_size=4))
    numbers = draw(st.lists(kinds, min_size=len(many), max_size=len(many)))
    owner = "0x" + draw(st.binary(min_size=20, max_size=20)).hex()
    assert _contract.open_call(key) == call("open", key)
    assert _contract.append_call(key, place, prev, digest, kind) == call(
        "append", key, place, prev, digest, kind
    )
    assert _contract.append_many_call(key, place, prev, many, numbers) == call(
        "appendMany", key, place, prev, many, numbers
    )
    assert _contract.anchor_call(key, place, prev, digest, place) == call(
        "anchor", key, place, prev, digest, place
    )
    assert _contract.rotate_call(many, owner) == call("rotate", many, owner)
    assert _contract.sessions_call(key) == call("sessions", key)
    output = encode(["address", "uint64", "bool", "bytes32"], [owner, place, True, prev])
    assert _contract.session_state(output) == _contract.SessionState(owner, place, True, prev)


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned compiler in a folder of its own."""
    folder = tmp_path_factory.mktemp("contracts")
    for name in ("AuditLog.sol", "compile.mjs", "package.json", "package-lock.json"):
        shutil.copy(ROOT / "contracts" / name, folder)
    shutil.copy(ROOT / "benchmarks" / "EventOnly.sol", folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def compiled(folder: Path, name: str) -> bytes:
    command = ["node", "compile.mjs", str(folder / f"{name}.json"), str(folder / f"{name}.sol")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (folder / f"{name}.json").read_bytes()


def test_the_artifact_is_what_the_compiler_makes_of_the_source(compiler: Path) -> None:
    committed = ROOT / "llmasos" / "ledger" / "AuditLog.json"
    assert compiled(compiler, "AuditLog") == committed.read_bytes()
    assert "0.8.37" in json.loads(committed.read_text())["compiler"]


def test_a_record_costs_little_more_than_an_event(
    bench: Bench, compiler: Path, tmp_path: Path, key: bytes
) -> None:
    peer = Bench(tmp_path, bytes.fromhex(json.loads(compiled(compiler, "EventOnly"))["bytecode"]))
    head, digests = FIRST_HEAD, [keccak(bytes([number])) for number in range(100)]
    selector = keccak(b"log(bytes32,uint64,bytes32,uint8)")[:4]
    for seq, digest in enumerate(digests[:3], 1):
        receipt = bench.do(_contract.append_call(key, seq, head, digest, 1))
        head = next_head(key, seq, head, digest, 1)
        event = encode(["bytes32", "uint64", "bytes32", "uint8"], [key, seq, digest, 1])
        floor = int(peer.do(selector + event)["gasUsed"], 16)
        # The first record of a session pays for the room of its head.
        cost = int(receipt["gasUsed"], 16)
    peer.evm.close()
    assert cost <= 1.6 * floor
    many = bench.do(_contract.append_many_call(key, 4, head, digests, [1] * 100))
    assert int(many["gasUsed"], 16) / 100 < 4_100
    trees = bench.key()
    bench.do(_contract.open_call(trees))
    bench.do(_contract.anchor_call(trees, 1, FIRST_HEAD, DIGEST, 1024))
    head = next_anchored_head(trees, 1, FIRST_HEAD, DIGEST, 1024)
    tree = bench.do(_contract.anchor_call(trees, 1025, head, OTHER, 1024))
    assert int(tree["gasUsed"], 16) / 1024 < 37
