"""Checks a proof file with nothing but that file and the hash of a block.

    python check.py FILE [--block-hash 0x... | --rpc URL] [--account 0x...] [--json]

Copy it and read it; docs/reference/proofs.md describes the file. It needs: pip install safe-pysha3 coincurve.
Exit: 0 proved; 1 forged; 2 wrong usage, or no packages; 3 the block's hash is unconfirmed; 4 no node answers.
"""

import argparse
import base64
import json
import re
import sys
import urllib.request
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

FORMAT, LIMIT, NODE_LIMIT = "llmasos.proof/1", 32 << 20, 1 << 20
TREE_KEY = sha256(b"llmasos.tree.v1").digest()
APPENDED = b"Appended(bytes32,uint64,bytes32,uint8,bytes32)"
ANCHORED = b"Anchored(bytes32,uint64,uint64,bytes32,bytes32)"
FILE = {"format": str, "chain_id": int, "contract": str, "nodes": list, "proofs": list}
PROOF = {"record": dict, "block": int, "index": int, "transaction": list, "receipt": list, "log": int}
RECORD = {"action": str, "at": str, "kind": str, "number": int, "seq": int, "session": str, "tool": str}
LIMITS = "It does not prove that there are no other records, nor that what they say is true."
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # the order of the curve secp256k1
# Of text and whole numbers under ASCII names this is the canonical form of RFC 8785.
canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


class Forged(ValueError):
    """The file does not prove what it says."""


def demand(condition: object, problem: str) -> None:
    if not condition:
        raise Forged(problem)


def keccak(data: bytes) -> bytes:
    from sha3 import keccak_256

    return bytes(keccak_256(data).digest())


@lru_cache(16)  # the records of one transaction share its receipt
def rlp_decode(data: bytes) -> Any:
    """Decode RLP to bytes and lists of them, refusing every spelling but the one that encoding gives."""
    items = _rlp_items(data, 8)
    demand(len(items) == 1 and rlp_encode(items[0]) == data, "RLP ends early or is not canonical")
    return items[0]


def _rlp_items(data: bytes, depth: int) -> list[Any]:
    demand(depth, "RLP is nested too deeply")
    items: list[Any] = []
    at = 0
    while at < len(data):
        first, base = data[at], 0x80 if data[at] < 0xC0 else 0xC0
        size, at = (1, at) if first < 0x80 else (first - base, at + 1)  # a small byte stands for itself
        if size > 55:  # the size of a long item is written before it
            size, at = int.from_bytes(data[at : at + size - 55], "big"), at + size - 55
        body, at = data[at : at + size], at + size
        items.append(body if base == 0x80 else _rlp_items(body, depth - 1))
    return items


def rlp_encode(item: Any) -> bytes:
    if isinstance(item, bytes) and len(item) == 1 and item[0] < 0x80:
        return item
    base, body = (0x80, item) if isinstance(item, bytes) else (0xC0, b"".join(map(rlp_encode, item)))
    size = len(body).to_bytes(8, "big").lstrip(b"\0")
    return bytes([base + len(body)] if len(body) <= 55 else [base + 55 + len(size), *size]) + body


def parts(item: Any, *sizes: int | None) -> Any:
    """Return a list whose parts have these sizes in bytes, where None stands for any part."""
    demand(isinstance(item, list) and len(item) == len(sizes), "a list has other parts than it must have")
    for size, part in zip(sizes, item, strict=True):
        demand(size is None or (type(part) is bytes and len(part) == size), "a part has the wrong size")
    return item


def number(item: Any) -> int:
    demand(isinstance(item, bytes) and len(item) <= 32 and item[:1] != b"\0", "a number is not canonical")
    return int.from_bytes(item, "big")


