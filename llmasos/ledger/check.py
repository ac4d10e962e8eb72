"""Checks a proof file with nothing but that file and the hash of a block.

    python check.py FILE [--block-hash 0x... | --rpc URL] [--account 0x...] [--json]

It needs only the standard library, so it can be copied anywhere and read in one sitting; docs/proofs.md
describes the file. Exit status: 0 proved; 1 forged or broken; 2 wrong usage; 3 consistent, but nobody has
confirmed the block's hash; 4 the URL cannot be asked. Whatever a malformed file runs into refuses it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

FORMAT, LIMIT, NODE_LIMIT = "llmasos.proof/1", 32 << 20, 1 << 20
# Of text and whole numbers under ASCII names this is the canonical form of RFC 8785.
canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
TREE_KEY = hashlib.sha256(b"llmasos.tree.v1").digest()
APPENDED = b"Appended(bytes32,uint64,bytes32,uint8,bytes32)"
ANCHORED = b"Anchored(bytes32,uint64,uint64,bytes32,bytes32)"
LIMITS = "It does not prove that there are no other records, nor that what they say is true."
FILE = {"format": str, "chain_id": int, "contract": str, "nodes": list, "proofs": list}
PROOF = {"record": dict, "block": int, "index": int, "transaction": list, "receipt": list, "log": int}
RECORD = {"action": str, "at": str, "kind": str, "number": int, "seq": int, "session": str, "tool": str}
P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GX = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798
GY = 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8
Point = tuple[int, int] | None


class Forged(ValueError):
    """The file does not prove what it says."""


def demand(condition: object, problem: str) -> None:
    if not condition:
        raise Forged(problem)


def plain_keccak(data: bytes) -> bytes:
    """Return Keccak-256 as Ethereum uses it: SHA-3 with a padding that starts with 0x01."""
    padded, a = bytearray(data + b"\1" + bytes(-(len(data) + 1) % 136)), [0] * 25
    padded[-1] |= 0x80
    for start in range(0, len(padded), 136):
        for i in range(17):
            a[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        register = 1
        for _ in range(24):
            c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
            a = [a[i] ^ c[(i + 4) % 5] ^ _rotate(c[(i + 1) % 5], 1) for i in range(25)]
            x, y, moved = 1, 0, a[1]
            for step in range(1, 25):
                x, y = y, (2 * x + 3 * y) % 5
                moved, a[x + 5 * y] = a[x + 5 * y], _rotate(moved, step * (step + 1) // 2 % 64)
            a = [a[i] ^ (~a[i // 5 * 5 + (i + 1) % 5] & a[i // 5 * 5 + (i + 2) % 5]) for i in range(25)]
            for bit in range(7):
                register = (register << 1 ^ (register >> 7) * 0x71) & 0xFF
                a[0] ^= (register >> 1 & 1) << ((1 << bit) - 1)
    return b"".join(lane.to_bytes(8, "little") for lane in a[:4])


def _rotate(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & 0xFFFFFFFFFFFFFFFF


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None or (a[0] == b[0] and a[1] != b[1]):
        return None if a and b else a or b
    (ax, ay), (bx, by) = a, b
    slope = 3 * ax * ax * pow(2 * ay, -1, P) if a == b else (by - ay) * pow(bx - ax, -1, P)
    x = (slope * slope - ax - bx) % P
    return x, (slope * (ax - x) - ay) % P


def plain_recover(digest: bytes, parity: int, r: int, s: int) -> bytes:
    """Return the 64 bytes of the public key on secp256k1 whose signature of a digest this is."""
    y, g, inverse, key = pow(r**3 + 7, (P + 1) // 4, P), (GX, GY), pow(r, -1, N), None
    demand((y * y - r**3 - 7) % P == 0, "the transaction's signature is not valid")
    point = r, y if y % 2 == parity else P - y
    of_g, of_point, both = -int.from_bytes(digest, "big") * inverse % N, s * inverse % N, _add(g, point)
    for bit in range(255, -1, -1):
        key = _add(key, key)
        key = _add(key, (None, g, point, both)[(of_g >> bit & 1) + 2 * (of_point >> bit & 1)])
    return b"".join(value.to_bytes(32, "big") for value in key or ())


keccak, recover = plain_keccak, plain_recover
try:  # compiled code gives the same results, faster
    from sha3 import keccak_256

    keccak = lambda data: keccak_256(data).digest()  # noqa: E731
    from coincurve import PublicKey

    def recover(digest: bytes, parity: int, r: int, s: int) -> bytes:
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
        return key.format(compressed=False)[1:]
except ImportError:
    pass


@lru_cache(16)  # the records of one transaction share its receipt
def rlp_decode(data: bytes) -> Any:
    """Decode RLP to bytes and lists of them, refusing every spelling but the canonical one."""
    items = _rlp_items(data, 8)
    demand(len(items) == 1, "RLP is not one item")
    return items[0]


def _rlp_items(data: bytes, depth: int) -> list[Any]:
    items: list[Any] = []
    at = 0
    while at < len(data):
        first, size, at = data[at], data[at] - (0x80 if data[at] < 0xC0 else 0xC0), at + 1
        if size > 55:
            written, at = data[at : at + size - 55], at + size - 55
            size = int.from_bytes(written, "big")
            demand(written[:1] > b"\0" and size > 55, "RLP has a length that is not canonical")
        body, at = (data[at : at + size], at + size) if first >= 0x80 else (data[at - 1 : at], at)
        good = size < 0 or (len(body) == size and (first != 0x81 or body[0] >= 0x80))
        demand(good and depth, "RLP ends early, is nested too deeply or not canonical")
        items.append(body if first < 0xC0 else _rlp_items(body, depth - 1))
    return items


def rlp_encode(item: Any) -> bytes:
    if isinstance(item, bytes) and len(item) == 1 and item[0] < 0x80:
        return item
    base, body = (0x80, item) if isinstance(item, bytes) else (0xC0, b"".join(map(rlp_encode, item)))
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return (bytes([base + len(body)]) if len(body) < 56 else bytes([base + 55 + len(size)]) + size) + body


def trie_key(index: int) -> bytes:
    return rlp_encode(index.to_bytes(8, "big").lstrip(b"\0"))


def parts(item: Any, *sizes: int | None) -> Any:
    """Return a list whose parts have these sizes in bytes, where None stands for any part."""
    fit = isinstance(item, list) and len(item) == len(sizes)
    for size, part in zip(sizes, item, strict=False) if fit else ():
        fit = fit and (size is None or (type(part) is bytes and len(part) == size))
    demand(fit, "something does not have the parts that it must have")
    return item


def number(item: Any) -> int:
    demand(type(item) is bytes and len(item) <= 32 and item[:1] != b"\0", "a number is not canonical")
    return int.from_bytes(item, "big")


def trie_value(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """Return what a Merkle-Patricia trie holds under a key, given the nodes from its root to there.

    What is looked for is longer than 32 bytes, and no key begins another: so no node is embedded in another,
    and no branch has a value.
    """
    path = key.hex()
    for place, node in enumerate(nodes, 1):
        demand(keccak(node) == root, "a node of a trie is not the one that its parent names")
        items, leaf = rlp_decode(node), False
        if len(items) == 17 and path:
            root, path = parts(items, *[None] * 17)[int(path[0], 16)], path[1:]
        else:
            part, root = parts(items, len(items and items[0]), None)[0].hex(), items[1]
            demand(re.match("1|3|00|20", part), "a node of a trie has a malformed path")
            leaf, part = part[0] in "23", part[1 if part[0] in "13" else 2 :]
            demand(path.startswith(part) and (leaf or part), "a path through a trie leads elsewhere")
            path = path[len(part) :]
        demand(type(root) is bytes and (leaf or len(root) == 32), "a trie holds nothing there")
        if leaf and not path and place == len(nodes):
            return root
    raise Forged("a path through a trie does not end where it should")


def tree_root(digest: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """Return the root of a tree of `count` leaves with `digest` at `index` (RFC 9162, section 2.1.3.2)."""
    demand(0 <= index < count, "the record is outside its tree")
    last, root = count - 1, hashlib.sha256(b"\0" + digest).digest()
    for sibling in path:
        demand(last and len(sibling) == 32, "the path in the tree is too long")
        left = index & 1 or index == last
        while left and not index & 1:
            index, last = index >> 1, last >> 1
        index, last = index >> 1, last >> 1
        root = hashlib.sha256(b"\1" + (sibling + root if left else root + sibling)).digest()
    demand(last == 0, "the path in the tree is too short")
    return root


def unbase64(text: str, size: int | None = None) -> bytes:
    data = base64.b64decode(text, validate=True)
    good = base64.b64encode(data).decode() == text and len(data) <= NODE_LIMIT
    demand(good and size in (None, len(data)), "base64 is not canonical, or has the wrong length")
    return data


def fields(value: Any, needed: dict[str, type], **optional: type) -> dict[str, Any]:
    types, found = {**needed, **optional}, set(value)
    good = needed.keys() <= found <= types.keys() and all(type(value[name]) is types[name] for name in found)
    demand(good, f"fields are missing, unknown or malformed among {ascii(sorted(found))[:200]}")
    return dict(value)


def record_digest(record: dict[str, Any]) -> bytes:
    """Recompute a record's salted hash, and that of its body where it is there."""
    secret = {"erased": bool} if "erased" in record else {"body": str, "body_salt": str}
    fields(record, {**RECORD, "body_digest": str, "salt": str}, **secret)
    named, held = {name: record[name] for name in RECORD}, record["body_digest"]
    fit = all(len(value) <= 200 if type(value) is str else 0 < value < 2**53 for value in named.values())
    demand(fit and held == bytes.fromhex(held).hex() and len(held) == 64, "a field is too large or malformed")
    demand(record.get("erased", True), "a body is said not to be erased, and is not there")
    if "body" in record or "body_salt" in record:
        body = b"llmasos.body.v2\0" + unbase64(record["body_salt"], 16) + record["body"].encode()
        demand(hashlib.sha256(body).hexdigest() == held, "the body is not what was recorded")
    salted = unbase64(record["salt"], 16) + canonical({**named, "body": held}).encode()
    return hashlib.sha256(b"llmasos.record.v2\0" + salted).digest()


