"""Nodes that lie: every field of a real one's answers is changed; what can be computed is not believed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from llmasos.ledger import _contract
from llmasos.ledger._contract import transaction_hash
from llmasos.ledger._digest import session_key
from llmasos.ledger.chains.anvil import CHAIN_ID, AnvilChain
from llmasos.ledger.chains.evm import EvmChain
from llmasos.ledger.chains.port import Block, ChainError, ChainRefused
from llmasos.ledger.chains.transport import UnixTransport

from .nodes import Log, Recorder, anchor, appends, foreign, replay

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
A, B, NOBODY = session_key("a"), session_key("b"), session_key("nobody")

Question = Callable[[EvmChain], Awaitable[Any]]


class Scene:
    """A small chain that was asked everything once."""

    def __init__(self, contract: str, key: bytes, block: Block, sent: list[bytes]) -> None:
        self.contract, self.key, self.block, self.sent = contract, key, block, sent
        self.hashes = [transaction_hash(raw) for raw in sent]
        self.answers: dict[str, dict[str, Any]] = {}
        self.truth: dict[str, Any] = {}

    def questions(self) -> dict[str, Question]:
        """Return what can be asked."""

        async def logged(chain: EvmChain) -> Any:
            return [item async for item in chain.logged(self.contract, 0, self.block.number)]

        async def of_one(chain: EvmChain) -> Any:
            return [item async for item in chain.logged(self.contract, 0, self.block.number, A)]

        return {
            "block": lambda chain: chain.block(self.block.number),
            "newest": lambda chain: chain.block(),
            "sessions": lambda chain: chain.sessions(self.contract, [A, B, NOBODY], self.block),
            "inclusion": lambda chain: chain.inclusion(self.hashes[1]),
            "receipts": lambda chain: chain.receipts(self.hashes),
            "logged": logged,
            "of_one": of_one,
            "send": lambda chain: chain.send(self.sent),
            "connect": lambda chain: chain.connect(),
        }


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    anvil = AnvilChain(tmp_path)
    await anvil.connect()
    log, (calls, _), (tree, _) = Log(anvil), appends(A, 2), anchor(B, 9)
    await log.deploy()
    await log.do(_contract.open_call(A), _contract.open_call(B))
    fees = await anvil.fees()
    signed = [anvil.sign(3 + n, log.contract, data, fees) for n, data in enumerate([*calls, tree])]
    await log.carry(signed)
    block = await anvil.block()
    assert block is not None
    key, way = bytes.fromhex(anvil.key_file.read_text()), UnixTransport(anvil.socket)
    made = Scene(log.contract, key, block, [item.raw for item in signed])
    for name, ask in made.questions().items():
        recorder = Recorder(way)
        if name == "send":
            recorder.answers = {
                json.dumps(["eth_sendRawTransaction", ["0x" + raw.hex()]]): tx_hash
                for raw, tx_hash in zip(made.sent, made.hashes, strict=True)
            }
            made.truth[name] = await ask(foreign(replay(recorder.answers), CHAIN_ID, key))
        else:
            chain = foreign(recorder, CHAIN_ID, key)
            made.truth[name] = await ask(chain)
            assert chain.proved
        made.answers[name] = recorder.answers
        # What was recorded is enough to be asked again.
        assert await ask(foreign(replay(recorder.answers), CHAIN_ID, key)) == made.truth[name]
    await way.close()
    yield made
    await anvil.close()


def changes(value: Any) -> Iterator[Any]:
    """Return what a value could be changed to."""
    yield from (None, [], {}, "", "0x", "0xzz", 7, True, [[]])
    if isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        last = "0" if value[-1] != "0" else "1"
        yield value[:-1] + last
        yield value[:-1]
        yield value + "0"
        yield value + "00"
        middle = len(value) // 2
        if middle >= 2:
            yield value[:middle] + ("1" if value[middle] != "1" else "2") + value[middle + 1 :]
    if isinstance(value, list) and value:
        yield value[1:]
        yield value[:-1]
        yield [*value, value[0]]
        yield value[::-1]


def lies(answers: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return all answers with one value changed in each, and the name of what was changed."""
    for question, answer in answers.items():
        method = json.loads(question)[0]
        for path in paths(answer):
            name = ".".join([method, *(part for part in path if isinstance(part, str))])
            for change in changes(at(answer, path)):
                if change == at(answer, path) and type(change) is type(at(answer, path)):
                    continue
                yield name, {**answers, question: replaced(answer, path, change)}
            if path and isinstance(path[-1], str):
                yield name, {**answers, question: removed(answer, path)}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def replaced(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    if not path:
        return change
    copy = deepcopy(value)
    at(copy, path[:-1])[path[-1]] = change
    return copy


def removed(value: Any, path: tuple[Any, ...]) -> Any:
    copy = deepcopy(value)
    del at(copy, path[:-1])[path[-1]]
    return copy


BLOCK, LOGS = "eth_getBlockByNumber", "eth_getLogs"
RECEIPT = "eth_getTransactionReceipt"

BELIEVED: dict[str, set[str]] = {
    # Whether there is a block, and which is the newest, is for the node to say.
    "block": {BLOCK},
    "newest": {BLOCK},
    "sessions": set(),
    "inclusion": set(),
    "send": set(),
    # The port says so: what they say is compared with the database, and the state of sessions is proved.
    "receipts": {
        RECEIPT,
        *(
            f"{RECEIPT}.{name}"
            for name in ("status", "blockNumber", "blockHash", "gasUsed", "effectiveGasPrice")
        ),
    },
    "logged": {LOGS, *(f"{LOGS}.{name}" for name in ("topics", "data", "transactionHash", "blockNumber"))},
    "of_one": {LOGS, *(f"{LOGS}.{name}" for name in ("topics", "data", "transactionHash", "blockNumber"))},
    "connect": set(),
}


async def test_what_can_be_computed_is_not_believed(scene: Scene) -> None:
    tried = refused = 0
    for name, ask in scene.questions().items():
        believed: set[str] = set()
        for field, answers in lies(scene.answers[name]):
            tried += 1
            try:
                told = await ask(foreign(replay({**scene.answers["block"], **answers}), CHAIN_ID, scene.key))
            except ChainError as error:
                refused += isinstance(error, ChainRefused)
                assert str(error).count("\n") <= 1 and "Traceback" not in str(error)
            else:
                if told != scene.truth[name]:
                    believed.add(field)
        assert believed == BELIEVED[name], name
    assert tried > 3_000 and refused > 300


async def test_a_lie_that_can_be_computed_is_called_one(scene: Scene) -> None:
    """Changes of one digit, which no broken node makes, are refused for good and not tried again."""
    words = {
        "block": ("eth_getBlockByNumber", "stateRoot", "is not what its hash says"),
        "sessions": ("eth_getProof", "accountProof", "lies about block"),
        "inclusion": (
            "eth_getBlockReceipts",
            "cumulativeGasUsed",
            "its receipts are not those of the header",
        ),
        "receipts": (RECEIPT, "transactionHash", "for another transaction"),
        "of_one": (LOGS, "address", "not asked for"),
        "send": ("eth_sendRawTransaction", "", "for another transaction"),
        "connect": ("eth_chainId", "", "has the id"),
    }
    for name, (method, field, message) in words.items():
        answers = deepcopy({**scene.answers["block"], **scene.answers[name]})
        question = next(place for place in answers if json.loads(place)[0] == method)
        found = [path for path in paths(answers[question]) if not field or (path and path[-1] == field)]
        path = min(found, key=len)
        while isinstance(at(answers[question], path), list):
            path = (*path, 0)
        value = at(answers[question], path)
        answers[question] = replaced(answers[question], path, value[:-1] + ("1" if value[-1] != "1" else "2"))
        with pytest.raises(ChainRefused, match=message):
            await scene.questions()[name](foreign(replay(answers), CHAIN_ID, scene.key))


async def test_a_transaction_cannot_be_put_into_a_block(scene: Scene) -> None:
    answers = deepcopy({**scene.answers["block"], **scene.answers["inclusion"]})
    absent = "0x" + "12" * 32
    receipt = deepcopy(next(answer for place, answer in answers.items() if RECEIPT in place))
    answers[json.dumps([RECEIPT, [absent]])] = {**receipt, "transactionHash": absent}
    block = next(answer for place, answer in answers.items() if "true" in place)
    block["transactions"][1]["hash"] = absent
    with pytest.raises(ChainRefused, match="does not hold the transaction"):
        await foreign(replay(answers), CHAIN_ID).inclusion(absent)


async def test_a_node_without_proofs_is_believed_and_that_is_said(scene: Scene, tmp_path: Path) -> None:
    state = scene.truth["sessions"]
    words = [
        json.dumps(
            [
                "eth_call",
                [
                    {"to": scene.contract, "data": "0x" + _contract.sessions_call(key).hex()},
                    hex(scene.block.number),
                ],
            ]
        )
        for key in (A, B, NOBODY)
    ]
    outputs = [
        "0x"
        + b"".join(
            [bytes(12), bytes.fromhex(s.owner[2:]), s.count.to_bytes(32, "big"), bytes(32), s.head]
        ).hex()
        for s in state
    ]
    chain = foreign(replay(dict(zip(words, outputs, strict=True))), CHAIN_ID)
    assert await scene.questions()["sessions"](chain) == state
    assert not chain.proved
    with pytest.raises(ChainError, match="no audit log"):
        await scene.questions()["sessions"](foreign(replay(dict.fromkeys(words, "0x")), CHAIN_ID))


async def test_a_node_without_receipts_of_blocks_is_asked_for_each(scene: Scene) -> None:
    answers = dict(scene.answers["inclusion"])
    whole = next(place for place in answers if "eth_getBlockReceipts" in place)
    for item in answers.pop(whole):
        answers[json.dumps([RECEIPT, [item["transactionHash"]]])] = item
    told = await scene.questions()["inclusion"](foreign(replay(answers), CHAIN_ID))
    assert told == scene.truth["inclusion"]


async def test_a_type_that_only_the_chain_knows_is_taken_as_bytes(scene: Scene) -> None:
    answers = deepcopy(scene.answers["inclusion"])
    block = next(answer for place, answer in answers.items() if "eth_getBlockByNumber" in place)
    foreign_one = block["transactions"][0]
    foreign_one["type"] = "0x7e"
    question = json.dumps(["eth_getRawTransactionByHash", [foreign_one["hash"]]])
    with pytest.raises(ChainError, match="refused eth_getRawTransactionByHash"):
        await scene.questions()["inclusion"](foreign(replay(answers), CHAIN_ID))
    answers[question] = "0x" + scene.sent[0].hex()
    assert (
        await scene.questions()["inclusion"](foreign(replay(answers), CHAIN_ID)) == scene.truth["inclusion"]
    )


async def test_a_block_that_was_replaced_is_no_lie(scene: Scene) -> None:
    answers = deepcopy(scene.answers["sessions"])
    proof = next(answer for place, answer in answers.items() if "eth_getProof" in place)
    proof["accountProof"] = proof["accountProof"][1:]
    newer = next(iter(scene.answers["block"].values()))
    question = json.dumps(["eth_getBlockByNumber", [hex(scene.block.number), False]])
    with pytest.raises(ChainRefused, match="lies about block"):
        await scene.questions()["sessions"](foreign(replay({**answers, question: newer}), CHAIN_ID))
    with pytest.raises(ChainError, match="was replaced") as caught:
        await scene.questions()["sessions"](foreign(replay({**answers, question: None}), CHAIN_ID))
    assert not isinstance(caught.value, ChainRefused)
