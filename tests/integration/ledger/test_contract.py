"""The contract on the embedded chain: what it refuses, and that its bytes are those of its source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.ledger import EmbeddedChain, _contract
from llmasos.ledger._digest import FIRST_HEAD, keccak, next_head, session_key
from llmasos.ledger.node.evm import CallReverted, Evm, TransactionRefused

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
KEY = session_key("session")
DIGEST = bytes([7]) * 32


class Bench:
    """A contract on a chain in this process, with an account."""

    def __init__(self, folder: Path) -> None:
        self.signer = EmbeddedChain(folder)
        self.account = bytes.fromhex(self.signer.account[2:])
        self.evm = Evm(folder / "chain.db", self.account)
        self.nonce = 0
        self.evm.send(self.sign(None, _contract.deploy_code()))
        self.contract = bytes.fromhex(_contract.created_address(self.signer.account, 0)[2:])

    def sign(self, to: bytes | None, data: bytes) -> bytes:
        signed = self.signer.sign(self.nonce, None if to is None else "0x" + to.hex(), data)
        self.nonce += 1
        return signed.raw

    def do(self, data: bytes) -> bool:
        found = self.evm.transaction(self.evm.send(self.sign(self.contract, data)))
        assert found is not None
        return bool(found[1].state_root == b"\x01")

    def refusal(self, data: bytes, sender: bytes | None = None) -> str:
        with pytest.raises(CallReverted) as caught:
            self.evm.call(sender or self.account, self.contract, data, 300_000, "latest")
        return {keccak(signature.encode())[:4]: signature.split("(")[0] for signature in ERRORS}[
            caught.value.data[:4]
        ]


ERRORS = [
    "SessionExists(bytes32)",
    "SessionUnknown(bytes32)",
    "SessionClosed(bytes32)",
    "NotOwner(bytes32,address)",
    "WrongSequence(uint64,uint64)",
    "WrongHead(bytes32,bytes32)",
    "LengthMismatch(uint256,uint256)",
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.evm.close()


def call(name: str, *values: Any) -> bytes:
    from eth_abi.abi import encode

    signature = next(text for text in _contract.artifact()["selectors"] if text.startswith(name + "("))
    types = signature[len(name) + 1 : -1].split(",")
    return bytes.fromhex(_contract.artifact()["selectors"][signature]) + encode(types, values)


def test_it_refuses_what_would_break_a_session(bench: Bench) -> None:
    first = _contract.append_call(KEY, 1, FIRST_HEAD, DIGEST, 0)
    head = next_head(KEY, 1, FIRST_HEAD, DIGEST, 0)
    assert bench.refusal(first) == "SessionUnknown"
    assert bench.do(_contract.open_call(KEY))
    assert bench.refusal(_contract.open_call(KEY)) == "SessionExists"
    assert bench.refusal(first, bytes([1]) * 20) == "NotOwner"
    assert bench.refusal(call("close", KEY), bytes([1]) * 20) == "NotOwner"
    assert bench.refusal(_contract.append_call(KEY, 2, FIRST_HEAD, DIGEST, 0)) == "WrongSequence"
    assert bench.refusal(_contract.append_call(KEY, 1, DIGEST, DIGEST, 0)) == "WrongHead"
    assert bench.do(first)
    assert not bench.do(first)
    assert bench.refusal(first) == "WrongSequence"
    assert bench.refusal(_contract.append_call(KEY, 2, FIRST_HEAD, DIGEST, 0)) == "WrongHead"
    assert bench.do(call("close", KEY))
    assert bench.refusal(_contract.append_call(KEY, 2, head, DIGEST, 0)) == "SessionClosed"
    assert bench.refusal(call("close", KEY)) == "SessionClosed"
    output = bench.evm.call(bench.account, bench.contract, _contract.sessions_call(KEY), 300_000, "latest")
    assert _contract.session_state(output) == _contract.SessionState(bench.signer.account, 1, True, head)


def test_many_records_at_once_give_the_same_head_as_one_by_one(bench: Bench) -> None:
    head, digests = FIRST_HEAD, [bytes([n]) * 32 for n in range(1, 4)]
    for seq, digest in enumerate(digests, 1):
        head = next_head(KEY, seq, head, digest, seq)
    assert bench.do(_contract.open_call(KEY))
    assert bench.refusal(call("appendMany", KEY, 1, FIRST_HEAD, digests, [1])) == "LengthMismatch"
    assert bench.refusal(call("appendMany", KEY, 2, FIRST_HEAD, digests, [1, 2, 3])) == "WrongSequence"
    assert bench.do(call("appendMany", KEY, 1, FIRST_HEAD, digests, [1, 2, 3]))
    output = bench.evm.call(bench.account, bench.contract, _contract.sessions_call(KEY), 300_000, "latest")
    assert _contract.session_state(output) == _contract.SessionState(bench.signer.account, 3, False, head)
    logs = [
        log
        for log in bench.evm.logs(0, bench.evm.height, [])
        if log["topics"][0] == _contract.appended_topic()
    ]
    events = [_contract.appended(log) for log in logs]
    assert [(e.seq, e.digest, e.kind) for e in events] == [(n, d, n) for n, d in enumerate(digests, 1)]
    assert events[-1].head == head


def test_the_chain_takes_a_transaction_once_and_in_order(bench: Bench) -> None:
    raw = bench.sign(bench.contract, _contract.open_call(KEY))
    height = bench.evm.height
    assert bench.evm.send(raw) == bench.evm.send(raw)
    assert bench.evm.height == height + 1
    bench.nonce += 1
    with pytest.raises(TransactionRefused, match="nonce too high"):
        bench.evm.send(bench.sign(bench.contract, _contract.open_call(KEY)))
    bench.nonce = 0
    with pytest.raises(TransactionRefused, match="nonce too low"):
        bench.evm.send(bench.sign(bench.contract, b""))
    with pytest.raises(TransactionRefused, match="refused"):
        bench.evm.send(b"\x02\xc0")
    assert bench.evm.height == height + 1


def test_the_artifact_is_what_the_compiler_makes_of_the_source(tmp_path: Path) -> None:
    for name in ("AuditLog.sol", "compile.mjs", "package.json", "package-lock.json"):
        shutil.copy(ROOT / "contracts" / name, tmp_path)
    made = tmp_path / "AuditLog.json"
    run = {"cwd": tmp_path, "check": True, "capture_output": True}
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], **run)  # type: ignore[call-overload]
    subprocess.run(["node", "compile.mjs", str(made)], **run, env=dict(os.environ))  # type: ignore[call-overload]
    committed = ROOT / "llmasos" / "ledger" / "AuditLog.json"
    assert made.read_bytes() == committed.read_bytes()
    assert "0.8.37" in json.loads(committed.read_text())["compiler"]