def header(data: bytes) -> dict[str, Any]:
    """Return what is needed of a block's header, whose hash is that of all its bytes."""
    items = rlp_decode(data)
    parts(items, 32, 32, 20, 32, 32, 32, 256, *[None] * (len(items) - 7))
    roots = {"hash": keccak(data), "parent": items[0], "transaction": items[4], "receipt": items[5]}
    return {**roots, "number": number(items[8]), "time": number(items[11])}


def sender(transaction: bytes, chain_id: int, contract: bytes) -> str:
    """Return the account that signed a fee-market transaction (EIP-1559) to a contract."""
    items = parts(rlp_decode(transaction[1:]), *[None] * 12)
    demand(transaction[0] == 2 and number(items[0]) == chain_id, "the transaction is for another chain")
    demand(items[5] == contract, "the transaction is for another contract")
    parity, r, s = map(number, items[9:])
    demand(parity < 2 and 0 < r < N and 0 < s <= N // 2, "the transaction's signature is out of range")
    return "0x" + keccak(recover(keccak(b"\2" + rlp_encode(items[:9])), parity, r, s))[12:].hex()


def check(data: bytes) -> dict[str, Any]:
    """Return what a proof file proves, once somebody else confirms that its `block` has this `block_hash`.

    Raises:
        Forged: Something in it does not follow from that block.
    """
    try:
        file = json.loads(data) if len(data) <= LIMIT else None
        demand(file and canonical(file).encode() == data.strip(), "it is too large, or not canonical JSON")
        return _check(fields(file, FILE, headers=list))
    except Forged:
        raise
    except Exception as error:
        raise Forged(f"the file is malformed ({type(error).__name__})") from error


def _check(file: dict[str, Any]) -> dict[str, Any]:
    chain_id, contract, proofs = file["chain_id"], bytes.fromhex(file["contract"][2:]), file["proofs"]
    demand(file["format"] == FORMAT and 0 < chain_id < 2**64, f"the file is not a {FORMAT} of a chain")
    demand(len(contract) == 20 and file["contract"] == "0x" + contract.hex(), "the contract is malformed")
    nodes, places = [unbase64(node) for node in file["nodes"]], file.get("headers", [proofs[0]["block"]])
    named = [*places, *(at for proof in proofs for at in [*proof["transaction"], *proof["receipt"]])]
    good = set(map(type, named)) == {int} and set(named) == set(range(len(nodes)))
    good = good and len(set(nodes)) == len(nodes) and len(set(places)) == len(places)
    demand(good, "a node is missing, not needed, or there twice")
    blocks = {at: header(nodes[at]) for at in places}
    for before, after in pairwise(blocks.values()):
        linked = after["parent"] == before["hash"] and after["number"] == before["number"] + 1
        demand(linked, f"block {after['number']} does not follow from the one before it")
    records = [_proved(proof, nodes, blocks, chain_id, contract) for proof in proofs]
    order = [found["record"]["number"] for found in records]
    demand(order == sorted(set(order)), "the records are not in their order, or one is there twice")
    last = blocks[places[-1]]
    found = {"block": last["number"], "block_hash": "0x" + last["hash"].hex(), "records": records}
    return {"chain_id": chain_id, "contract": file["contract"], **found}


def _proved(proof: Any, nodes: list[bytes], blocks: Any, chain_id: int, contract: bytes) -> dict[str, Any]:
    how = {"tree": dict} if "tree" in proof else {"prev": str, "kind_number": int}
    record, block = fields(proof, {**PROOF, **how})["record"], blocks[proof["block"]]
    digest, index, paths = record_digest(record), trie_key(proof["index"]), ("transaction", "receipt")
    transaction, receipt = (trie_value(block[of], index, [nodes[at] for at in proof[of]]) for of in paths)
    account = sender(transaction, chain_id, contract)
    status, _, _, logs = parts(rlp_decode(receipt[1:]), None, None, 256, None)
    demand(receipt[0] == 2 and status == b"\1", "the contract refused the transaction")
    demand(0 <= proof["log"] < len(logs), "the transaction has no such event")
    address, topics, data = parts(logs[proof["log"]], 20, None, 96)
    kind, key, place = parts(topics, 32, 32, 32)
    demand(address == contract, "the event is another contract's")
    if "tree" in proof:
        tree, count = fields(proof["tree"], {"index": int, "path": list}), int.from_bytes(data[:32], "big")
        root = tree_root(digest, tree["index"], count, [unbase64(node, 32) for node in tree["path"]])
        leaf, same = int.from_bytes(place, "big") + tree["index"], data[32:64] == root
        demand(same and (kind, key) == (keccak(ANCHORED), TREE_KEY), "the tree's root is another one")
    else:
        session, seq = hashlib.sha256(record["session"].encode()).digest(), record["seq"].to_bytes(32, "big")
        said, leaf = digest + proof["kind_number"].to_bytes(32, "big"), None
        said += keccak(session + seq + unbase64(proof["prev"], 32) + said)
        same = (kind, key, place, data) == (keccak(APPENDED), session, seq, said)
        demand(same, f"the event is not that of record {record['number']}")
    facts = {"block": block["number"], "time": block["time"], "transaction": "0x" + keccak(transaction).hex()}
    return {"record": record, "account": account, **facts, "leaf": leaf}


def ask(url: str, method: str, *parameters: object) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read(LIMIT))["result"]


