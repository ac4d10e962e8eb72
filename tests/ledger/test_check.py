"""The parts that a proof is checked with, against values made without our code."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from llmasos.ledger import check
from llmasos.ledger.check import Forged


def test_it_can_be_read_in_one_sitting_and_stands_alone() -> None:
    source = Path(check.__file__).read_text()
    assert len(source.splitlines()) < 300
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").split(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"sha3", "coincurve"}


def test_keccak_is_ethereums() -> None:
    expected = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert check.keccak(b"").hex() == expected


def test_the_signer_is_found() -> None:
    from coincurve import PrivateKey

    contract = bytes([12] * 20)
    for seed in range(1, 6):
        key = PrivateKey(bytes([seed] * 32))
        items = [b"\7", bytes([seed]), b"", b"", b"\1", contract, b"", b"data", []]
        digest = check.keccak(b"\2" + check.rlp_encode(items))
        signed = key.sign_recoverable(digest, hasher=None)
        numbers = [part.lstrip(b"\0") for part in (signed[64:], signed[:32], signed[32:64])]
        account = "0x" + check.keccak(key.public_key.format(compressed=False)[1:])[12:].hex()
        transaction = b"\2" + check.rlp_encode(items + numbers)
        assert check.sender(transaction, 7, contract) == account
        with pytest.raises(Forged):
            check.sender(transaction, 8, contract)


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"\0",
        b"\x7f",
        b"\x80",
        b"dog",
        b"x" * 55,
        b"x" * 56,
        b"x" * 70_000,
        [],
        [b"a", [b"", [b"b" * 60]]],
    ],
)
def test_rlp_is_decoded(item: object) -> None:
    import rlp

    assert check.rlp_encode(item) == rlp.encode(item)
    assert check.rlp_decode(rlp.encode(item)) == item


@pytest.mark.parametrize(
    "data",
    [
        "",
        "8100",
        "817f",
        "83646f",
        "c483646f67ff",
        "b800",
        "b83761",
        "b90038" + "61" * 56,
        "b8",
        "f800",
        "c2c1",
        "c1c0c0",
        "bf" + "ff" * 8,
        "f83781",
        "c1" * 9 + "c0",
        "82",
    ],
)
def test_other_spellings_of_rlp_are_refused(data: str) -> None:
    with pytest.raises(Forged):
        check.rlp_decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"1",
        b"[" * 100_000,
        b'{"format":' * 20_000,
        b"NaN",
        b"1" * 5000,
        b'{"a":1,"a":2}',
        b'"\\ud800"',
        '{"format":1}'.encode("utf-16"),
        b" " * (check.LIMIT + 1),
    ],
    ids=range(14),
)
def test_what_is_not_a_proof_is_refused(data: bytes) -> None:
    with pytest.raises(Forged):
        check.check(data)
