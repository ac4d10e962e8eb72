"""Transactions of every type, rebuilt from JSON to the bytes that were signed."""

from __future__ import annotations

from typing import Any

import pytest

from llmasos.ledger._contract import transaction_hash
from llmasos.ledger._digest import use_native_code
from llmasos.ledger.chains.body import raw_receipt, raw_transaction

KEY = bytes(range(1, 33))
TO, WORD = "0x" + "11" * 20, "0x" + "22" * 32
COMMON: dict[str, Any] = {"nonce": 3, "gas": 100_000, "to": TO, "value": 5, "data": "0x" + "ab" * 60}
FEES = {"maxFeePerGas": 7, "maxPriorityFeePerGas": 0}
ACCESS = {"accessList": [{"address": TO, "storageKeys": [WORD, WORD]}, {"address": TO, "storageKeys": []}]}


def signed(fields: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return eth-account's bytes of a transaction, and the transaction as a node shows it."""
    use_native_code()
    from eth_account import Account

    account = Account.from_key(KEY)
    told = dict(fields)
    if fields.get("type") == 4:
        one = account.sign_authorization({"chainId": 9, "address": bytes.fromhex(TO[2:]), "nonce": 4})
        fields = {**fields, "authorizationList": [one]}
        told["authorizationList"] = [
            {
                "chainId": hex(one.chain_id),
                "address": TO,
                "nonce": hex(one.nonce),
                "yParity": hex(one.y_parity),
                "r": hex(one.r),
                "s": hex(one.s),
            }
        ]
    made = account.sign_transaction(fields)
    shown = {name: hex(value) if isinstance(value, int) else value for name, value in told.items()}
    shown |= {"input": shown.pop("data"), "v": hex(made.v), "r": hex(made.r), "s": hex(made.s)}
    return bytes(made.raw_transaction), {"accessList": [], "to": None, **shown}


@pytest.mark.parametrize(
    "fields",
    [
        {**COMMON, "gasPrice": 7, "chainId": 9},
        {**COMMON, "gasPrice": 7},
        {**{name: value for name, value in COMMON.items() if name != "to"}, "gasPrice": 7, "chainId": 9},
        {**COMMON, **ACCESS, "type": 1, "gasPrice": 7, "chainId": 9},
        {**COMMON, **ACCESS, **FEES, "type": 2, "chainId": 9},
        {**COMMON, **FEES, "type": 2, "chainId": 9, "nonce": 0, "value": 0, "data": "0x"},
        {
            **COMMON,
            **ACCESS,
            **FEES,
            "type": 3,
            "chainId": 9,
            "maxFeePerBlobGas": 1,
            "blobVersionedHashes": [WORD],
        },
        {**COMMON, **ACCESS, **FEES, "type": 4, "chainId": 9},
    ],
)
def test_a_transaction_has_the_bytes_that_were_signed(fields: dict[str, Any]) -> None:
    raw, shown = signed(fields)
    assert raw_transaction(shown) == raw
    if shown.get("type"):
        # Nodes show the parity as `v`, as `yParity`, or as both.
        other = {**shown, "yParity": shown["v"], "v": "0x25"}
        assert transaction_hash(raw_transaction(other)) == transaction_hash(raw)


def test_a_type_that_is_not_known_is_refused() -> None:
    _, shown = signed({**COMMON, **FEES, "type": 2, "chainId": 9})
    with pytest.raises(ValueError, match="type 126"):
        raw_transaction({**shown, "type": "0x7e"})
    for name in ("nonce", "to", "input", "r", "accessList", "maxFeePerGas"):
        with pytest.raises(KeyError):
            raw_transaction({key: value for key, value in shown.items() if key != name})
        with pytest.raises((ValueError, TypeError, AttributeError)):
            raw_transaction({**shown, name: "0xzz"})


def test_a_receipt_has_its_type_in_front() -> None:
    log = {"address": TO, "topics": [WORD], "data": "0x01"}
    shown = {"status": "0x1", "cumulativeGasUsed": "0x5208", "logsBloom": "0x" + "00" * 256, "logs": [log]}
    legacy = raw_receipt(shown)
    assert raw_receipt({**shown, "type": "0x0"}) == legacy
    assert raw_receipt({**shown, "type": "0x2"}) == b"\x02" + legacy
    assert raw_receipt({**shown, "status": "0x0"}) != legacy