def report(proof: dict[str, Any]) -> str:
    text = ""
    for found in proof.get("records", ()):
        record, time = found["record"], datetime.fromtimestamp(min(found["time"], 2**37), UTC)
        text += f"""Record {record["seq"]} of session {record["session"]!r}, number {record["number"]} of all
  {record["kind"]!r} of action {record["action"]!r}, tool {record["tool"]!r}
  recorded at {record["at"]!r} by its own clock, in block {found["block"]} of {time:%Y-%m-%d %H:%M:%S} UTC
  signed by account {found["account"]} in transaction {found["transaction"]}
  for contract {proof["contract"]} on chain {proof["chain_id"]}
"""
        if found["leaf"] is not None:
            text += (
                f"  as leaf {found['leaf']} of its trees: its place in the session is its recorder's word\n"
            )
        kept = "was erased, as the file says" if "erased" in record else "is not in the file"
        text += (
            f"  body: {record['body']!r}\n"
            if "body" in record
            else f"  its body {kept}; its hash is proved\n"
        )
    return text


def main() -> int:
    parser = argparse.ArgumentParser("check.py", description="Check a proof file of the LLMasOS ledger.")
    parser.add_argument("file", type=Path)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--block-hash", default="", help="the hash of the block, from somebody you trust")
    how.add_argument("--rpc", default="", metavar="URL", help="a node that you trust, asked for that hash")
    parser.add_argument("--account", default="", help="the account that must have signed every record")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given, proof, kept = parser.parse_args(), {}, "The file cannot be read."
    known, signer = given.block_hash.lower(), given.account.lower()
    if not re.fullmatch("(0x[0-9a-f]{64})?", known) or not re.fullmatch("(https?://.*)?", given.rpc):
        parser.error("a block hash is 0x and 64 digits, and a URL starts with http:// or https://")
    try:
        proof = check(given.file.read_bytes())
        block, node = f"block {proof['block']} of chain {proof['chain_id']}", given.rpc
        claim, kept = (
            f"{block} has the hash {proof['block_hash']}",
            f"NOT PROVED: the URL does not tell {block}.",
        )
        demand(
            {found["account"] for found in proof["records"]} == {signer} or not signer,
            "another account signed",
        )
        if node:
            demand(int(ask(node, "eth_chainId"), 16) == proof["chain_id"], "the node is of another chain")
            known = ask(node, "eth_getBlockByNumber", hex(proof["block"]), False)["hash"].lower()
        demand(known in ("", proof["block_hash"]), f"it needs that {claim}, but that is {known}")
        missing = f"NOT PROVED until somebody you trust confirms that {claim}."
        status, result = (0, f"PROVED, as {claim}. {LIMITS}") if known else (3, f"{missing} {LIMITS}")
    except Forged as error:
        proof, status, result = {}, 1, f"REFUSED: {error}."
    except Exception:  # the file cannot be read, or the node answers what no node answers
        status, result = (4 if proof else 2), kept
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(json.dumps({"status": status, "result": result, **proof}) if given.json else report(proof) + result)
    return status


if __name__ == "__main__":
    sys.exit(main())
