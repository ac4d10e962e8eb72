"""JSON-RPC in this process: what is asked, and which answers are believed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from llmasos.errors import ConfigError
from llmasos.ledger.chains.port import ChainError
from llmasos.ledger.chains.rpc import RpcClient, RpcError
from llmasos.ledger.chains.transport import CallTransport, HttpStatus, HttpTransport, shown_url, transport_to

pytestmark = pytest.mark.anyio

CALLS = [("add", [n, 1]) for n in range(7)]


def client(answer: Callable[[Any], Any], batch: int = 100) -> tuple[RpcClient, list[Any]]:
    """Return a client of a server that answers with JSON, bytes or an exception, and the questions it got."""
    asked: list[Any] = []

    async def exchange(question: bytes) -> bytes:
        asked.append(json.loads(question))
        said = answer(asked[-1])
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, bytes) else json.dumps(said).encode()

    return RpcClient(CallTransport(exchange), batch), asked


def one(question: Any) -> Any:
    if question["params"] == []:
        return {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32000, "message": "no numbers"}}
    return {"jsonrpc": "2.0", "id": question["id"], "result": sum(question["params"])}


def server(question: Any) -> Any:
    return [one(item) for item in question] if isinstance(question, list) else one(question)


async def test_a_request_is_answered_with_a_result_or_an_error() -> None:
    rpc, asked = client(server)
    assert await rpc.request("add", 1, 2) == 3
    with pytest.raises(RpcError, match="refused add: no numbers") as caught:
        await rpc.request("add")
    assert caught.value.number == -32000
    assert [item["id"] for item in asked] == [1, 2]
    assert asked[0] == {"jsonrpc": "2.0", "id": 1, "method": "add", "params": [1, 2]}


async def test_a_batch_is_one_exchange_whose_answers_come_in_any_order() -> None:
    rpc, asked = client(lambda question: server(question)[::-1])
    assert await rpc.batch(CALLS) == [n + 1 for n in range(7)]
    assert len(asked) == 1
    assert await rpc.batch([]) == []
    assert len(asked) == 1


async def test_a_large_batch_is_sent_in_parts() -> None:
    rpc, asked = client(server, batch=3)
    assert await rpc.every(CALLS) == [n + 1 for n in range(7)]
    assert [len(item) if isinstance(item, list) else 1 for item in asked] == [3, 3, 1]


async def test_errors_in_a_batch_stay_in_their_place() -> None:
    rpc, _ = client(server)
    calls = [("add", [1]), ("add", []), ("add", [3])]
    first, second, third = await rpc.batch(calls)
    assert (first, third, type(second)) == (1, 3, RpcError)
    with pytest.raises(RpcError, match="no numbers"):
        await rpc.every(calls)


@pytest.mark.parametrize(
    "refusal",
    [
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batches are not supported"}},
        HttpStatus("place", 413),
        HttpStatus("place", 405),
    ],
)
@pytest.mark.parametrize("most", [0, 2])
async def test_a_server_that_takes_no_large_batches_gets_smaller_ones(refusal: Any, most: int) -> None:
    def picky(question: Any) -> Any:
        return refusal if isinstance(question, list) and len(question) > most else server(question)

    rpc, asked = client(picky)
    assert await rpc.batch(CALLS) == [n + 1 for n in range(7)]
    before = len(asked)
    # What was learned is kept.
    assert await rpc.batch(CALLS) == [n + 1 for n in range(7)]
    assert len(asked) - before == 7


async def test_too_many_requests_are_not_met_with_more() -> None:
    rpc, asked = client(lambda question: HttpStatus("place", 429, 7))
    with pytest.raises(HttpStatus, match="no more requests for 7 seconds"):
        await rpc.batch(CALLS)
    assert len(asked) == 1


ANSWER = {"jsonrpc": "2.0", "id": 1, "result": 3}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>hello</html>",
        b"SSH-2.0-OpenSSH_9.2",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"jsonrpc":"2.0","id":1,"result":NaN}',
        b'{"jsonrpc":"2.0","id":1,"result":',
        b"9" * 10_000,
        [],
        [ANSWER],
        3,
        None,
        {**ANSWER, "id": 2},
        {**ANSWER, "id": "1"},
        {**ANSWER, "id": True},
        {**ANSWER, "id": 1.0},
        {**ANSWER, "id": None},
        {"jsonrpc": "2.0", "result": 3},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "error": "bad"},
        {"jsonrpc": "2.0", "id": 1, "error": []},
    ],
)
async def test_an_answer_that_is_not_one_is_refused(answer: Any) -> None:
    rpc, _ = client(lambda question: answer)
    with pytest.raises(ChainError, match="does not speak JSON-RPC") as caught:
        await rpc.request("add", 1, 2)
    assert not isinstance(caught.value, RpcError)
    assert caught.value.hint


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answers: answers[1:],
        lambda answers: [*answers, answers[0]],
        lambda answers: [answers[0], *answers[:-1]],
        lambda answers: [*answers[:-1], {**answers[-1], "id": 999}],
        lambda answers: [*answers[:-1], "hello"],
        lambda answers: [*answers[:-1], {"id": answers[-1]["id"]}],
        lambda answers: "hello",
    ],
)
async def test_a_batch_whose_answers_do_not_fit_is_refused(spoil: Callable[[Any], Any]) -> None:
    rpc, asked = client(lambda question: spoil(server(question)))
    with pytest.raises(ChainError, match="does not speak JSON-RPC"):
        await rpc.batch(CALLS)
    assert len(asked) == 1


async def test_deep_nesting_does_not_end_the_process() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        rpc, _ = client(lambda question: b"[" * 10_000_000)
        with pytest.raises(ChainError, match="does not speak JSON-RPC"):
            await rpc.request("add", 1, 2)
    finally:
        sys.setrecursionlimit(limit)


async def test_an_error_is_shown_short_and_on_one_line() -> None:
    text = "no\n  such\x1b[2J " + "x" * 10_000
    rpc, _ = client(lambda question: {"id": question["id"], "error": {"message": text}})
    with pytest.raises(RpcError) as caught:
        await rpc.request("add")
    assert caught.value.message.startswith("The chain refused add: no such[2J xxx")
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("number", "text", "unknown"),
    [
        (-32601, "the method eth_getProof does not exist", True),
        (-32000, "Method eth_getProof not supported", True),
        (-32004, "method is not available", True),
        (-32000, "missing trie node", False),
        (-32602, "invalid method parameters", False),
    ],
)
def test_a_method_that_the_server_lacks_is_known_by_number_or_words(
    number: int, text: str, unknown: bool
) -> None:
    assert RpcError("m", number, text).unknown_method is unknown


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://user:hunter2@node.example.org/v3/hunter2?key=hunter2#hunter2", "https://node.example.org"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://[::1]:8545/hunter2", "http://[::1]:8545"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, place: str) -> None:
    assert shown_url(url) == place
    assert transport_to(url).place == place
    assert "hunter2" not in repr(transport_to(url)) + str(vars(HttpStatus(shown_url(url), 404)))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.example.org",
        "ws://hunter2",
        "https://",
        "https:///hunter2",
        "http://[hunter2",
        "http://a:hunter2/",
    ],
)
def test_what_is_not_a_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="does not begin with http") as caught:
        HttpTransport(url)
    assert "hunter2" not in str(caught.value)
