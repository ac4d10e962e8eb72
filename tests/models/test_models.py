"""The models of a kernel."""

import sys
from pathlib import Path

import anyio
import pytest

from llmasos.config import Settings
from llmasos.errors import ModelError
from llmasos.models import Engine, FakeEngine, Models, ModelSpec, Progress

pytestmark = pytest.mark.anyio


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(data_dir=tmp_path, cache_dir=tmp_path, runtime_dir=tmp_path, **values)  # type: ignore[arg-type]


class FakeLoader:
    """Loads fake engines, slowly."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []

    async def __call__(self, spec: ModelSpec, settings: Settings, progress: Progress | None) -> Engine:
        await anyio.lowlevel.checkpoint()
        self.engines.append(FakeEngine(name=spec.name))
        return self.engines[-1]


async def test_a_model_is_loaded_once_for_many_who_ask(tmp_path: Path) -> None:
    loader = FakeLoader()
    models = Models(settings(tmp_path), loader=loader)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(models.resolve)
    assert len(loader.engines) == 1
    assert models.status()[0].state == "resident"
    assert models.names() == ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b")
    await models.close()
    assert loader.engines[0].closed


async def test_a_failed_load_is_tried_again(tmp_path: Path) -> None:
    class Failing(FakeLoader):
        async def __call__(self, spec: ModelSpec, settings: Settings, progress: Progress | None) -> Engine:
            if not self.engines:
                self.engines.append(FakeEngine())
                raise ModelError("no")
            return await super().__call__(spec, settings, progress)

    models = Models(settings(tmp_path), loader=Failing())
    with pytest.raises(ModelError):
        await models.resolve()
    assert (await models.resolve()).model_name == "qwen2.5-coder-1.5b"


async def test_unknown_names_and_missing_files_are_named(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, model=str(tmp_path / "gone.gguf")), loader=FakeLoader())
    with pytest.raises(ModelError, match=r"gone\.gguf does not exist"):
        await models.resolve()
    with pytest.raises(ModelError, match="no model named"):
        await models.resolve("gpt-9")


async def test_without_the_engine_the_hint_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelError) as caught:
        await Models(settings(tmp_path, model=str(file))).resolve()
    assert "llmasos[embedded]" in caught.value.hint


async def test_an_endpoint_replaces_the_catalog(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, model_url="http://127.0.0.1:9/v1", model="big"))
    assert models.profile() == "native"
    assert models.names() == ("big",)
    assert (await models.resolve()).model_name == "big"
