"""The port's promises on real chains: the embedded one and anvil, started by us and as foreign nodes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import rlp

from llmasos.ledger import _contract
from llmasos.ledger._contract import SessionState
from llmasos.ledger._digest import FIRST_HEAD, keccak, session_key
from llmasos.ledger.chains.anvil import AnvilChain
from llmasos.ledger.chains.body import place_key
from llmasos.ledger.chains.embedded import EmbeddedChain
from llmasos.ledger.chains.fees import GWEI
from llmasos.ledger.chains.gas import gas_limit
from llmasos.ledger.chains.header import roots
from llmasos.ledger.chains.local import LocalChain
from llmasos.ledger.chains.patricia import lookup
from llmasos.ledger.chains.port import ChainError, ChainRefused, Fees
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import UnixTransport

from .nodes import KEY, Log, anchor, appends, foreign, gone

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
A, B, NOBODY = session_key("a"), session_key("b"), session_key("nobody")


@pytest.fixture(params=[EmbeddedChain, AnvilChain])
async def chain(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalChain]:
    opened: LocalChain = request.param(tmp_path)
    await opened.connect()
    yield opened
    await opened.close()


@pytest.fixture
async def anvil(tmp_path: Path) -> AsyncIterator[AnvilChain]:
    opened = AnvilChain(tmp_path)
    await opened.connect()
    yield opened
    await opened.close()


@pytest.fixture
async def way(anvil: AnvilChain) -> AsyncIterator[UnixTransport]:
    transport = UnixTransport(anvil.socket)
    yield transport
    await transport.close()


async def test_records_are_carried_found_and_proved(chain: LocalChain) -> None:
    log, (calls, head), (tree, tree_head) = Log(chain), appends(A, 12), anchor(B, 7)
    await log.deploy()
    assert await chain.has_code(log.contract) and not await chain.has_code(chain.account)
    receipts = await log.do(_contract.open_call(A), _contract.open_call(B), *calls, tree, calls[0])
    assert [receipt.ok for receipt in receipts] == [True] * 15 + [False]
    assert await chain.nonce() == log.nonce == 17
    funds = await chain.balance()

    newest = await chain.block()
    assert newest is not None and newest.number == receipts[-1].block
    assert await chain.block(newest.number) == newest
    assert await chain.block(newest.number + 1) is None
    assert keccak(newest.header).hex() == newest.hash[2:]
    before = await chain.block(newest.number - 1)
    assert before is not None and before.hash == newest.parent

    found = [item async for item in chain.logged(log.contract, 0, newest.number)]
    assert [item.key for item in found] == [A] * 12 + [B]
    assert found[11].head == head and found[12].head == tree_head
    assert [item async for item in chain.logged(log.contract, 0, newest.number, A)] == found[:12]
    assert [item async for item in chain.logged(log.contract, 0, newest.number, NOBODY)] == []
    assert [item async for item in chain.logged(chain.account, 0, newest.number)] == []

    states = await chain.sessions(log.contract, [A, NOBODY, B], newest)
    assert states == [
        SessionState(chain.account, 12, False, head),
        SessionState("0x" + "00" * 20, 0, False, FIRST_HEAD),
        SessionState(chain.account, 7, False, tree_head),
    ]
    with pytest.raises(ChainError, match="no audit log"):
        await chain.sessions(chain.account, [A], newest)
    with pytest.raises(ChainError, match="no audit log"):
        await chain.sessions("0x" + "77" * 20, [A], newest)

    signed = chain.sign(5, log.contract, calls[2], await chain.fees())
    proof = await chain.inclusion(signed.tx_hash)
    assert proof.block.hash == receipts[4].block_hash
    committed, key = roots(proof.block), place_key(proof.index)
    assert lookup(committed.transactions, key, proof.transaction) == signed.raw
    receipt = lookup(committed.receipts, key, proof.receipt)
    assert receipt is not None and receipt[:1] == b"\x02" and rlp.decode(receipt[1:])[0] == b"\x01"
    with pytest.raises(ChainError, match="not mined yet"):
        await chain.inclusion("0x" + "12" * 32)

    # Sending again is harmless.
    await chain.send([signed.raw, signed.raw])
    assert (await chain.nonce(), await chain.balance()) == (17, funds)
    assert await chain.receipts([signed.tx_hash, "0x" + "12" * 32]) == [receipts[4], None]


async def test_a_limit_of_gas_is_never_reached(anvil: AnvilChain) -> None:
    log, many, (tree, _) = Log(anvil), [session_key(str(n)) for n in range(1000)], anchor(B, 2**40)
    await log.deploy()
    keys = [bytes([n]) * 32 for n in range(40)]
    calls = [_contract.open_call(A), _contract.open_call(B), *map(_contract.open_call, keys)]
    calls += [
        _contract.append_many_call(key, 1, FIRST_HEAD, many[:n], [255] * n)
        for key, n in zip(keys, (1, 10, 300, 1000), strict=False)
    ]
    calls += [*appends(A, 3)[0], tree, _contract.rotate_call(keys, "0x" + "ff" * 20)]
    receipts = await log.do(*calls)
    limits = [gas_limit(log.contract, data) for data in calls]
    assert all(receipt.ok for receipt in receipts)
    shares = [receipt.gas / limit for receipt, limit in zip(receipts, limits, strict=True)]
    # Close enough for blocks to hold many, and never too close.
    assert max(shares) < 0.97
    assert min(shares) > 0.2


@pytest.mark.parametrize("fork", ["london", "paris", "shanghai", "cancun", "prague"])
async def test_headers_of_every_fork_are_rebuilt(fork: str, tmp_path: Path) -> None:
    chain = AnvilChain(tmp_path, fork)
    try:
        await chain.connect()
        signed = [chain.sign(n, chain.account, b"hi", await chain.fees(), value=5) for n in range(3)]
        await chain.send([item.raw for item in signed])
        for number in (0, 1):
            assert await chain.block(number) is not None
        proof = await chain.inclusion(signed[1].tx_hash)
        assert lookup(roots(proof.block).transactions, place_key(1), proof.transaction) == signed[1].raw
        assert (
            len(rlp.decode(proof.block.header))
            == dict(london=16, paris=16, shanghai=17, cancun=20, prague=21)[fork]
        )
    finally:
        await chain.close()


async def test_transactions_of_every_type_are_rebuilt(anvil: AnvilChain) -> None:
    from eth_account import Account

    to = "0x" + "11" * 20
    signer = Account.from_key(anvil.key_file.read_text().strip())
    common = {"gas": 200_000, "value": 1, "to": to, "data": "0x1234", "chainId": anvil.chain_id}
    access = {"accessList": [{"address": to, "storageKeys": ["0x" + "22" * 32]}]}
    fees = {"maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": 1}
    one = signer.sign_authorization({"chainId": anvil.chain_id, "address": bytes.fromhex(to[2:]), "nonce": 9})
    kinds: list[dict[str, Any]] = [
        {"gasPrice": 10 * GWEI},
        {"type": 1, "gasPrice": 10 * GWEI, **access},
        {"type": 2, **fees, **access},
        {"type": 4, **fees, **access, "authorizationList": [one]},
    ]
    signed = [signer.sign_transaction({**common, **kind, "nonce": n}) for n, kind in enumerate(kinds)]
    await anvil.send([bytes(item.raw_transaction) for item in signed])
    for place, item in enumerate(signed):
        proof = await anvil.inclusion("0x" + bytes(item.hash).hex())
        raw = lookup(roots(proof.block).transactions, place_key(place), proof.transaction)
        assert (proof.index, raw) == (place, bytes(item.raw_transaction))


async def test_a_foreign_node_needs_the_right_chain_and_funds(anvil: AnvilChain, way: UnixTransport) -> None:
    with pytest.raises(ChainRefused, match=f"has the id {anvil.chain_id}, not 5"):
        await foreign(way, 5).connect()
    chain = foreign(way, anvil.chain_id)
    with pytest.raises(ChainError, match=f"{chain.account} owns nothing") as caught:
        await chain.connect()
    assert chain.account in caught.value.hint
    signed = chain.sign(0, None, _contract.deploy_code(), Fees(GWEI, 0))
    with pytest.raises(ChainError, match="cannot pay for the next transaction") as caught:
        await chain.send([signed.raw])
    assert chain.account in caught.value.hint

    await anvil.send([anvil.sign(0, chain.account, b"", await anvil.fees(), value=10**18).raw])
    await chain.connect()
    assert await chain.balance() == 10**18
    # An estimate changes nothing on a chain that counts gas as Ethereum does.
    assert chain.sign(0, None, _contract.deploy_code(), Fees(GWEI, 0)) == signed
    await chain.send([signed.raw])
    await RpcClient(way).request("evm_mine")
    [receipt] = await chain.receipts([signed.tx_hash])
    assert receipt is not None and receipt.ok
    assert [item async for item in chain.inspect()] == []


async def test_fees_follow_the_market_and_replace_what_waits(anvil: AnvilChain, way: UnixTransport) -> None:
    rpc = RpcClient(way)
    chain = foreign(way, anvil.chain_id, limit=8)
    await anvil.send([anvil.sign(0, chain.account, b"", await anvil.fees(), value=10**18).raw])
    await rpc.request("anvil_setNextBlockBaseFeePerGas", hex(2 * GWEI))
    await rpc.request("evm_mine")
    fees = await chain.fees()
    assert GWEI < fees.cap <= 4 * GWEI
    first = chain.sign(0, chain.account, b"", fees)
    second = chain.sign(0, chain.account, b"", await chain.fees(over=fees))
    low = chain.sign(0, chain.account, b"", Fees(fees.cap - 1, fees.tip))
    await chain.send([first.raw])
    with pytest.raises(ChainError, match="underpriced"):
        await chain.send([low.raw])
    await chain.send([second.raw])
    await rpc.request("evm_mine")
    assert [bool(item) for item in await chain.receipts([first.tx_hash, second.tx_hash])] == [False, True]
    with pytest.raises(ChainError, match="refused eth_sendRawTransaction: nonce too low"):
        await chain.send([first.raw])
    await chain.send([second.raw])
    await rpc.request("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
    await rpc.request("evm_mine")
    with pytest.raises(ChainError, match="gwei, more than the 8 that LLMASOS_LEDGER__MAX_FEE_GWEI"):
        await chain.fees()


async def test_a_killed_node_is_started_again(chain: LocalChain) -> None:
    log, first = Log(chain), chain.pid
    await log.deploy()
    assert first is not None
    await chain.connect()
    assert chain.pid == first
    os.kill(first, signal.SIGKILL)
    await gone(first)
    with pytest.raises(ChainError, match="does not answer"):
        await chain.nonce()
    await chain.connect()
    assert chain.pid != first
    # The file of the embedded chain outlives its node; anvil begins again.
    assert await chain.nonce() == (1 if chain.name == "embedded" else 0)
    await Log(chain, nonce=await chain.nonce()).deploy()


SCRIPT = """
import sys
from pathlib import Path
from typing import Any
import anyio
from llmasos.ledger.chains.anvil import AnvilChain

