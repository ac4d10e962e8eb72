"""Programs written for OpenAI's API, through `llmasos serve` and a key, to a real model and the ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from llmasos import paths
from tests.integration.system.conftest import ROOT, Machine

pytestmark = pytest.mark.integration

MODEL = "qwen2.5-coder-0.5b"
HELLO: Any = [{"role": "user", "content": "Say hello."}]
PLACE: Any = [{"role": "user", "content": "Paris has 21 people. Tell me the place."}]
BRIEF: dict[str, Any] = {"model": MODEL, "temperature": 0}


class Place(BaseModel):
    """A place and how many live there."""

    city: str
    people: int


TOOL = openai.pydantic_function_tool(Place)
LITELLM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import litellm
place = {"model": "openai/" + sys.argv[3], "api_base": sys.argv[1], "api_key": sys.argv[2], "num_retries": 0}
place |= {"messages": json.loads(sys.argv[4]), "max_tokens": 8, "temperature": 0}
whole = litellm.completion(**place).choices[0].message.content
chunks = litellm.completion(**place, stream=True)
print("OUT" + json.dumps([whole, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)]))
"""


@contextmanager
def serving(machine: Machine) -> Iterator[None]:
    """Run `llmasos serve` meanwhile; it stops as it is asked to."""
    with machine.popen("serve") as process:
        assert process.stderr is not None
        said = ""
        while "Other programs reach it" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        try:
            yield
        finally:
            stopped = machine.run("stop").returncode, process.wait(60)
        assert stopped == (0, 0)


def key(machine: Machine, *options: str) -> str:
    """Return the secret of a new key."""
    made = machine.run("keys", "create", "--name", "a program", *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def client(port: int, secret: str) -> openai.OpenAI:
    """Return OpenAI's client, which tries once."""
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=secret, max_retries=0)


def talk(api: openai.OpenAI) -> Counter[str]:
    """Use what there is, and return how often which operation was asked for."""
    assert MODEL in [model.id for model in api.models.list()]
    chat = api.chat.completions
    whole = chat.create(**BRIEF, messages=HELLO, max_tokens=8, extra_headers={"llmasos-session": "night"})
    assert whole.choices[0].message.content and whole.usage and whole.usage.completion_tokens <= 8
    stream = chat.create(
        **BRIEF, messages=HELLO, max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == whole.choices[0].message.content
    assert last.usage and last.usage.total_tokens == whole.usage.total_tokens

    parsed = chat.parse(**BRIEF, messages=PLACE, response_format=Place, max_tokens=100)
    assert isinstance(parsed.choices[0].message.parsed, Place)
    chosen: Any = {"type": "function", "function": {"name": "Place"}}
    forced = chat.create(**BRIEF, messages=PLACE, tools=[TOOL], tool_choice=chosen, max_tokens=100)
    assert forced.choices[0].finish_reason == "tool_calls"
    (called,) = forced.choices[0].message.tool_calls or [None]
    assert (
        called is not None
        and called.type == "function"
        and Place.model_validate_json(called.function.arguments)
    )

    text = api.completions.create(**BRIEF, prompt="def add(a, b):\n    return", max_tokens=4)
    assert text.choices[0].text.strip().startswith("a + b")
    vectors = api.embeddings.create(model=MODEL, input=["a cat", "a cat", "taxes"]).data
    assert vectors[0].embedding == vectors[1].embedding != vectors[2].embedding

    first = api.responses.create(**BRIEF, input="My name is Ada. Say yes.", max_output_tokens=16)
    again = {"previous_response_id": first.id, "max_output_tokens": 16}
    second = api.responses.create(**BRIEF, input="What is my name?", **again)
    assert "Ada" in second.output_text
    assert api.responses.retrieve(second.id).output_text == second.output_text

    urgent = {"llmasos-priority": "interactive", "llmasos-deadline": "60"}
    assert chat.create(**BRIEF, messages=HELLO, max_tokens=1, extra_headers=urgent).choices
    with pytest.raises(openai.BadRequestError, match="llmasos-priority"):
        chat.create(**BRIEF, messages=HELLO, extra_headers={"llmasos-priority": "most"})
    return Counter({"chat.completions": 5, "completions": 1, "embeddings": 1, "responses": 2})


async def talk_at_once(port: int, secret: str) -> Counter[str]:
    """Ask several times at once, the client of pydantic-ai among them."""
    texts: list[str] = []
    async with openai.AsyncOpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key=secret, max_retries=0
    ) as api:

        async def ask() -> None:
            stream = await api.chat.completions.create(**BRIEF, messages=HELLO, max_tokens=8, stream=True)
            texts.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask)
        agent = Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=api)), output_type=Place)
        made = await agent.run(PLACE[0]["content"], model_settings={"temperature": 0.0, "max_tokens": 100})
    assert len(set(texts)) == 1 and texts[0]
    assert made.output.city
    return Counter({"chat.completions": 3 + made.usage.requests})


