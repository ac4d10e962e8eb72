"""What a person asks of models, where these are on this machine and where they are not."""

from pathlib import Path

import pytest

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models import Administration, Engine, FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from tests.models.catalog.files import gguf

pytestmark = pytest.mark.anyio


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(data_dir=tmp_path, cache_dir=tmp_path, runtime_dir=tmp_path, **values)  # type: ignore[arg-type]


def ignore(*_: object) -> None:
    return


async def load(plan: LoadPlan) -> Engine:
    return FakeEngine(name=plan.name)


async def test_models_of_an_endpoint_are_shown_and_left_alone(tmp_path: Path) -> None:
    chosen = settings(tmp_path, model_url="http://127.0.0.1:9/v1", model="big")
    async with Models(chosen, loader=load) as models:
        desk = Administration(chosen, models)
        assert (await desk.show("")).source == "http://127.0.0.1:9/v1"
        assert [(one.name, one.state) for one in desk.list()] == [("big", "remote")]
        for work in (
            *(desk.unload("big"), desk.pin("big"), desk.unpin("big")),
            *(desk.pull("a/b", ignore), desk.load("big", ignore)),
        ):
            with pytest.raises(ModelError, match="not on this machine") as caught:
                await work
            assert "LLMASOS_MODEL_URL" in caught.value.hint


async def test_an_upstreams_name_stands_for_the_upstream_alone(tmp_path: Path) -> None:
    name = "qwen2.5-coder-0.5b"
    upstreams = {name: ("http://127.0.0.1:9/v1",), "big": ("http://127.0.0.1:9/v1",)}
    chosen = settings(tmp_path, models={"upstreams": upstreams})
    async with Models(chosen, loader=load) as models:
        desk = Administration(chosen, models)
        assert [one.state for one in desk.list() if one.name == name] == ["remote"]
        for one in upstreams:
            for work in (
                *(desk.unload(one), desk.pin(one), desk.unpin(one)),
                *(desk.pull(one, ignore), desk.load(one, ignore)),
            ):
                with pytest.raises(ModelError, match=f"{one} runs elsewhere"):
                    await work


async def test_a_model_larger_than_the_memory_is_said_not_to_fit(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(metadata={"qwen2.attention.head_count_kv": 60_000}))
    chosen = settings(tmp_path, models={"memory_mb": 1, "device": "cpu"})
    async with Models(chosen, loader=load) as models:
        shown = await Administration(chosen, models).show(str(file))
        assert shown.memory is not None and shown.memory.cache > 2**20 and shown.fits is False


async def test_nothing_is_asked_of_a_hub_where_fetching_is_turned_off(tmp_path: Path) -> None:
    chosen = settings(tmp_path, allow_download=False)
    async with Models(chosen, loader=load) as models:
        desk = Administration(chosen, models)
        shown = await desk.show("example/tiny@v1")
        assert (shown.state, shown.source, shown.files) == ("absent", "example/tiny at v1", ())
        with pytest.raises(ModelError, match="turned off"):
            await desk.pull("example/tiny@v1", ignore)
