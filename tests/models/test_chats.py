"""Chats with the models of a kernel, wherever they run."""

from pathlib import Path

import pytest

from llmasos.errors import ModelError
from llmasos.models import Client, Models
from llmasos.models.chat.port import ChatMessage, ChatRequest
from llmasos.models.engines.port import CompletionRequest, InvalidRequest
from tests.models.test_models import BIG, SMALL, FakeLoader, settings

pytestmark = pytest.mark.anyio

HELLO = ChatRequest(messages=(ChatMessage(role="user", content="Hello"),), max_tokens=8)
# Nobody listens on this port.
NOWHERE = "http://127.0.0.1:9/v1"


async def test_a_chat_loads_its_model_when_it_is_asked(tmp_path: Path) -> None:
    loader = FakeLoader()
    async with Models(settings(tmp_path), loader=loader) as models:
        chat = models.chat(BIG, Client(session="s", tenant="t"))
        assert (chat.name, chat.context) == (BIG, None)
        assert not loader.engines
        deltas = [delta async for delta in chat.stream(HELLO)]
        assert "".join(delta.text for delta in deltas) == "Answer: yes."
        assert deltas[-1].finish_reason == "stop"
        assert chat.context == 8192
        assert (loader.engines[0].requests[0].session, loader.engines[0].requests[0].tenant) == ("s", "t")
        chunks = [chunk async for chunk in chat.complete(CompletionRequest(prompt="Once"))]
        assert chunks[-1].finish_reason == "stop"
        assert len((await chat.embed(["a", "b"])).vectors) == 2
        assert (await models.chat_origin(BIG)).model == BIG


async def test_an_adapter_is_asked_as_a_model(tmp_path: Path) -> None:
    loader = FakeLoader()
    (law := tmp_path / "law").touch()
    own = {"adapters": {BIG: {"law": str(law)}, SMALL: {}}}
    async with Models(settings(tmp_path, models=own), loader=loader) as models:
        chat = models.chat(f"{BIG}:law", Client(session="s"))
        assert [delta async for delta in chat.stream(HELLO)][-1].finish_reason == "stop"
        assert [chunk async for chunk in chat.complete(CompletionRequest(prompt="Once"))]
        assert [delta async for delta in models.chat(BIG).stream(HELLO)]
        assert [request.adapter for request in loader.engines[0].requests] == ["law", "law", ""]
        assert len(loader.engines) == 1
        with pytest.raises(InvalidRequest, match="without adapters"):
            await chat.embed(["a"])
        plain, adapted = await models.chat_origin(BIG), await models.chat_origin(f"{BIG}:law")
        assert adapted == plain.model_copy(update={"model": f"{BIG}:law"})
        for name in (f"{BIG}:other", f"{SMALL}:law", f"{BIG}:", ":law"):
            with pytest.raises(ModelError, match="no model"):
                models.chat(name)


async def test_a_chat_with_an_unknown_model_is_refused_at_once(tmp_path: Path) -> None:
    async with Models(settings(tmp_path), loader=FakeLoader()) as models:
        with pytest.raises(ModelError, match="no model named"):
            models.chat("gpt-9")


async def test_the_endpoint_is_asked_for_every_name(tmp_path: Path) -> None:
    async with Models(settings(tmp_path, model_url=NOWHERE, model="big")) as models:
        assert models.names() == ("big",)
        chat = models.chat("other")
        with pytest.raises(ModelError, match="cannot be reached"):
            [delta async for delta in chat.stream(HELLO)]
        assert (await models.chat_origin("other")).fields() == {"model": "other", "endpoint": "127.0.0.1:9"}


async def test_upstreams_stand_beside_the_models_of_this_machine(tmp_path: Path) -> None:
    own = {"upstreams": {"big": [NOWHERE, "http://localhost:9/v1"]}, "prices": {"big": [1, 2]}}
    async with Models(settings(tmp_path, models=own), loader=FakeLoader()) as models:
        assert set(models.names()) == {BIG, SMALL, "big"}
        assert models.names()[0] == BIG
        assert models.profile("big") == "native"
        assert (await models.resolve("big")).model_name == "big"
        assert (await models.resolve()).model_name == BIG
        with pytest.raises(ModelError, match="big"):
            [delta async for delta in models.chat("big").stream(HELLO)]
        for ask in (models.load, models.unload, models.pin, models.unpin):
            with pytest.raises(ModelError, match="runs elsewhere"):
                await ask("big")
        assert (await models.chat_origin("big")).endpoint == "127.0.0.1:9, localhost:9"


async def test_an_upstream_may_be_the_default(tmp_path: Path) -> None:
    own = {"upstreams": {"big": [NOWHERE]}}
    async with Models(settings(tmp_path, model="big", models=own), loader=FakeLoader()) as models:
        assert models.names()[0] == "big"
        assert models.status()[0].default and models.status()[0].state == "remote"
        assert models.profile() == "native"
        assert (await models.origin(await models.resolve())).endpoint == "127.0.0.1:9"


async def test_an_error_in_the_body_comes_out_as_it_is(tmp_path: Path) -> None:
    own = {"upstreams": {"big": [NOWHERE]}}
    with pytest.raises(KeyError):
        async with Models(settings(tmp_path, models=own), loader=FakeLoader()):
            raise KeyError
