"""Adapters of a language model: what travels, averages, and what is kept for others to load."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import Work, lora
from llmasos.federated.recipes.gguf_adapter import write_gguf
from llmasos.federated.recipes.lora import LoRA
from llmasos.federated.weights import Weights
from tests.federated.recipes.samples import Sample, gpt2, sample


def product(one: Sample, weights: Weights, folder: Path) -> list[Any]:
    """Return BA of each layer."""
    from safetensors.numpy import load_file

    LoRA().save(weights, one.options, folder)
    kept = load_file(folder / "adapter_model.safetensors")
    names = sorted(name for name in kept if ".lora_B." in name)
    return [kept[name] @ kept[name.replace(".lora_B.", ".lora_A.")] for name in names]


def opened(one: Sample) -> Any:
    return lora._opened(lora.LoRAOptions.model_validate(one.options))


def test_only_the_small_matrices_travel() -> None:
    one, frozen = sample("lora"), sample("lora:frozen")
    weights = one.recipe.initial(one.schema, one.options, 0)
    assert {name.rsplit(".", 2)[1] for name in weights} == {"lora_A", "lora_B"}
    assert all(2 in array.shape and array.dtype == np.float32 for array in weights.values())
    halves = frozen.recipe.initial(frozen.schema, frozen.options, 0)
    assert halves.keys() == {name for name in weights if ".lora_B." in name}


def test_a_model_begins_as_it_is() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    one = sample("lora")
    begun = one.recipe.initial(one.schema, one.options, 0)
    model: Any = AutoModelForCausalLM.from_pretrained(gpt2(), dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(gpt2())
    losses = []
    for text in one.examples.inputs:
        ids = torch.tensor([[*words(str(text)).input_ids, words.eos_token_id]])
        losses.append(model.eval()(ids, labels=ids).loss.item())
    told = one.recipe.evaluate(begun, one.examples, one.schema, one.options)
    assert told.loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_averages_are_exact_only_with_a_frozen_a(tmp_path: Path) -> None:
    apart = {}
    for name in ("lora", "lora:frozen"):
        one = sample(name)
        weights = one.recipe.initial(one.schema, one.options, 0)
        clients = [
            one.recipe.train(
                weights, one.examples, Work(epochs=3, batch=2, seed=seed), one.schema, one.options
            )
            for seed in (1, 2)
        ]
        (left, _), (right, _) = clients
        mean = {key: (left[key] + right[key]) / 2 for key in left}
        place = tmp_path / name
        both = zip(product(one, left, place / "l"), product(one, right, place / "r"), strict=True)
        real = [(one_side + other) / 2 for one_side, other in both]
        got = product(one, mean, place / "m")
        size = max(np.abs(each).max() for each in real)
        apart[name] = max(np.abs(a - b).max() for a, b in zip(real, got, strict=True)) / size
    assert apart["lora:frozen"] < 1e-6 < 1e-3 < apart["lora"]


# peft asks transformers for something under its old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", ["lora", "lora:frozen"])
def test_peft_loads_what_is_saved(tmp_path: Path, name: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    one = sample(name)
    trained, _ = one.recipe.train(one.initial(), one.examples, Work(), one.schema, one.options)
    LoRA().save(trained, one.options, tmp_path / "adapter")
    assert {file.name for file in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    base = AutoModelForCausalLM.from_pretrained(gpt2(), dtype=torch.float32)
    loaded = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    ids = torch.tensor([[5, 9, 3, 0]])
    told = loaded(ids, labels=ids).loss.item()
    model = opened(one)
    model.put(trained)
    assert model.losses([[5, 9, 3, 0]])[0].item() == pytest.approx(told, rel=1e-5)


def test_a_gguf_file_holds_the_matrices_by_its_own_names(tmp_path: Path) -> None:
    from gguf import GGUFReader
    from transformers import LlamaConfig

    config = LlamaConfig(num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    layer = "base_model.model.model.layers.0.self_attn"
    rows = np.arange(16, dtype=np.float32).reshape(8, 2)
    adapter = {
        f"{layer}.q_proj.lora_A.weight": np.ones((2, 3), np.float32),
        f"{layer}.q_proj.lora_B.weight": rows,
        f"{layer}.v_proj.lora_B.weight": rows,
    }
    write_gguf(tmp_path / "a.gguf", adapter, 16, config)
    tensors = {one.name: one.data for one in GGUFReader(tmp_path / "a.gguf").tensors}
    assert tensors.keys() == {
        "blk.0.attn_q.weight.lora_a",
        "blk.0.attn_q.weight.lora_b",
        "blk.0.attn_v.weight.lora_b",
    }
    # In each head of four rows, the second half goes between the first.
    woven = rows[[0, 2, 1, 3, 4, 6, 5, 7]]
    np.testing.assert_array_equal(tensors["blk.0.attn_q.weight.lora_b"], woven)
    np.testing.assert_array_equal(tensors["blk.0.attn_v.weight.lora_b"], rows)
    assert [file.name for file in tmp_path.iterdir()] == ["a.gguf"]


def test_a_model_that_gguf_is_not_known_for_is_named(tmp_path: Path) -> None:
    one = sample("lora")
    with pytest.raises(FederatedError, match="gpt2 model cannot be made a GGUF file") as raised:
        LoRA().save_gguf(one.initial(), one.options, tmp_path / "a.gguf")
    assert "peft" in raised.value.hint
    assert not list(tmp_path.iterdir())


def test_many_rows_at_once_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample("lora")
    weights, work = one.initial(), Work(batch=10)
    whole, loss = one.recipe.train(weights, one.examples, work, one.schema, one.options)
    assert opened(one).at_once > 10
    monkeypatch.setattr(opened(one), "at_once", 3)
    parts, told = one.recipe.train(weights, one.examples, work, one.schema, one.options)
    assert told == pytest.approx(loss, rel=1e-5)
    for key in whole:
        np.testing.assert_allclose(parts[key], whole[key], rtol=1e-4, atol=1e-6)


def test_a_text_without_words_costs_nothing() -> None:
    one = sample("lora")
    model = opened(one)
    losses, hits = model.losses([[0], [5, 9, 0]])
    assert float(losses[0].detach()) == float(hits[0]) == 0 < float(losses[1].detach())


def test_folders_without_a_usable_model_are_named(tmp_path: Path) -> None:
    one = sample("lora")

    def begin(**options: Any) -> None:
        one.recipe.initial(one.schema, {**one.options, **options}, 0)

    with pytest.raises(FederatedError, match="no model at"):
        begin(model=str(tmp_path / "nowhere"))
    copytree(gpt2(), tmp_path / "cut")
    file = tmp_path / "cut" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(FederatedError, match="cannot be loaded"):
        begin(model=str(tmp_path / "cut"))
    copytree(gpt2(), tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(FederatedError, match="no model at"):
        begin(model=str(tmp_path / "pickled"))
    with pytest.raises(FederatedError, match="no such layers") as raised:
        begin(targets=["nothing_like_this"])
    assert "targets" in raised.value.hint
