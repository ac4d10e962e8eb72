"""Estimates of what models take, and what fits."""

from pathlib import Path

import pytest

from llmasos.models import Catalog
from llmasos.models.catalog.estimate import estimate, guess, largest_that_fits
from llmasos.models.engines.port import LoadPlan
from tests.models.catalog.files import gguf, write_folder


@pytest.fixture
def plan(tmp_path: Path) -> LoadPlan:
    file = tmp_path / "m.gguf"
    file.write_bytes(
        gguf(tensors=(("token_embd.weight", (256, 2), 12), ("output.weight", (256, 2), 12)), data=4096)
    )
    return LoadPlan(name="m", path=file, cache_dir=tmp_path, context=8192, slots=4)


def test_weights_cache_and_copies_are_counted(plan: LoadPlan, tmp_path: Path) -> None:
    found = estimate(plan)
    assert found.cache == 2 * 2 * (2 + 2) * 8192 * (4 + 1) * 2 + 16 * 8192, "one more conversation waits"
    assert found.weights == 2 * 288 + 288, "on a CPU the output, and not the embedding, is kept twice"
    assert estimate(plan.model_copy(update={"device": "cuda:0"})).weights == 2 * 288
    adapter = tmp_path / "a.gguf"
    adapter.write_bytes(bytes(1000))
    adapted = plan.model_copy(update={"adapters": (("a", adapter),)})
    assert estimate(adapted).weights == found.weights + 1000


def test_safetensors_take_what_their_type_takes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    plan = LoadPlan(name="m", path=folder, format="safetensors", cache_dir=tmp_path, context=64)
    assert (estimate(plan).weights, estimate(plan).cache) == (8 * 2, 2 * 2 * 2 * 2 * 64 * 2 * 2)
    whole = plan.model_copy(update={"dtype": "float32"})
    assert (estimate(whole).weights, estimate(whole).cache) == (8 * 4, 2 * 2 * 2 * 2 * 64 * 2 * 4)
    quantised = write_folder(tmp_path / "q", quantization_config={"bits": 4})
    assert estimate(plan.model_copy(update={"path": quantised})).weights == 32


def test_slots_give_way_before_context_and_nothing_fits_nowhere(plan: LoadPlan) -> None:
    whole = estimate(plan).total
    assert largest_that_fits(plan, whole) == plan
    fewer = largest_that_fits(plan, whole - 1)
    assert fewer is not None and (fewer.slots, fewer.context) == (2, 8192)
    one = estimate(plan.model_copy(update={"slots": 1})).total
    shorter = largest_that_fits(plan, one - 1)
    assert shorter is not None and (shorter.slots, shorter.context) == (1, 4096)
    assert largest_that_fits(plan, 1000) is None


def test_the_default_is_the_best_that_fits() -> None:
    catalog = Catalog.builtin()
    large, small = catalog.list()
    assert catalog.default(64 * 2**30) == large
    assert catalog.default(guess(large.size)) == large
    assert catalog.default(guess(large.size) - 1) == small
    assert catalog.default(0) == small