async def main():
    chain = AnvilChain(Path(sys.argv[1]))
    await chain.connect()
    print(chain.pid, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


async def test_anvil_dies_with_a_kernel_that_is_killed(tmp_path: Path) -> None:
    async with await anyio.open_process([sys.executable, "-c", SCRIPT, str(tmp_path)], stderr=None) as kernel:
        assert kernel.stdout is not None
        pid = int(await kernel.stdout.receive())
        os.kill(pid, 0)
        kernel.kill()
    await gone(pid)
    chain = AnvilChain(tmp_path)
    await chain.connect()
    await chain.close()


async def test_a_folder_has_one_node(chain: LocalChain, tmp_path: Path) -> None:
    second = type(chain)(tmp_path)  # type: ignore[call-arg]
    with pytest.raises(ChainError, match="in use by another node"):
        await second.connect()
    assert await chain.nonce() == 0
    pid = chain.pid
    await second.close()
    assert await chain.nonce() == 0 and chain.pid == pid


async def test_a_long_folder_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    for kind in (EmbeddedChain, AnvilChain):
        chain = kind(folder)
        await chain.connect()
        assert await chain.nonce() == 0
        await chain.close()
        assert not chain.socket.parent.exists()


async def test_a_node_that_ends_at_once_says_why(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match=r"anvil chain does not start: .*nonsense") as caught:
        await AnvilChain(tmp_path, "nonsense").connect()
    assert "node.log" in caught.value.hint


async def test_anvil_that_is_missing_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "anvil").write_text("#!/bin/sh\n")
    (tmp_path / "anvil").chmod(0o755)
    with pytest.raises(ChainError, match="needs the program `anvil`") as caught:
        await AnvilChain(tmp_path / "data").connect()
    assert "npm i -g @foundry-rs/anvil-linux-" in caught.value.hint


async def test_anvil_behind_the_script_of_npm_is_found(
    anvil: AnvilChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(os.readlink(f"/proc/{anvil.pid}/exe"))
    package = tmp_path / "lib" / "@foundry-rs" / "anvil"
    package.mkdir(parents=True)
    (package / "bin.mjs").write_text("#!/usr/bin/env node\n")
    (package / "bin.mjs").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "anvil").symlink_to(package / "bin.mjs")
    near = package.parent / "anvil-linux-amd64" / "bin"
    near.mkdir(parents=True)
    (near / "anvil").symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    other = AnvilChain(tmp_path / "other")
    await other.connect()
    assert os.readlink(f"/proc/{other.pid}/exe") == str(real)
    await other.close()


async def test_what_a_node_keeps_is_for_its_user_alone(chain: LocalChain) -> None:
    for path in (chain.key_file, chain.key_file.parent, chain.socket):
        assert path.stat().st_mode & 0o077 == 0
    assert chain.account != foreign(UnixTransport(chain.socket), 1, KEY).account
