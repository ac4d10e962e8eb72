"""A block's transactions and receipts as bytes, rebuilt from what a node shows.

Sources: EIP-2718 (types), EIP-2930, EIP-1559, EIP-4844 and EIP-7702 (types 1 to 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmasos.ledger.chains.patricia import Trie
from llmasos.ledger.chains.values import minimal, octets, quantity

KNOWN_TYPES = range(5)


def type_of(item: dict[str, Any]) -> int:
    """Return the type of a transaction or of a receipt.

    Raises:
        ValueError: It is malformed.
    """
    return quantity(item.get("type") or "0x0", 8)


def raw_transaction(item: dict[str, Any]) -> bytes:
    """Return the signed bytes of a transaction of JSON-RPC.

    Raises:
        ValueError: A field is malformed, or the type is not known.
        KeyError: A field is missing.
    """
    import rlp

    kind = type_of(item)
    to = octets(item["to"], 20) if item["to"] is not None else b""
    nonce, gas, value = (_number(item, name) for name in ("nonce", "gas", "value"))
    data, signature = octets(item["input"]), [_number(item, "r"), _number(item, "s")]
    if kind == 0:
        legacy: bytes = rlp.encode(
            [nonce, _number(item, "gasPrice"), gas, to, value, data, _number(item, "v"), *signature]
        )
        return legacy
    if kind not in KNOWN_TYPES:
        raise ValueError(f"transactions of type {kind} are not known")
    prices = ["gasPrice"] if kind == 1 else ["maxPriorityFeePerGas", "maxFeePerGas"]
    fields: list[Any] = [_number(item, "chainId"), nonce, *(_number(item, name) for name in prices)]
    fields += [gas, to, value, data, _access_list(item["accessList"])]
    if kind == 3:
        fields += [_number(item, "maxFeePerBlobGas"), [octets(x, 32) for x in item["blobVersionedHashes"]]]
    if kind == 4:
        fields.append([_authorization(x) for x in item["authorizationList"]])
    encoded: bytes = rlp.encode([*fields, _parity(item), *signature])
    return bytes([kind]) + encoded


def raw_receipt(item: dict[str, Any]) -> bytes:
    """Return the bytes of a receipt of JSON-RPC, as the receipts' trie holds them.

    Raises:
        ValueError: A field is malformed.
        KeyError: A field is missing.
    """
    import rlp

    kind = type_of(item)
    logs = [
        [octets(log["address"], 20), [octets(topic, 32) for topic in log["topics"]], octets(log["data"])]
        for log in item["logs"]
    ]
    fields = [
        _number(item, "status"),
        _number(item, "cumulativeGasUsed"),
        octets(item["logsBloom"], 256),
        logs,
    ]
    encoded: bytes = rlp.encode(fields)
    return (bytes([kind]) if kind else b"") + encoded


def trie_of(items: Sequence[bytes]) -> Trie:
    """Return the trie over a block's transactions or receipts."""
    return Trie({place_key(place): item for place, item in enumerate(items)})


def place_key(place: int) -> bytes:
    """Return the key in these tries of the item at a place."""
    import rlp

    key: bytes = rlp.encode(minimal(place))
    return key


def _number(item: dict[str, Any], name: str) -> bytes:
    return minimal(quantity(item[name]))


def _parity(item: dict[str, Any]) -> bytes:
    # Some nodes show the parity under the name that it has in older transactions.
    return _number(item, "yParity" if item.get("yParity") is not None else "v")


def _access_list(entries: list[dict[str, Any]]) -> list[Any]:
    return [
        [octets(entry["address"], 20), [octets(x, 32) for x in entry["storageKeys"]]] for entry in entries
    ]


def _authorization(item: dict[str, Any]) -> list[bytes]:
    signed = [_parity(item), _number(item, "r"), _number(item, "s")]
    return [_number(item, "chainId"), octets(item["address"], 20), _number(item, "nonce"), *signed]
