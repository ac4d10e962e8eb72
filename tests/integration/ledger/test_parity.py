"""The embedded chain and anvil agree on every root, and on block hashes but for what anvil draws."""

from __future__ import annotations

import json
import random
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp

from llmasos.ledger import _contract
from llmasos.ledger._digest import FIRST_HEAD, keccak, next_anchored_head, next_head
from llmasos.ledger.chains.anvil import _program
from llmasos.ledger.node.evm import CHAIN_ID, GAS_LIMIT, to_hex
from tests.integration.ledger.bench import Bench, call

pytestmark = pytest.mark.integration

HEADER = """
    parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit
    gasUsed timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas
    parentBeaconBlockRoot
"""
NUMBERS = "difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas"

Ask = Callable[..., Any]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.evm.close()


@pytest.fixture
def anvil(bench: Bench, tmp_path: Path) -> Iterator[Ask]:
    """A development node whose first block holds the same accounts."""
    program = str(_program())
    first, second = (bench.ask("eth_getBlockByNumber", number) for number in ("0x0", "0x1"))
    funds = bench.ask("eth_getBalance", bench.account.address, "0x0")
    genesis = {
        "config": {"chainId": CHAIN_ID},
        "coinbase": first["miner"],
        "alloc": {bench.account.address: {"balance": funds}},
        **{name: first[name] for name in ("nonce", "timestamp", "gasLimit", "difficulty", "mixHash")},
    }
    (tmp_path / "genesis.json").write_text(json.dumps(genesis))
    command = [program, "--init", str(tmp_path / "genesis.json"), "--hardfork", "cancun", "--no-mining"]
    command += ["--chain-id", str(CHAIN_ID), "--port", "0", "--accounts", "0", "--timestamp", "0"]
    # anvil takes the fee of the first block for that of the second, instead of computing it.
    command += [
        "--block-base-fee-per-gas",
        str(int(second["baseFeePerGas"], 16)),
        "--gas-limit",
        str(GAS_LIMIT),
    ]
    command += ["--disable-default-create2-deployer"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        try:
            url = next(found[1] for line in node.stdout if (found := re.search(r"Listening on (\S+)", line)))

            def ask(method: str, *params: Any) -> Any:
                body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
                request = urllib.request.Request(f"http://{url}", body, {"content-type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    said = json.load(answer)
                assert "result" in said, (method, said)
                return said["result"]

            yield ask
        finally:
            node.kill()


def hash_of(block: dict[str, Any]) -> str:
    """Return the hash of a header, computed from its fields."""
    fields = [
        rlp.sedes.big_endian_int.serialize(int(block[name], 16))
        if name in NUMBERS.split()
        else bytes.fromhex(block[name][2:])
        for name in HEADER.split()
    ]
    return to_hex(keccak(rlp.encode(fields)))


STORE = "6020355f355500"
"""A contract that stores the second word of the call data under the first."""


def unlike_a_log(bench: Bench) -> None:
    """Do what the audit log never does: delete from storage, and create contracts that do not last."""
    code = bytes.fromhex(f"66{STORE}5f5260076019f3")
    receipt = bench.send(bench.account.sign(None, code))
    store = bytes.fromhex(receipt["contractAddress"][2:])
    for slots in ({1: 5, 2: 6}, {3: 7}, {2: 0}, {2: 0}, {1: 0, 9: 0}, {3: 0}, {4: 2**256 - 1}):
        for slot, value in slots.items():
            bench.send(bench.account.sign(store, slot.to_bytes(32, "big") + value.to_bytes(32, "big")))
    # Code that stores and destroys itself, that stores and reverts, that stores and runs out of gas.
    for text in ("60015f5533ff", "60015f555f5ffd", "60015f555b600556"):
        bench.send(bench.account.sign(None, bytes.fromhex(text), gas=100_000))
    bench.send(bench.account.sign(store, b"", value=3))


def scenario(bench: Bench) -> None:
    """Send one transaction of every kind; the bench has deployed the contract and paid an account already."""
    one, two = bench.key(), bench.key()
    digests = [keccak(bytes([number])) for number in range(20)]
    bench.do(_contract.open_call(one))
    bench.do(_contract.append_call(one, 1, FIRST_HEAD, digests[0], 3))
    head = next_head(one, 1, FIRST_HEAD, digests[0], 3)
    assert bench.do(_contract.append_call(one, 1, FIRST_HEAD, digests[0], 3))["status"] == "0x0"
    bench.do(_contract.append_many_call(one, 2, head, digests, range(20)))
    bench.do(_contract.open_call(two), bench.other)
    bench.do(_contract.anchor_call(two, 1, FIRST_HEAD, digests[1], 1024), bench.other)
    head = next_anchored_head(two, 1, FIRST_HEAD, digests[1], 1024)
    bench.do(_contract.anchor_call(two, 1025, head, digests[2], 7), bench.other)
    bench.do(_contract.rotate_call([two], bench.account.address), bench.other)
    bench.do(call("close", two))
    assert bench.do(call("close", two))["status"] == "0x0"
    bench.send(bench.account.sign(bytes([9]) * 20, b"", value=1, gas=21_000))
    # Too little gas is a failed transaction too, which keeps all of it.
    assert bench.send(bench.account.sign(bench.contract, _contract.open_call(bench.key()), gas=30_000))[
        "status"
    ] == ("0x0")
    legacy = bench.account.legacy(bench.contract, _contract.open_call(bench.key()))
    assert bench.send(legacy)["type"] == "0x0"


def nonsense(bench: Bench) -> None:
    """Run code that nobody would write: most of it fails somewhere, and burns all of its gas there."""
    dice, ended = random.Random(7), []
    # Arithmetic, comparisons, bits, call data, memory, jumps, gas, small constants, copies and exchanges.
    numbers = [*range(0x01, 0x0B), *range(0x10, 0x1E), 0x35, 0x36, *range(0x50, 0x5C), 0x5F, 0x80, 0x81, 0x90]
    for _ in range(60):
        code = bytearray()
        for _ in range(dice.randrange(3, 40)):
            width = dice.choice([1, 1, 1, 2, 32])
            code += bytes([0x5F + width]) + dice.randbytes(width - 1) + bytes([dice.randrange(0, 96)])
            code += bytes([0x5B] * dice.randrange(2)) + bytes([dice.choice(numbers)])
        # What is left on the stack goes into memory, and becomes the contract.
        code += bytes.fromhex("600052602060206000f3")[dice.randrange(0, 2) :]
        receipt = bench.send(bench.account.sign(None, bytes(code), gas=dice.choice([80_000, 300_000])))
        ended.append(receipt["status"])
    assert len(set(ended)) == 2


def test_the_same_transactions_give_the_same_blocks(bench: Bench, anvil: Ask) -> None:
    scenario(bench)
    for number, raw in enumerate(bench.sent, 1):
        ours = bench.ask("eth_getBlockByNumber", hex(number))
        anvil("evm_setNextBlockTimestamp", ours["timestamp"])
        assert anvil("eth_sendRawTransaction", to_hex(raw)) == ours["transactions"][0]
        anvil("evm_mine")
        theirs = anvil("eth_getBlockByNumber", hex(number), False)
        for name in ("transactionsRoot", "receiptsRoot", "stateRoot"):
            assert theirs[name] == ours[name], (number, name)
        assert hash_of(ours) == ours["hash"]
        assert hash_of(theirs) == theirs["hash"]
        # anvil draws `mixHash`, and its first block has the root of no accounts.
        assert (
            hash_of({**theirs, "mixHash": ours["mixHash"], "parentHash": ours["parentHash"]}) == ours["hash"]
        )


def test_both_answer_questions_alike(bench: Bench, anvil: Ask) -> None:
    scenario(bench)
    for number, raw in enumerate(bench.sent, 1):
        anvil("evm_setNextBlockTimestamp", bench.ask("eth_getBlockByNumber", hex(number))["timestamp"])
        anvil("eth_sendRawTransaction", to_hex(raw))
        anvil("evm_mine")
    ours_only, chosen = (
        {"blockHash", "hash", "parentHash", "mixHash"},
        {"blockTimestamp", "totalDifficulty", "size"},
    )

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: plain(item)
                for name, item in value.items()
                if name not in ours_only | chosen and item is not None and not name.startswith("blobGasPrice")
            }
        return [plain(item) for item in value] if isinstance(value, list) else value

    contract, everything = to_hex(bench.contract), {"fromBlock": "0x0", "toBlock": "latest"}
    slot = to_hex(keccak(_contract.TREE_KEY + bytes(32)))
    questions: list[tuple[Any, ...]] = [
        ("eth_getLogs", everything),
        ("eth_getLogs", {**everything, "topics": [_contract.appended_topic()]}),
        ("eth_getLogs", {**everything, "topics": [None, None, ["0x" + (5).to_bytes(32).hex()]]}),
        ("eth_getProof", contract, [slot], "latest"),
        ("eth_getProof", bench.account.address, [], "latest"),
        ("eth_getProof", "0x" + "77" * 20, [], "latest"),
        ("eth_getTransactionCount", bench.account.address, "latest"),
        ("eth_getBalance", bench.other.address, "0x9"),
        ("eth_getCode", contract, "latest"),
    ]
    for raw in bench.sent:
        digest = to_hex(keccak(raw))
        questions += [("eth_getTransactionReceipt", digest), ("eth_getTransactionByHash", digest)]
        questions += [("eth_getRawTransactionByHash", digest)]
    questions += [("eth_getBlockReceipts", hex(number)) for number in range(1, 4)]
    for question in questions:
        assert plain(bench.ask(*question)) == plain(anvil(*question)), question


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT")
def test_our_parts_give_the_state_of_py_evms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # anvil keeps slots that were set to zero in its tries, so what deletes is compared with py-evm alone.
    from eth.db.account import AccountDB
    from eth.vm.forks.cancun.computation import CancunComputation

    roots = []
    for name in ("ours", "theirs"):
        if name == "theirs":
            monkeypatch.setattr("llmasos.ledger.node.accounts.Accounts", AccountDB)
            monkeypatch.setattr("llmasos.ledger.node.interpreter.Computation", CancunComputation)
            monkeypatch.setattr("llmasos.ledger.node.evm.read", lambda raw: None)
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name)
        scenario(bench)
        unlike_a_log(bench)
        nonsense(bench)
        blocks = [bench.ask("eth_getBlockByNumber", hex(number)) for number in range(bench.evm.height + 1)]
        roots.append([(block["stateRoot"], block["receiptsRoot"], block["hash"]) for block in blocks])
        assert bench.inspect() == []
        bench.evm.close()
    assert roots[0] == roots[1]
    assert len(set(roots[0])) == len(roots[0])
