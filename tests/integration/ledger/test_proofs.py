"""Proofs of records on the embedded chain's machine, and thousands of forged ones."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import rlp

from llmasos.ledger import check
from llmasos.ledger._digest import canonical
from llmasos.ledger._proofs import NotProvable, prove
from llmasos.ledger._tables import RecordRow
from llmasos.ledger.check import Forged
from tests.ledger.chain_on_evm import EvmChain, branch

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

Document = dict[str, Any]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmChain]:
    """A chain with an action of three records in two blocks, and a tree over eleven more."""
    chain = EvmChain(tmp_path_factory.mktemp("chain"))
    chain.append(chain.record(body={"text": "délicat </script>", "policy": "b" * 64}))
    chain.append(chain.record(kind="approval"), chain.record(kind="outcome"))
    chain.anchor(*(chain.record(session=f"t{n % 3}", route="tree", action="a2") for n in range(11)))
    chain.append(chain.record(session="later", action="a3"))
    chain.record(session="waiting", action="a4")
    yield chain
    chain.close()


async def proof(chain: EvmChain, *numbers: int, **options: Any) -> Document:
    return await prove(chain.store, chain.port, chain.contract, numbers, **options)


def verdict(document: Document) -> dict[str, Any]:
    return check.check(canonical(document))


def refused(document: Any, original: dict[str, Any]) -> bool:
    """Whether a file proves nothing, under the block that was confirmed, but a part of the original."""
    try:
        data = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        found = check.check(data)
        same = all(found[name] == original[name] for name in ("chain_id", "contract", "block"))
        known = same and all(one in original["records"] for one in found["records"])
        return bool(
            found["block_hash"] != original["block_hash"]
            or (known and len(document["proofs"]) < len(original["records"]))
        )
    except (Forged, UnicodeEncodeError):
        return True


async def test_a_record_is_proved(chain: EvmChain) -> None:
    document = await proof(chain, 1)
    found = verdict(document)
    record = found["records"][0]
    block = await chain.block(record["block"])
    assert block is not None and found["block_hash"] == block.hash and record["time"] == block.time
    assert record["account"] == chain.account and found["contract"] == chain.contract
    assert record["record"]["body"] == '{"policy":"' + "b" * 64 + '","text":"délicat </script>"}'
    assert len(canonical(document)) <= 3100


async def test_an_action_is_one_file_with_one_hash_to_confirm(chain: EvmChain) -> None:
    found = verdict(await proof(chain, 3, 1, 2))
    assert [(one["record"]["kind"], one["record"]["seq"]) for one in found["records"]] == [
        ("intent", 1),
        ("approval", 2),
        ("outcome", 3),
    ]
    assert found["block"] == max(one["block"] for one in found["records"]) > found["records"][0]["block"]


async def test_leaves_of_a_tree_are_proved(chain: EvmChain) -> None:
    found = verdict(await proof(chain, *range(4, 15)))
    assert [one["leaf"] for one in found["records"]] == list(range(1, 12))


async def test_headers_lead_to_an_anchored_block(chain: EvmChain) -> None:
    newest = await chain.block()
    assert newest is not None
    found = verdict(await proof(chain, 1, up_to=newest.number))
    assert (found["block"], found["block_hash"]) == (newest.number, newest.hash)
    with pytest.raises(NotProvable, match="does not vouch"):
        await proof(chain, 15, up_to=1)
    with pytest.raises(NotProvable, match="has no block"):
        await proof(chain, 1, up_to=newest.number + 1)


async def test_what_cannot_be_proved_is_said(chain: EvmChain) -> None:
    for numbers, text in (
        ((99,), "no record 99"),
        ((1, 16), "Not on the chain yet: record 16"),
        ((), "No records"),
    ):
        with pytest.raises(NotProvable, match=text) as caught:
            await proof(chain, *numbers)
        assert caught.value.hint


async def test_an_altered_record_gets_no_proof(tmp_path: Path) -> None:
    chain = EvmChain(tmp_path)
    chain.append(chain.record())
    chain.store.run_sync(lambda session: setattr(session.get(RecordRow, 1), "tool", "other"))
    with pytest.raises(NotProvable, match="does not prove this"):
        await proof(chain, 1)
    chain.close()


async def test_an_erased_body_is_left_out_and_the_rest_stays_proved(tmp_path: Path) -> None:
    chain = EvmChain(tmp_path)
    chain.append(chain.record())

    def erase(session: Any) -> None:
        row = session.get(RecordRow, 1)
        row.body = row.body_salt = None

    with_body = await proof(chain, 1)
    without = await proof(chain, 1, bodies=False)
    chain.store.run_sync(erase)
    erased = await proof(chain, 1)
    assert [
        sorted(one["proofs"][0]["record"].keys() & {"body", "erased"}) for one in (with_body, without, erased)
    ] == [
        ["body"],
        [],
        ["erased"],
    ]
    assert verdict(erased)["records"][0]["record"]["erased"] is True
    chain.close()


def altered(document: Document, path: tuple[Any, ...], value: Any) -> Document:
    changed = copy.deepcopy(document)
    at = changed
    for name in path[:-1]:
        at = at[name]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in list(items):
        yield from leaves(inner, (*path, name))


def field_mutations(document: Document) -> Iterator[Document]:
    """Every field with other values, other types and gone; every object with one more."""
    for path, value in leaves(document):
        others: list[Any] = [
            KeyError,
            None,
            True,
            False,
            0,
            1,
            2,
            -1,
            2**53,
            2**64,
            0.5,
            "",
            "x",
            [],
            {},
            [value],
            "\ud800",
        ]
        if isinstance(value, str):
            others += [
                value + "A",
                value[:-1],
                value.upper(),
                value[::-1],
                value + " ",
                value + "\n",
                "é" + value,
            ]
        if isinstance(value, int):
            others += [value + 1, value - 1, float(value), str(value), value + 2**32]
        if isinstance(value, list):
            others += [value + value, value[:-1], value[1:], value[::-1], [*value, 0]]
        for other in others:
            if type(other) is not type(value) or other != value:
                yield altered(document, path, other)
        if isinstance(value, dict):
            yield altered(document, (*path, "more"), 1)
    yield {**document, "more": 1}


def byte_mutations(document: Document, rng: random.Random) -> Iterator[Document]:
    """Every byte of every node changed, and every node cut, lengthened and exchanged for another."""
    nodes = [base64.b64decode(node) for node in document["nodes"]]
    for place, node in enumerate(nodes):
        for at in range(len(node)):
            yield with_node(
                document, place, node[:at] + bytes([node[at] ^ rng.randrange(1, 256)]) + node[at + 1 :]
            )
        for other in (node[:-1], node[1:], node + b"\0", b"", b"\xc0", b"\x80", node[: len(node) // 2]):
            yield with_node(document, place, other)
        for second in range(place):
            swapped = copy.deepcopy(document)
            swapped["nodes"][place], swapped["nodes"][second] = (
                document["nodes"][second],
                document["nodes"][place],
            )
            yield swapped


def with_node(document: Document, place: int, node: bytes) -> Document:
    return altered(document, ("nodes", place), base64.b64encode(node).decode())


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3), (8,)], ids=["one", "action", "leaf"])
async def test_mutated_proofs_are_refused(chain: EvmChain, numbers: tuple[int, ...]) -> None:
    document = await proof(chain, *numbers)
    expected, tried = verdict(document), 0
    for mutations in (field_mutations(document), byte_mutations(document, random.Random(7))):
        for changed in mutations:
            tried += 1
            assert refused(changed, expected), f"accepted: {changed}"
    assert tried > 1_000


async def test_another_records_place_proves_nothing(chain: EvmChain) -> None:
    document = await proof(chain, *range(1, 16))
    expected, count = verdict(document), 0
    for to in range(15):
        for of in range(15):
            for name in ("record", "block", "transaction", "receipt", "log", "tree", "prev", "index"):
                value = document["proofs"][of].get(name)
                if value is not None and value != document["proofs"][to].get(name):
                    count += 1
                    assert refused(altered(document, ("proofs", to, name), value), expected), (to, of, name)
    assert count > 500


def rebuilt(document: Document, change: Callable[[Any, Any], None]) -> Document:
    """Return the proof under a block that was made up, so that nothing but the changed part can be wrong.

    Args:
        change: Changes the decoded transaction and receipt.
    """
    document, one = copy.deepcopy(document), document["proofs"][0]
    nodes = [base64.b64decode(node) for node in document["nodes"]]
    header = rlp.decode(nodes[one["block"]])
    values = [rlp.decode(nodes[one[name][-1]])[1] for name in ("transaction", "receipt")]
    parts = [rlp.decode(value[1:]) for value in values]
    change(*parts)
    for name, field, value in zip(("transaction", "receipt"), (4, 5), parts, strict=True):
        leaf = branch([b"\2" + rlp.encode(value)], 0)[-1]
        nodes[one[name][-1]], header[field] = leaf, check.keccak(leaf)
    nodes[one["block"]] = rlp.encode(header)
    document["nodes"] = [base64.b64encode(node).decode() for node in nodes]
    return document


def _fails(_: Any, receipt: Any) -> None:
    receipt[0] = b""


def _other_contract(_: Any, receipt: Any) -> None:
    receipt[3][0][0] = bytes(20)


def _other_chain(transaction: Any, _: Any) -> None:
    transaction[0] = b"\1"


def _other_target(transaction: Any, _: Any) -> None:
    transaction[5] = bytes(20)


def _other_event(_: Any, receipt: Any) -> None:
    receipt[3][0][1][0] = check.keccak(check.ANCHORED)


def _other_session(_: Any, receipt: Any) -> None:
    receipt[3][0][1][1] = check.TREE_KEY


def _other_head(_: Any, receipt: Any) -> None:
    receipt[3][0][2] = receipt[3][0][2][:64] + bytes(32)


def _no_logs(_: Any, receipt: Any) -> None:
    receipt[3] = []


def _malleable(transaction: Any, _: Any) -> None:
    transaction[11] = (check.N - int.from_bytes(transaction[11], "big")).to_bytes(32, "big")


def _no_signature(transaction: Any, _: Any) -> None:
    transaction[10] = b""


@pytest.mark.parametrize(
    "change",
    [
        _fails,
        _other_contract,
        _other_chain,
        _other_target,
        _other_event,
        _other_session,
        _other_head,
        _no_logs,
        _malleable,
        _no_signature,
    ],
)
async def test_a_block_that_says_something_else_proves_nothing(
    chain: EvmChain, change: Callable[[Any, Any], None]
) -> None:
    document = await proof(chain, 1)
    assert verdict(rebuilt(document, lambda *_: None))["records"] == verdict(document)["records"]
    with pytest.raises(Forged):
        verdict(rebuilt(document, change))


async def test_another_signer_is_reported_as_such(chain: EvmChain) -> None:
    def other_nonce(transaction: Any, _: Any) -> None:
        transaction[1] = b"\x7f"

    found = verdict(rebuilt(await proof(chain, 1), other_nonce))
    assert found["records"][0]["account"] != chain.account


def test_tricks_with_the_nodes_of_a_trie_are_refused() -> None:
    values = [bytes([n]) * 100 for n in range(140)]
    for index in (0, 1, 15, 16, 127, 128, 139):
        nodes = branch(values, index)
        root = check.keccak(nodes[0])
        assert check.trie_value(root, index, nodes) == values[index]
        for bad in (nodes[:-1], nodes[1:], nodes[::-1], (*nodes, nodes[-1]), (), (nodes[0], *nodes)):
            with pytest.raises(Forged):
                check.trie_value(root, index, bad)
        with pytest.raises(Forged):
            check.trie_value(root, index + 1, nodes)
    value = b"v" * 100
    empty = rlp.encode([b"\0", value])
    odd = rlp.encode([b"\x40\x80", value])
    padded = rlp.encode([b"\x2f\x80", value])
    lists = rlp.encode([[b"\x20\x80"], value])
    inner = rlp.encode([b"\x20\x80", [value]])
    seventeen = rlp.encode([b""] * 16 + [value])
    for node in (empty, odd, padded, lists, inner, seventeen, rlp.encode(b"x" * 17), rlp.encode([])):
        with pytest.raises(Forged):
            check.trie_value(check.keccak(node), 0, [node])
    loop = rlp.encode([b"\0", check.keccak(value)])
    with pytest.raises(Forged):
        check.trie_value(check.keccak(loop), 0, [loop, value])


class Node(BaseHTTPRequestHandler):
    """A node that answers what it is told to."""

    answers: dict[str, Any]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"result": self.answers.get(asked["method"])}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def node(**answers: Any) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), type("Told", (Node,), {"answers": answers}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(*arguments: object, bare: bool = False) -> subprocess.CompletedProcess[str]:
    options = ["-I", "-S"] if bare else ["-I"]
    command = [sys.executable, *options, check.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


async def test_the_command_tells_what_is_proved(chain: EvmChain, tmp_path: Path) -> None:
    document = await proof(chain, 1)
    file, found = tmp_path / "proof.json", verdict(document)
    file.write_bytes(canonical(document) + b"\n")

    bare = run(file, bare=True)
    assert bare.returncode == 2 and "pip install safe-pysha3 coincurve" in bare.stdout and not bare.stderr
    unconfirmed = run(file)
    assert unconfirmed.returncode == 3 and "NOT PROVED until" in unconfirmed.stdout
    assert found["block_hash"] in unconfirmed.stdout
    proved = run(
        file, "--block-hash", found["block_hash"].upper().replace("X", "x"), "--account", chain.account
    )
    assert proved.returncode == 0 and "PROVED, as block" in proved.stdout and chain.account in proved.stdout
    assert "no other records" in proved.stdout and not proved.stderr
    as_json = json.loads(run(file, "--block-hash", found["block_hash"], "--json").stdout)
    assert as_json["status"] == 0 and as_json["records"] == found["records"]

    other = run(file, "--block-hash", "0x" + "0" * 64)
    assert other.returncode == 1 and "REFUSED" in other.stdout and "Record" not in other.stdout
    assert run(file, "--block-hash", found["block_hash"], "--account", "0x" + "0" * 40).returncode == 1
    assert run(file, "--block-hash", "0x12").returncode == 2
    assert run(file, "--rpc", "file:///dev/null").returncode == 2
    assert run(tmp_path / "absent").returncode == 2
    file.write_bytes(canonical(altered(document, ("proofs", 0, "record", "tool"), "other")))
    forged = run(file, "--block-hash", found["block_hash"])
    assert forged.returncode == 1 and not forged.stderr


async def test_the_command_asks_a_node(chain: EvmChain, tmp_path: Path) -> None:
    document = await proof(chain, 1)
    file, found = tmp_path / "proof.json", verdict(document)
    file.write_bytes(canonical(document))
    block = {"hash": found["block_hash"]}
    for status, answers in (
        (0, {"eth_chainId": hex(chain.chain_id), "eth_getBlockByNumber": block}),
        (1, {"eth_chainId": "0x1", "eth_getBlockByNumber": block}),
        (1, {"eth_chainId": hex(chain.chain_id), "eth_getBlockByNumber": {"hash": "0x" + "1" * 64}}),
        (4, {"eth_chainId": hex(chain.chain_id), "eth_getBlockByNumber": None}),
        (4, {"eth_chainId": hex(chain.chain_id), "eth_getBlockByNumber": {"hash": 7}}),
        (4, {"eth_chainId": {}}),
    ):
        with node(**answers) as url:
            done = run(file, "--rpc", url)
        assert done.returncode == status, done.stdout
        assert "secret" not in done.stdout + done.stderr
    assert run(file, "--rpc", url).returncode == 4
    both = run(file, "--rpc", url, "--block-hash", found["block_hash"])
    assert both.returncode == 2 and "not allowed" in both.stderr


async def test_what_is_printed_cannot_steer_a_terminal(tmp_path: Path) -> None:
    chain = EvmChain(tmp_path)
    chain.append(chain.record(session="\x1b[2J\u202e文", action="\n"))
    file = tmp_path / "proof.json"
    file.write_bytes(canonical(await proof(chain, 1)))
    for encoding in ("utf-8", "ascii"):
        done = subprocess.run(
            [sys.executable, check.__file__, file], capture_output=True, env={"PYTHONIOENCODING": encoding}
        )
        assert done.returncode == 3 and not done.stderr
        assert b"\x1b" not in done.stdout and "\u202e".encode() not in done.stdout
    chain.close()


async def test_a_proof_that_is_too_large_is_not_handed_out(
    chain: EvmChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LIMIT", 3000)
    with pytest.raises(NotProvable, match="would have"):
        await proof(chain, 1, 2)


async def test_a_chain_that_gives_something_else_proves_nothing(
    chain: EvmChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = chain.inclusion
    other = (await chain.inclusion(chain.hashes[-1])).receipt
    for receipt in ((), (b"",), other):

        async def lying(tx_hash: str, nodes: Any = receipt) -> Any:
            return dataclasses.replace(await genuine(tx_hash), receipt=nodes)

        monkeypatch.setattr(chain, "inclusion", lying)
        with pytest.raises(NotProvable, match="gives no proof of record 1"):
            await proof(chain, 1)