def talk_through_litellm(port: int, secret: str) -> Counter[str]:
    """Ask through LiteLLM, in a process of its own, as it warns."""
    arguments = [f"http://127.0.0.1:{port}/v1", secret, MODEL, json.dumps(HELLO)]
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    done = subprocess.run(
        [sys.executable, "-c", LITELLM, *arguments], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    whole, streamed = json.loads(next(x for x in done.stdout.splitlines() if x.startswith("OUT"))[3:])
    assert whole and whole == streamed
    return Counter({"chat.completions": 2})


def reach_a_limit(api: openai.OpenAI) -> Counter[str]:
    """Ask until a limit is reached, which the client raises as OpenAI's."""
    assert api.chat.completions.create(**BRIEF, messages=HELLO, max_tokens=1).choices
    with pytest.raises(openai.RateLimitError) as reached:
        for _ in range(2):
            api.models.list()
    headers = reached.value.response.headers
    assert int(headers["retry-after"]) >= 1 and headers["x-ratelimit-limit-requests"] == "2"
    assert reached.value.code == "rate_limit_exceeded"
    return Counter({"chat.completions": 1})


def test_openais_clients_talk_to_a_real_model_and_each_call_is_proved(machine: Machine, port: int) -> None:
    machine.env |= {
        "LLMASOS_MODEL_URL": "",
        "LLMASOS_MODEL": MODEL,
        "LLMASOS_MODEL_THREADS": "1",
        "LLMASOS_CACHE_DIR": str(paths.cache_dir()),
        "LLMASOS_LEDGER__WAIT": "0.1",
    }
    with serving(machine):
        secret, slow, ended = key(machine), key(machine, "--requests-per-minute", "2"), key(machine)
        calls = talk(client(port, secret))
        calls += anyio.run(talk_at_once, port, secret)
        calls += talk_through_litellm(port, secret)
        limited = reach_a_limit(client(port, slow))

        revoked = f"k-{ended.split('-')[2]}"
        assert client(port, ended).models.list().data
        assert machine.run("keys", "revoke", revoked).returncode == 0
        with pytest.raises(openai.AuthenticationError, match="was revoked"):
            client(port, ended).models.list()

        assert machine.run("ledger", "verify").returncode == 0
        shown = machine.run("ledger", "log", "--kind", "model").stdout
        lines = machine.run("ledger", "log", "--kind", "model", "--json", "--limit", "100").stdout
        bodies = [json.loads(line)["body"] for line in lines.splitlines()]
        for owner, made in ((secret, calls), (slow, limited)):
            asked = f"api:k-{owner.split('-')[2]}"
            mine = [body for body in bodies if body["asked_by"]["client"] == asked]
            assert shown.count(asked) == made.total()
            assert Counter(body["operation"] for body in mine) == made
            assert {body["status"] for body in mine} == {"ok"} and {body["model"] for body in mine} == {MODEL}
        assert len(bodies) == (calls + limited).total()
        assert [body["client_session"] for body in bodies if "client_session" in body] == ["night"]
