"""The digests, against values made without our code."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from llmasos.errors import LedgerError
from llmasos.ledger._contract import created_address, transaction
from llmasos.ledger._digest import canonical, keccak, next_head, record_digest, session_key

FIELDS: dict[str, Any] = {
    "number": 7,
    "session": "séance",
    "seq": 2,
    "kind": "intent",
    "action": "a1",
    "tool": "shell",
    "at": "2026-01-02T03:04:05.000006+00:00",
    "body_digest": "ab" * 32,
    "salt": bytes(range(16)),
}


def test_digest_is_sha256_of_tag_salt_and_canonical_json() -> None:
    text = (
        '{"action":"a1","at":"2026-01-02T03:04:05.000006+00:00","body":"' + "ab" * 32 + '",'
        '"kind":"intent","number":7,"seq":2,"session":"séance","tool":"shell"}'
    )
    expected = hashlib.sha256(b"llmasos.record.v2\0" + bytes(range(16)) + text.encode()).digest()
    assert record_digest(**FIELDS) == expected


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_in_the_digest(field: str) -> None:
    other = {int: 8, str: "x", bytes: bytes(16)}[type(FIELDS[field])]
    assert record_digest(**{**FIELDS, field: other}) != record_digest(**FIELDS)


def test_canonical_json_sorts_keys_and_writes_numbers_as_rfc_8785_says() -> None:
    value = {"€": "Euro", "\r": "CR", "1": 1e30, "a": [56.0, None, True], "ö": 4.5}
    assert canonical(value).decode() == '{"\\r":"CR","1":1e+30,"a":[56,null,true],"ö":4.5,"€":"Euro"}'


@pytest.mark.parametrize("value", [float("nan"), 2**53, {"a": b"bytes"}, "\ud800", object()])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(LedgerError, match="cannot be recorded"):
        canonical({"value": value})


def test_keccak_is_ethereums() -> None:
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_created_address_is_ethereums() -> None:
    # The example of https://ethereum.stackexchange.com/q/760.
    account = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"
    assert created_address(account, 1) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def test_each_part_of_a_link_matters() -> None:
    parts = [session_key("s"), 1, bytes(32), bytes([1]) * 32, 0]
    other = [session_key("t"), 2, bytes([9]) * 32, bytes([2]) * 32, 1]
    heads = {next_head(*[*parts[:i], other[i], *parts[i + 1 :]]) for i in range(5)}  # type: ignore[arg-type]
    assert len(heads | {next_head(*parts)}) == 6  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x02\xc0", b"\x01\xc0", b"\x02\xff\xff"])
def test_bytes_that_are_not_a_transaction_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        transaction(raw)