def trie_value(root: bytes, index: int, nodes: list[bytes] | tuple[bytes, ...]) -> bytes:
    """Return what a Merkle-Patricia trie holds under an index, given the nodes from its root to there.

    Values are longer than 32 bytes and no key begins another: no node is embedded, no branch has a value.
    """
    path, value = rlp_encode(index.to_bytes(8, "big").lstrip(b"\0")).hex(), root
    for place, node in enumerate(nodes, 1):
        demand(keccak(node) == value, "a node of a trie is not the one that its parent names")
        items = rlp_decode(node)
        if len(items) == 17 and path:  # a branch: it has a child for each digit that the path can go on with
            value, path = parts(items, *[None] * 17)[int(path[0], 16)], path[1:]
        else:  # it has a piece of the path and a child or, where the piece begins with 2 or 3, the value
            first, value = parts(items, None, None)
            piece = first.hex() if type(first) is bytes else ""
            demand(re.match("00|1|20|3", piece), "a node of a trie has a malformed path")
            leaf, piece = piece[0] in "23", piece[2 if piece[0] in "02" else 1 :]
            demand(path.startswith(piece) and (leaf or piece), "a path through a trie leads elsewhere")
            path = path.removeprefix(piece)
            if leaf and not path and place == len(nodes) and type(value) is bytes:
                return value
        demand(type(value) is bytes and len(value) == 32, "a trie holds nothing there")
    raise Forged("a path through a trie does not end where it should")


def tree_root(digest: bytes, index: int, count: int, path: bytes) -> bytes:
    """Return the root of a tree of `count` leaves; `path` joins the siblings above `digest` (RFC 9162)."""
    demand(0 <= index < count, "the record is outside its tree")
    demand(len(path) % 32 == 0 and bool(path) == (count > 1), "the path in the tree has the wrong length")
    if count == 1:
        return sha256(b"\0" + digest).digest()
    split, path, sibling = 1 << (count - 1).bit_length() - 1, path[:-32], path[-32:]
    if index < split:
        return sha256(b"\1" + tree_root(digest, index, split, path) + sibling).digest()
    return sha256(b"\1" + sibling + tree_root(digest, index - split, count - split, path)).digest()


def unbase64(text: str, size: int | None = None) -> bytes:
    data = base64.b64decode(text, validate=True)
    good = base64.b64encode(data).decode() == text and len(data) <= NODE_LIMIT
    demand(good and size in (None, len(data)), "base64 is not canonical, or has the wrong length")
    return data


def fields(value: Any, needed: dict[str, type], **optional: type) -> None:
    """Demand that an object has all fields that it needs, and none but those and the optional ones."""
    types, found = {**needed, **optional}, set(value)
    good = needed.keys() <= found <= types.keys() and all(type(value[name]) is types[name] for name in found)
    demand(good, f"fields are missing, unknown or malformed among {ascii(sorted(found))[:200]}")


def record_digest(record: dict[str, Any]) -> bytes:
    """Recompute a record's salted hash, and that of its body where it is there."""
    secret = {"erased": bool} if "erased" in record else {"body": str, "body_salt": str}
    fields(record, {**RECORD, "body_digest": str, "salt": str}, **secret)
    named, held = {name: record[name] for name in RECORD}, record["body_digest"]
    fit = all(len(value) <= 200 if type(value) is str else 0 < value < 2**53 for value in named.values())
    demand(fit and re.fullmatch("[0-9a-f]{64}", held) and record.get("erased", True), "a field is malformed")
    if "body" in record or "body_salt" in record:
        body = b"llmasos.body.v2\0" + unbase64(record["body_salt"], 16) + record["body"].encode()
        demand(sha256(body).hexdigest() == held, "the body is not what was recorded")
    salted = unbase64(record["salt"], 16) + canonical({**named, "body": held}).encode()
    return sha256(b"llmasos.record.v2\0" + salted).digest()


def header(data: bytes) -> dict[str, Any]:
    """Return what is needed of a block's header, whose hash is that of all its bytes."""
    items = rlp_decode(data)
    parts(items, 32, 32, 20, 32, 32, 32, 256, *[None] * (len(items) - 7))
    roots = {"hash": keccak(data), "parent": items[0], "transaction": items[4], "receipt": items[5]}
    return {**roots, "number": number(items[8]), "time": number(items[11])}


