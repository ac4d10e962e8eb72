"""Headers, rebuilt from what nodes show: the first block of Ethereum, and what is not one."""

from __future__ import annotations

from typing import Any

import pytest

from llmasos.ledger.chains.header import block_shown, roots
from llmasos.ledger.chains.patricia import EMPTY_ROOT
from llmasos.ledger.chains.port import ChainRefused

FIRST: dict[str, Any] = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x" + EMPTY_ROOT.hex(),
    "receiptsRoot": "0x" + EMPTY_ROOT.hex(),
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
}


def test_the_first_block_of_ethereum_has_its_hash() -> None:
    block = block_shown({**FIRST, "baseFeePerGas": None, "totalDifficulty": "0x1", "uncles": []})
    assert (block.number, block.hash, block.parent, block.time) == (0, FIRST["hash"], FIRST["parentHash"], 0)
    assert roots(block).state.hex() == FIRST["stateRoot"][2:]
    assert roots(block).transactions == roots(block).receipts == EMPTY_ROOT


@pytest.mark.parametrize("name", [name for name in FIRST if name != "hash"])
def test_every_field_counts(name: str) -> None:
    value = FIRST[name]
    with pytest.raises(ChainRefused, match="is not what its hash says") as caught:
        block_shown({**FIRST, name: value[:-1] + ("1" if value[-1] != "1" else "2")})
    assert "does not know" in caught.value.hint
    with pytest.raises(KeyError):
        block_shown({key: item for key, item in FIRST.items() if key != name})


def test_a_field_of_a_later_fork_is_not_passed_over() -> None:
    with pytest.raises(ChainRefused, match="is not what its hash says"):
        block_shown({**FIRST, "baseFeePerGas": "0x7"})
