"""Requests that no client means: whatever comes, the service answers with an error of the caller's."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.models.chat.fake import FakeChat
from llmasos.service.openai.wire import MOST_PARTS
from tests.service.openai.conftest import Service, asked

CASES = 4000
PATHS = {
    "/v1/chat/completions": asked(
        messages=[
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        n=2,
        seed=1,
        stop=["x"],
        logit_bias={"1": 1},
        logprobs=True,
        top_logprobs=1,
        stream=True,
        stream_options={"include_usage": True},
        metadata={"a": "b"},
    ),
    "/v1/completions": {
        "model": "fake",
        "prompt": ["a", "b"],
        "n": 2,
        "logprobs": 1,
        "max_tokens": 3,
        "stop": "x",
    },
    "/v1/embeddings": {"model": "fake", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2},
    "/v1/responses": {
        "model": "fake",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
        ],
        "instructions": "i",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "stream": True,
        "include": ["message.output_text.logprobs"],
        "metadata": {"a": "b"},
    },
}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 17, 2**31, 2**63, -(2**63), 10**300, 0.5, -0.0, 1e308, "", "x", "\x00"),
    *(
        "a" * 5000,
        "\u202e",
        "\U0010ffff",
        "auto",
        "/etc/passwd",
        [],
        {},
        [[]],
        [{}],
        [None],
        [1],
        ["a"] * 300,
    ),
    *({"type": "text"}, {"type": []}, {"": ""}, {"type": "function", "function": {"name": "f" * 65}}),
    *([{"role": "user", "content": "x"}], {"$ref": "#"}, {"type": "image_url", "image_url": {"url": "x"}}),
]
NAMES = ["extra", "type", "n", "stream", "previous_response_id", "\x00", "é" * 50]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a body with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def poisoned(rng: random.Random, path: str) -> bytes:
    """Return a body that was sound, with some of it replaced, removed, added or broken."""
    body = deepcopy(PATHS[path])
    for _ in range(rng.randint(1, 3)):
        found = list(places(body))
        if not found:
            break
        container, key = rng.choice(found)
        match rng.randrange(4):
            case 0 if isinstance(container, dict):
                del container[key]
            case 1 if isinstance(container, dict):
                container[rng.choice(NAMES)] = deepcopy(rng.choice(ODD))
            case _:
                container[key] = deepcopy(rng.choice(ODD))
    text = json.dumps(body).encode()
    if rng.random() < 0.3:
        cut = rng.randrange(len(text))
        text = rng.choice(RAW)(text, cut)
    return text


RAW: list[Callable[[bytes, int], bytes]] = [
    lambda text, cut: text[:cut],
    lambda text, cut: text[:cut] + b"\xff\xfe" + text[cut:],
    lambda text, cut: text[:cut] + b"\x00" + text[cut:],
    lambda text, cut: text[:cut] + b"NaN" + text[cut:],
    lambda text, cut: text[:cut] + b"\\ud800" + text[cut:],
    lambda text, cut: text.replace(b"1", b"1e999"),
    lambda text, cut: text.replace(b"1", b"9" * 4000),
    lambda text, cut: text.replace(b"{}", b"[" * 5000 + b"]" * 5000),
    lambda text, cut: b"[" * 100_000,
    lambda text, cut: b'{"model":' * 50_000,
    lambda text, cut: b"",
    lambda text, cut: b"null",
    lambda text, cut: b"\xef\xbb\xbf" + text,
    lambda text, cut: text.decode().encode("utf-16"),
]


@pytest.mark.parametrize("seed", range(4))
def test_no_body_is_answered_with_a_fault_of_ours(seed: int) -> None:
    """One loop and one service for all, so that what one call breaks shows in those after it."""
    rng = random.Random(seed)

    async def fire() -> None:
        with tempfile.TemporaryDirectory() as folder:
            it = Service([FakeChat("reply" for _ in range(10**6))], Path(folder))
            statuses = set[int]()
            for _ in range(CASES // 4):
                path = rng.choice(list(PATHS))
                content = poisoned(rng, path)
                answer = await it.post(path, content)
                statuses.add(answer.status)
                assert answer.status < 500, (path, content[:2000], answer.content)
                if answer.status != 200:
                    assert answer.error["message"]
                else:
                    assert b'"error":{' not in answer.content, (content[:2000], answer.content)
            assert {200, 400, 404} <= statuses
            assert (await it.post("/v1/chat/completions", asked())).status == 200
            it.store.close()

    anyio.run(fire)


@pytest.mark.parametrize("depth", [150, 250, 100_000])
def test_arguments_of_old_calls_may_not_be_nested_without_end(depth: int, tmp_path: Path) -> None:
    arguments = "[" * depth + "]" * depth
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = asked(messages=[{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "x"}])

    async def fire() -> int:
        it = Service([FakeChat(["x"])], tmp_path)
        status = (await it.post("/v1/chat/completions", body)).status
        it.store.close()
        return status

    assert anyio.run(fire) == (200 if depth < 200 else 400)


def test_a_body_has_a_largest_number_of_parts(tmp_path: Path) -> None:
    async def fire() -> list[int]:
        it = Service([FakeChat("x" for _ in range(9))], tmp_path)
        bodies = [asked(metadata={"a": [[]] * count}) for count in (MOST_PARTS - 10, MOST_PARTS)]
        statuses = [(await it.post("/v1/chat/completions", body)).status for body in bodies]
        it.store.close()
        return statuses

    assert anyio.run(fire) == [200, 400]


def test_no_path_is_answered_with_a_fault_of_ours(tmp_path: Path) -> None:
    async def fire() -> None:
        it = Service([FakeChat()], tmp_path)
        names = ["\x00", "..", "../../etc/passwd", "é" * 5000, "a\r\nb", "resp_" + "0" * 32, "'; --", "%00"]
        for name in names:
            for method, path in (
                ("GET", f"/v1/models/{name}"),
                ("GET", f"/v1/responses/{name}"),
                ("DELETE", f"/v1/responses/{name}"),
                ("GET", f"/v1/responses/{name}/input_items"),
            ):
                assert (await it.ask(method, path)).status == 404, (method, name)
        it.store.close()

    anyio.run(fire)
