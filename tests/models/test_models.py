"""The models of a kernel."""

import os
import sys
from pathlib import Path

import anyio
import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from llmasos.config import ModelSettings, Settings
from llmasos.errors import ConfigError, ModelError
from llmasos.models import Client, Engine, FakeEngine, Models, ModelSpec, Progress, Refused
from llmasos.models.catalog.spec import Catalog
from llmasos.models.devices.sim import SimDevice
from llmasos.models.engines.port import LoadPlan, TokenUsage
from llmasos.models.library import Library

pytestmark = pytest.mark.anyio

BIG, SMALL = "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"
GIB = 1024**3
TOOL = ToolDefinition(name="look", description="Looks.", parameters_json_schema={"type": "object"})


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings.model_validate(
        {"data_dir": tmp_path, "cache_dir": tmp_path, "runtime_dir": tmp_path, **values}
    )


class FakeLoader:
    """Loads fake engines, slowly."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.plans: list[LoadPlan] = []

    async def __call__(self, plan: LoadPlan) -> Engine:
        await anyio.lowlevel.checkpoint()
        self.plans.append(plan)
        self.engines.append(FakeEngine(["Answer: yes."] * 3, name=plan.name))
        return self.engines[-1]


async def test_a_model_is_loaded_once_for_many_who_ask(tmp_path: Path) -> None:
    loader = FakeLoader()
    async with Models(settings(tmp_path), loader=loader) as models:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(models.resolve)
        assert len(loader.engines) == 1
        assert models.status()[0].state == "resident"
        assert models.names() == (BIG, SMALL)
    assert loader.engines[0].closed


async def test_a_resolved_model_answers_as_its_client(tmp_path: Path) -> None:
    loader = FakeLoader()
    async with Models(settings(tmp_path), loader=loader) as models:
        model = await models.resolve(client=Client(session="s-1", tenant="t-1"))
        asked = [ModelRequest(parts=[UserPromptPart("Is it?")])]
        reply = await model.request([*asked], None, ModelRequestParameters(function_tools=[TOOL]))
        assert [type(part).__name__ for part in reply.parts] == ["TextPart"]
        request = loader.engines[0].requests[0]
        # The tools of the agent are nobody's secret.
        assert (request.session, request.tenant, request.public) == ("s-1", "t-1", True)
        assert models.top().models[0].name == BIG
        assert models.top().models[0].loads == 1


async def test_tools_are_read_once_for_each_load(tmp_path: Path) -> None:
    loader = FakeLoader()
    said: list[str] = []

    def progress(what: str, *_: object) -> None:
        said.append(what)

    async with Models(settings(tmp_path), loader=loader) as models:
        await models.resolve(None, progress, [TOOL])
        await models.resolve(None, progress, [TOOL])
        assert len(loader.engines[0].prepared) == 1
        await models.unload(BIG)
        assert models.status()[0].state == "absent"
        await models.resolve(None, progress, [TOOL])
        assert len(loader.engines[1].prepared) == 1
    assert said.count("Loading Qwen2.5-Coder 1.5B Instruct (Q4_K_M)") == 2
    assert said[1] == "Reading the tools"


async def test_a_failed_load_is_tried_again(tmp_path: Path) -> None:
    class Failing(FakeLoader):
        async def __call__(self, plan: LoadPlan) -> Engine:
            if not self.engines:
                self.engines.append(FakeEngine())
                raise ModelError("The file is torn.", hint="Mend it.")
            return await super().__call__(plan)

    async with Models(settings(tmp_path), loader=Failing()) as models:
        with pytest.raises(ModelError, match="The file is torn") as caught:
            await models.resolve()
        assert caught.value.hint == "Mend it."
        assert (await models.resolve()).model_name == BIG


async def test_unknown_names_and_missing_files_are_named(tmp_path: Path) -> None:
    gone = settings(tmp_path, model=str(tmp_path / "gone.gguf"))
    async with Models(gone, loader=FakeLoader()) as models:
        with pytest.raises(ModelError, match=r"gone\.gguf does not exist"):
            await models.resolve()
        for ask in (models.resolve, models.load, models.unload, models.pin, models.unpin):
            with pytest.raises(ModelError, match="no model named"):
                await ask("gpt-9")


async def test_without_the_engine_the_hint_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    (tmp_path / "xllamacpp.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    async with Models(settings(tmp_path, model=str(file))) as models:
        with pytest.raises(ModelError) as caught:
            await models.resolve()
    assert "llmasos[embedded]" in caught.value.hint


async def test_an_endpoint_replaces_the_catalog(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, model_url="http://127.0.0.1:9/v1", model="big"))
    assert models.profile() == "native"
    assert models.names() == ("big",)
    assert (await models.resolve()).model_name == "big"
    with pytest.raises(ModelError, match="runs elsewhere"):
        await models.load("big")


async def test_files_are_fetched_once_for_many_who_ask(tmp_path: Path) -> None:
    fetched: list[str] = []

    async def fetch(spec: ModelSpec, _: Settings, progress: Progress | None) -> Path:
        fetched.append(spec.name)
        assert progress is not None
        progress("Fetching", 1, 2, "bytes")
        await anyio.lowlevel.checkpoint()
        return tmp_path / "weights"

    loader, said = FakeLoader(), []

    def progress(what: str, *_: object) -> None:
        said.append(what)

    async with (
        Models(settings(tmp_path), loader=loader, fetcher=fetch) as models,
        anyio.create_task_group() as group,
    ):
        for _ in range(5):
            group.start_soon(models.resolve, None, progress)
    assert fetched == [BIG]
    assert loader.plans[0].path == tmp_path / "weights"
    assert said[0] == "Fetching"


async def test_two_models_take_turns_in_memory_for_one(tmp_path: Path) -> None:
    loader = FakeLoader()
    device = SimDevice(2 * GIB, name="cpu")
    async with Models(settings(tmp_path), loader=loader, devices=[device]) as models:
        await models.load(BIG)
        await models.load(SMALL)
        assert {status.name: status.state for status in models.status()} == {BIG: "absent", SMALL: "resident"}
        await models.pin(SMALL)
        with pytest.raises(Refused, match=SMALL) as caught:
            await models.load(BIG)
        assert caught.value.status == 503
        await models.unpin(SMALL)
        await models.load(BIG)
        top = models.top()
    assert [plan.name for plan in loader.plans] == [BIG, SMALL, BIG]
    assert {model.name: model.evictions for model in top.models} == {BIG: 1, SMALL: 1}
    assert top.devices[0].used <= top.devices[0].budget


async def test_what_is_larger_than_the_device_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    device = SimDevice(GIB * 5 // 4, name="cpu")
    async with Models(settings(tmp_path), loader=FakeLoader(), devices=[device]) as models:
        assert models.names()[0] == SMALL
        await models.load(SMALL)
        with pytest.raises(Refused, match=f"{BIG} takes") as caught:
            await models.load(BIG)
    assert caught.value.status == 400 and f"one that fits ({SMALL})" in caught.value.hint


async def test_an_adapter_that_is_not_there_is_named(tmp_path: Path) -> None:
    chosen = settings(tmp_path, models={"adapters": {SMALL: {"sql": tmp_path / "sql.gguf"}}})
    async with Models(chosen, loader=FakeLoader()) as models:
        with pytest.raises(ModelError, match=f"no adapter sql of {SMALL}") as caught:
            await models.load(SMALL)
    assert "LLMASOS_MODELS__ADAPTERS" in caught.value.hint


async def test_a_model_that_nobody_asked_for_yet_is_named_as_one_that_fits(tmp_path: Path) -> None:
    device = SimDevice(GIB * 5 // 4, name="cpu")
    async with Models(settings(tmp_path), loader=FakeLoader(), devices=[device]) as models:
        with pytest.raises(Refused) as caught:
            await models.load(BIG)
        assert "LLMASOS_MODELS__MEMORY_MB" in caught.value.hint and "fits" not in caught.value.hint
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf").write_bytes(b"")
        with pytest.raises(Refused) as caught:
            await models.load(BIG)
        assert f"one that fits ({SMALL})" in caught.value.hint


async def test_the_settings_say_how_models_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "poet.gguf").touch()
    loader = FakeLoader()
    own = ModelSettings(slots=3, keep_alive=60, adapters={BIG: {"poet": tmp_path / "poet.gguf"}})
    async with Models(settings(tmp_path, models=own, model_context=4096), loader=loader) as models:
        await models.load(BIG)
        engine = await models.engine(BIG)
        assert (engine.name, engine.slots) == (BIG, 3)
    plan = loader.plans[0]
    assert (plan.slots, plan.context, plan.format, plan.device) == (3, 4096, "gguf", "cpu")
    assert plan.adapters == (("poet", tmp_path / "poet.gguf"),)


async def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quantum"):
        async with Models(settings(tmp_path, models={"device": "quantum"})):
            pass


def test_a_model_that_was_chosen_is_the_default_whatever_the_memory(tmp_path: Path) -> None:
    small = [SimDevice(GIB, name="cpu")]

    def default(**values: object) -> str:
        return Library(settings(tmp_path, **values), Catalog.builtin(tmp_path), devices=small).default

    assert default() == default(model="auto") == SMALL
    assert default(model=BIG) == BIG


async def test_top_tells_how_the_places_do_where_models_run_elsewhere(tmp_path: Path) -> None:
    urls = ["http://user:secret@127.0.0.1:9/v1", "http://127.0.0.1:10/v1"]
    far_at = {"upstreams": {"far": urls}, "prices": {"far": (1.0, 2.0)}}
    async with Models(settings(tmp_path, models=far_at)) as models:
        models._remotes.spend.add("far", "http://127.0.0.1:9/v1", TokenUsage(input=1000, output=500))
        (far,) = models.top().remotes
        assert (far.name, [place.url for place in far.endpoints]) == (
            "far",
            ["http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"],
        )
        assert [(place.requests, place.tokens, place.cost) for place in far.endpoints] == [
            (1, 1500, pytest.approx(0.002)),
            (0, 0, None),
        ]
        while any(place.state != "ejected" for place in models.top().remotes[0].endpoints):
            await anyio.sleep(0.001)
        assert all(place.reason for place in models.top().remotes[0].endpoints)
    async with Models(settings(tmp_path, model_url="http://127.0.0.1:9/v1", model="big")) as models:
        (big,) = models.top().remotes
        assert (big.name, [place.state for place in big.endpoints]) == ("big", ["unchecked"])


def test_secrets_in_urls_are_not_shown(tmp_path: Path) -> None:
    url = "http://user:hidden@example.org/v1?token=hidden"
    for values in ({"model_url": url}, {"models": {"upstreams": {"far": [url]}}}):
        models = Models(settings(tmp_path, **values))
        remote = next(one for one in models.status() if one.state == "remote")
        assert remote.title == "http://example.org/v1"