def sender(transaction: bytes, chain_id: int, contract: bytes) -> str:
    """Return the account that signed a fee-market transaction (EIP-1559) to a contract."""
    from coincurve import PublicKey

    items = parts(rlp_decode(transaction[1:]), *[None] * 12)
    good = transaction[0] == 2 and number(items[0]) == chain_id and items[5] == contract
    demand(good, "the transaction is for another chain or contract")
    parity, r, s = map(number, items[9:])
    demand(parity < 2 and 0 < r < N and 0 < s <= N // 2, "the transaction's signature is out of range")
    signed, signature = keccak(b"\2" + rlp_encode(items[:9])), r.to_bytes(32, "big") + s.to_bytes(32, "big")
    key = PublicKey.from_signature_and_message(signature + bytes([parity]), signed, hasher=None)
    return "0x" + keccak(key.format(compressed=False)[1:])[12:].hex()


def check(data: bytes) -> dict[str, Any]:
    """Return what a proof file proves, once its `block_hash` is confirmed, or raise `Forged`."""
    try:
        brackets = re.findall(rb"[][{}]", re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", data[: LIMIT + 1]))
        depths = accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
        demand(len(data) <= LIMIT and max(depths, default=0) < 9, "the file is too large or too deep")
        file = json.loads(data)
        demand(canonical(file).encode() == data.strip(), "the file is not canonical JSON")
        fields(file, FILE, headers=list)
        chain_id, contract, proofs = file["chain_id"], bytes.fromhex(file["contract"][2:]), file["proofs"]
        demand(file["format"] == FORMAT and 0 < chain_id < 2**64, f"the file is not a {FORMAT} of a chain")
        demand(len(contract) == 20 and file["contract"] == "0x" + contract.hex(), "the contract is malformed")
        nodes, places = [unbase64(node) for node in file["nodes"]], file.get("headers", [proofs[0]["block"]])
        used = [*places, *(at for proof in proofs for at in [*proof["transaction"], *proof["receipt"]])]
        good = all(type(at) is int for at in used) and set(used) == set(range(len(nodes)))
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
        block = {"block": last["number"], "block_hash": "0x" + last["hash"].hex()}
        return {"chain_id": chain_id, "contract": file["contract"], **block, "records": records}
    except (Forged, ImportError):
        raise
    except Exception as error:
        raise Forged(f"the file is malformed ({type(error).__name__})") from error


def _proved(proof: Any, nodes: list[bytes], blocks: Any, chain_id: int, contract: bytes) -> dict[str, Any]:
    """Return what is proved of one record, by the event that its transaction caused in its block."""
    fields(proof, {**PROOF, **({"tree": dict} if "tree" in proof else {"prev": str, "kind_number": int})})
    record, block, digest = proof["record"], blocks[proof["block"]], record_digest(proof["record"])
    transaction = trie_value(block["transaction"], proof["index"], [nodes[at] for at in proof["transaction"]])
    receipt = trie_value(block["receipt"], proof["index"], [nodes[at] for at in proof["receipt"]])
    status, _, _, logs = parts(rlp_decode(receipt[1:]), None, None, 256, None)
    demand(receipt[0] == 2 and status == b"\1", "the contract refused the transaction")
    demand(0 <= proof["log"] < len(logs), "the transaction has no such event")
    address, topics, data = parts(logs[proof["log"]], 20, None, 96)
    kind, key, place = parts(topics, 32, 32, 32)
    if "tree" in proof:
        fields(proof["tree"], {"index": int, "path": str})
        at, path = proof["tree"]["index"], unbase64(proof["tree"]["path"])
        leaf, count = int.from_bytes(place, "big") + at, int.from_bytes(data[:32], "big")
        same = (kind, key, data[32:64]) == (keccak(ANCHORED), TREE_KEY, tree_root(digest, at, count, path))
    else:
        session, seq = sha256(record["session"].encode()).digest(), record["seq"].to_bytes(32, "big")
        said, leaf = digest + proof["kind_number"].to_bytes(32, "big"), None
        head = keccak(session + seq + unbase64(proof["prev"], 32) + said)
        same = (kind, key, place, data) == (keccak(APPENDED), session, seq, said + head)
    demand(same and address == contract, f"the event is not that of record {record['number']}")
    facts = {"account": sender(transaction, chain_id, contract), "block": block["number"], "leaf": leaf}
    return {"record": record, **facts, "time": block["time"], "transaction": "0x" + keccak(transaction).hex()}


def ask(url: str, method: str, *parameters: object) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    stay = type("Stay", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_: None})
    with urllib.request.build_opener(stay).open(request, timeout=30) as answer:
        return json.loads(answer.read(LIMIT))["result"]


def report(proof: dict[str, Any]) -> str:
    """Return what is proved in words, with recorded text quoted and escaped."""
    text = ""
    for found in proof.get("records", ()):
        record, time = found["record"], datetime.fromtimestamp(min(found["time"], 2**37), UTC)
        place = f" as leaf {found['leaf']} of its trees," if found["leaf"] is not None else ""
        kept = "erased; its hash is proved" if "erased" in record else "left out; its hash is proved"
        text += f"""Record {record["seq"]} of session {record["session"]!r}, number {record["number"]}
  {record["kind"]!r} of action {record["action"]!r}, tool {record["tool"]!r}
  recorded at {record["at"]!r} by its own clock
  put{place} into block {found["block"]} of {time:%Y-%m-%d %H:%M:%S} UTC by account {found["account"]}
  in transaction {found["transaction"]} to contract {proof["contract"]}
  body: {repr(record["body"]) if "body" in record else kept}
"""
    return text


def main() -> int:
    parser = argparse.ArgumentParser("check.py", description="Check a proof file of the LLMasOS ledger.")
    parser.add_argument("file", type=Path)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--block-hash", default="", help="the hash of the block, from somebody you trust")
    how.add_argument("--rpc", default="", metavar="URL", help="a node that you trust, asked for that hash")
    parser.add_argument("--account", default="", help="the account that must have signed every record")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args()
    known, signer, url = given.block_hash.lower(), given.account.lower(), given.rpc
    if not re.fullmatch("(0x[0-9a-f]{64})?", known) or not re.fullmatch("(https?://.*)?", url):
        parser.error("a block hash is 0x and 64 digits, and a URL starts with http:// or https://")
    proof, status, result = {}, 2, "The file cannot be read."
    try:
        proof = check(given.file.read_bytes())
        claim = f"block {proof['block']} of chain {proof['chain_id']} has the hash {proof['block_hash']}"
        status, result = 4, f"NOT PROVED: the URL does not tell whether {claim}."
        demand(all(signer in ("", one["account"]) for one in proof["records"]), "another account signed")
        if url:
            demand(int(ask(url, "eth_chainId"), 16) == proof["chain_id"], "the node is of another chain")
            known = ask(url, "eth_getBlockByNumber", hex(proof["block"]), False)["hash"].lower()
        demand(known in ("", proof["block_hash"]), f"it needs that {claim}, but that is {known!r}")
        missing = f"NOT PROVED until somebody you trust confirms that {claim}. {LIMITS}"
        status, result = (0, f"PROVED, as {claim}. {LIMITS}") if known else (3, missing)
    except Forged as error:
        proof, status, result = {}, 1, f"REFUSED: {error}."
    except ImportError as error:
        status, result = 2, f"{error}. This is needed: pip install safe-pysha3 coincurve"
    except Exception as error:  # the file cannot be read, or the node answers what no node answers
        result += f" ({type(error).__name__})"
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(json.dumps({"status": status, "result": result, **proof}) if given.json else report(proof) + result)
    return status


if __name__ == "__main__":
    sys.exit(main())
