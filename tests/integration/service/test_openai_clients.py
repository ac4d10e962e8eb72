"""Programs that were written for OpenAI's API work against ours, over a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import openai
import pytest
import uvicorn
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from llmasos.models.chat.fake import FakeChat, Reply
from llmasos.models.chat.port import ChatCall, ChatDelta
from llmasos.models.engines.port import EngineDied
from llmasos.models.scheduler.types import Refused
from tests.service.openai.conftest import PartChat, Service

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

WEATHER = ChatCall(id="c1", name="weather", arguments='{"city": "北京"}')
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ROOT = Path(__file__).parents[3]


class Place(BaseModel):
    """What strict parsing is asked for."""

    city: str
    people: int


class Served:
    """A service on a port of this machine."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}/v1"

    @property
    def chat(self) -> FakeChat:
        chat = self.service.models.chats["fake"]
        assert isinstance(chat, FakeChat)
        return chat

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key="k", max_retries=0)

    @property
    def patient(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.url, api_key="k", max_retries=0)


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[tuple[uvicorn.Server, threading.Thread, Service]] = []

    def start(*replies: Reply | FakeChat) -> Served:
        chats = [reply for reply in replies if isinstance(reply, FakeChat)]
        service = Service(chats or [FakeChat(reply for reply in replies)], tmp_path)  # type: ignore[misc]
        service.remember()
        config = uvicorn.Config(
            service.app, port=0, http="h11", ws="none", log_config=None, access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread, service))
        while not server.started:
            time.sleep(0.01)
        return Served(service, server.servers[0].sockets[0].getsockname()[1])

    yield start
    for server, thread, service in servers:
        server.should_exit = True
        thread.join()
        service.store.close()


HELLO: Any = [{"role": "user", "content": "hi"}]


def test_the_client_talks(serve: Serve) -> None:
    it = serve("hello", (WEATHER, WEATHER.model_copy(update={"id": "c2"})))
    with it.client as client:
        made = client.chat.completions.create(model="fake", messages=HELLO, seed=1, extra_headers={})
        assert made.choices[0].message.content == "hello" and made.usage and made.usage.total_tokens == 4
        assert made._request_id and made._request_id.startswith("req_")
        calls = client.chat.completions.create(
            model="fake", messages=HELLO, tools=[TOOL], tool_choice="required", parallel_tool_calls=True
        )
        found = calls.choices[0].message.tool_calls
        assert found and [call.id for call in found] == ["c1", "c2"]
        assert found[0].type == "function" and found[0].function.arguments == WEATHER.arguments
        assert [model.id for model in client.models.list()] == ["fake"]
        assert client.models.retrieve("fake").owned_by == "llmasos"


def test_the_client_streams(serve: Serve) -> None:
    it = serve("hello there", (WEATHER,))
    with it.client as client:
        with client.chat.completions.stream(
            model="fake", messages=HELLO, stream_options={"include_usage": True}
        ) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "hello there" and final.usage is not None
        with client.chat.completions.stream(model="fake", messages=HELLO, tools=[TOOL]) as stream:
            found = stream.get_final_completion().choices[0].message.tool_calls
        assert found and found[0].function.arguments == WEATHER.arguments


async def test_the_client_talks_and_streams_asynchronously(serve: Serve) -> None:
    it = serve("one", "two", "three")
    async with it.patient as client:
        made = await client.chat.completions.create(model="fake", messages=HELLO)
        assert made.choices[0].message.content == "one"
        stream = await client.chat.completions.create(model="fake", messages=HELLO, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(texts) == "two"
        older = await client.completions.create(model="fake", prompt="Once", max_tokens=10)
        assert older.choices[0].text == "three"
        vectors = await client.embeddings.create(model="fake", input=["a", "bb"])
        assert [row.embedding for row in vectors.data] == [[1.0, 0.0], [0.0, 1.0]]


def test_the_client_parses_strictly(serve: Serve) -> None:
    text = '{"city": "北京", "people": 21}'
    it = serve(text, ChatCall(id="1", name="Place", arguments=text), text)
    with it.client as client:
        made = client.chat.completions.parse(model="fake", messages=HELLO, response_format=Place)
        assert made.choices[0].message.parsed == Place(city="北京", people=21)
        schema = it.chat.requests[0].json_schema
        assert schema and schema["required"] == ["city", "people"]
        tools = [openai.pydantic_function_tool(Place)]
        called = client.chat.completions.parse(model="fake", messages=HELLO, tools=tools)
        found = called.choices[0].message.tool_calls
        assert found and found[0].function.parsed_arguments == Place(city="北京", people=21)
        response = client.responses.parse(model="fake", input="hi", text_format=Place)
        assert response.output_parsed == Place(city="北京", people=21)


def test_the_client_uses_responses(serve: Serve) -> None:
    it = serve("one", "two", "three four", WEATHER)
    with it.client as client:
        first = client.responses.create(model="fake", input="hi", instructions="be brief")
        second = client.responses.create(model="fake", input="more", previous_response_id=first.id)
        assert (first.output_text, second.output_text) == ("one", "two")
        assert client.responses.retrieve(first.id).output_text == "one"
        assert client.responses.input_items.list(second.id).data[0].type == "message"
        client.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)
        with client.responses.stream(model="fake", input="hi") as stream:
            kinds = [event.type for event in stream]
            assert stream.get_final_response().output_text == "three four"
        assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
        tool: Any = {"type": "function", "name": "weather", "parameters": {}, "strict": False}
        with client.responses.stream(model="fake", input="hi", tools=[tool]) as stream:
            (call,) = stream.get_final_response().output
        assert call.type == "function_call" and call.arguments == WEATHER.arguments


