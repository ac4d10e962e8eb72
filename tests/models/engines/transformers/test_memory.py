"""Memory that runs out while a model is loaded, parked or brought back, and a device that dies."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llmasos.models.engines.port import CompletionRequest, EngineDied, LoadPlan, OutOfMemory
from llmasos.models.engines.transformers import load_transformers
from llmasos.models.engines.transformers.memory import ParkedWeights, is_out_of_memory

pytestmark = pytest.mark.anyio


def _plan(folder: Path) -> LoadPlan:
    return LoadPlan(
        name="tiny",
        path=folder,
        format="safetensors",
        cache_dir=folder,
        context=128,
        threads=1,
        dtype="float32",
    )


@pytest.fixture
async def engine(tiny: Path) -> AsyncIterator[Any]:
    engine = await load_transformers(_plan(tiny))
    yield engine
    await engine.close()


async def _text(engine: Any) -> str:
    request = CompletionRequest(prompt="Once", max_tokens=4)
    return "".join([chunk.text async for chunk in engine.stream(request)])


def _full(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )


@pytest.mark.parametrize(
    "place",
    [
        "transformers.AutoModelForCausalLM.from_pretrained",
        "torch.nn.Module.to",
        "llmasos.models.engines.transformers.batching.TenantCache",
        "llmasos.models.engines.transformers.batching.ContinuousBatchProcessor",
    ],
)
async def test_no_room_for_a_model_or_its_cache(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    import llmasos.models.engines.transformers.batching  # noqa: F401

    with monkeypatch.context() as patch:
        patch.setattr(place, _full)
        with pytest.raises(OutOfMemory) as refused:
            await load_transformers(_plan(tiny))
    assert "can't allocate memory" in str(refused.value)
    assert refused.value.hint
    engine = await load_transformers(_plan(tiny))
    assert await _text(engine)
    await engine.close()


@pytest.mark.parametrize("place", ["weights", "cache"])
async def test_no_room_to_come_back_leaves_a_model_parked(
    engine: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    text = await _text(engine)
    host = await engine.park()
    with monkeypatch.context() as patch:
        if place == "weights":
            patch.setattr("torch.Tensor.to", _full)
        else:
            patch.setattr("llmasos.models.engines.transformers.batching.TenantCache", _full)
        with pytest.raises(OutOfMemory):
            await engine.unpark()
    assert (await engine.footprint()).total == 0
    assert await engine.park() == host
    await engine.unpark()
    assert await _text(engine) == text


async def test_no_room_to_embed_leaves_the_engine_alive(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engine._model.base_model, "forward", _full)
        with pytest.raises(OutOfMemory):
            await engine.embed(["text"])
    assert await _text(engine)
    assert await engine.embed(["text"])


async def test_no_room_on_the_host_leaves_a_model_on_its_device(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("llmasos.models.engines.transformers.memory._to_host", _full)
        with pytest.raises(OutOfMemory):
            await engine.park()
    assert await _text(engine)


async def test_weights_come_back_as_they_were(engine: Any) -> None:
    import torch

    model = engine._model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rotary = model.model.rotary_emb.inv_freq.clone()
    parked = ParkedWeights(model)
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"meta"}
    parked.restore()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(model.model.rotary_emb.inv_freq, rotary)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


async def test_a_device_that_dies_ends_every_stream_and_is_said_to_be_dead(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead() -> bool:
        raise EngineDied("The GPU failed: illegal address.", hint="Load it again.")

    monkeypatch.setattr(engine._batch, "step", dead)
    with pytest.raises(EngineDied, match="illegal address"):
        await _text(engine)
    with pytest.raises(EngineDied, match="illegal address"):
        await _text(engine)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_no_memory_are_known(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) is full