def test_the_client_raises_the_right_errors(serve: Serve) -> None:
    it = serve(
        Refused("Wait.", status=429, retry_after=1),
        Refused("Full.", status=503),
        PartChat([ChatDelta(text="a"), EngineDied("It died.")], name="dying"),
    )
    with it.client as client:
        with pytest.raises(openai.NotFoundError) as missing:
            client.chat.completions.create(model="other", messages=HELLO)
        assert missing.value.code == "model_not_found" and missing.value.request_id
        with pytest.raises(openai.BadRequestError) as bad:
            client.chat.completions.create(model="dying", messages=HELLO, n=99)
        assert bad.value.param == "n"
        stream = client.chat.completions.create(model="dying", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="It died"):
            list(stream)


def test_the_client_tries_again_when_told_to(serve: Serve) -> None:
    it = serve(Refused("Wait.", status=429, retry_after=0), "hello")
    with openai.OpenAI(base_url=it.url, api_key="k", max_retries=1) as client:
        made = client.chat.completions.create(model="fake", messages=HELLO)
    assert made.choices[0].message.content == "hello"


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_an_agent_of_pydantic_ai_uses_tools(serve: Serve, kind: Callable[..., Model[Any]]) -> None:
    it = serve(WEATHER, "It rains.", WEATHER, "It rains again.")
    async with it.patient as client:
        agent = Agent(kind("fake", provider=OpenAIProvider(openai_client=client)))
        asked = []

        @agent.tool_plain
        def weather(city: str) -> str:
            asked.append(city)
            return "rain"

        assert (await agent.run("How is it?")).output == "It rains."
        async with agent.run_stream("And now?") as run:
            assert await run.get_output() == "It rains again."
    assert asked == ["北京", "北京"]
    assert it.chat.requests[1].messages[-1].content == "rain"


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_an_agent_of_pydantic_ai_gets_structured_output(
    serve: Serve, kind: Callable[..., Model[Any]]
) -> None:
    it = serve(ChatCall(id="1", name="final_result", arguments='{"city": "x", "people": 2}'))
    async with it.patient as client:
        agent = Agent(kind("fake", provider=OpenAIProvider(openai_client=client)), output_type=Place)
        assert (await agent.run("Where?")).output == Place(city="x", people=2)
    assert it.chat.requests[0].tool_choice == "required"


LITELLM = """
import asyncio, json, sys, warnings
warnings.simplefilter("ignore")
import litellm
place = {"model": "openai/fake", "api_base": sys.argv[1], "api_key": "k", "num_retries": 0}
place["messages"] = [{"role": "user", "content": "hi"}]
tools = json.loads(sys.argv[2])
out = [litellm.completion(**place).choices[0].message.content]
chunks = litellm.completion(**place, stream=True)
out.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
out.append(litellm.completion(**place, tools=tools).choices[0].message.tool_calls[0].function.arguments)
async def more():
    out.append((await litellm.acompletion(**place)).choices[0].message.content)
    stream = await litellm.acompletion(**place, stream=True)
    out.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))
    try:
        await litellm.acompletion(**place | {"model": "openai/other"})
    except litellm.exceptions.NotFoundError as error:
        out.append(type(error).__name__)
asyncio.run(more())
print("OUT" + json.dumps(out))
"""


def test_litellm_talks_and_streams(serve: Serve) -> None:
    it = serve("one", "two words", WEATHER, "three", "four words")
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    done = subprocess.run(
        [sys.executable, "-c", LITELLM, it.url, json.dumps([TOOL])],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("OUT"))
    expected = ["one", "two words", WEATHER.arguments, "three", "four words", "NotFoundError"]
    assert json.loads(line[3:]) == expected


async def test_a_client_that_hangs_up_stops_the_model(serve: Serve) -> None:
    chat = PartChat([ChatDelta(text="a"), anyio.sleep_forever])
    it = serve(chat)
    body = {"model": "fake", "messages": HELLO, "stream": True}
    async with httpx2.AsyncClient() as client:
        async with client.stream("POST", f"{it.url}/chat/completions", json=body) as response:
            await anext(response.aiter_lines())
        assert response.status_code == 200
    with anyio.fail_after(30):
        while not it.service.ledger.entries:
            await anyio.sleep(0.01)
    assert chat.stopped == 1 and it.service.ledger.entries[0].body["status"] == "cancelled"


async def test_a_client_that_does_not_read_holds_up_its_own_model_only(serve: Serve) -> None:
    piece = ChatDelta(text="x" * 10_000)
    chat = PartChat([piece] * 10_000)
    it = serve(chat, FakeChat(["hello"], name="other"))
    body = {"model": "fake", "messages": HELLO, "stream": True}
    async with (
        httpx2.AsyncClient() as client,
        it.patient as other,
        client.stream("POST", f"{it.url}/chat/completions", json=body),
    ):
        made = await other.chat.completions.create(model="other", messages=HELLO)
        assert made.choices[0].message.content == "hello"
        seen = -1
        while seen != chat.given:
            seen = chat.given
            await anyio.sleep(0.2)
        # What the kernel's and the server's buffers hold, not a hundred megabytes.
        assert seen < 5000
