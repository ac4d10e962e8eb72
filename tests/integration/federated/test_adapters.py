"""An adapter for a folder of safetensors changes a GGUF file of the same model alike."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from benchmarks.weights import smollm_gguf, smollm_safetensors
from llmasos.federated.recipes.lora import LoRA, LoRAOptions, _opened
from llmasos.federated.schema import Schema
from llmasos.federated.weights import Weights
from llmasos.models import CompletionRequest, LlamaEngine
from llmasos.models.engines.port import LoadPlan

pytestmark = pytest.mark.integration

PROMPT = "The word of the day is"


@pytest.mark.parametrize(
    ("targets", "size"),
    [(("q_proj", "k_proj"), 0.1), (("v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), 0.04)],
    ids=["woven", "plain"],
)
def test_both_engines_find_the_same_words_likely(
    tmp_path: Path, targets: tuple[str, ...], size: float
) -> None:
    lora, options = LoRA(), {"model": str(smollm_safetensors()), "targets": targets, "rank": 4}
    begun = lora.initial(Schema(kind="texts", classes=("",)), options, 0)
    draw = np.random.default_rng(0)
    drawn = {
        name: (array + size * draw.normal(size=array.shape)).astype(np.float32)
        for name, array in begun.items()
    }
    lora.save_gguf(drawn, options, tmp_path / "drawn.gguf")
    plain, adapted = anyio.run(likely, smollm_gguf(), tmp_path / "drawn.gguf")
    apart = distance(plain, by_torch(begun, options, plain))
    with_both = distance(adapted, by_torch(drawn, options, adapted))
    with_one = distance(adapted, by_torch(begun, options, adapted))
    print(f"without {apart:.3f}, with it {with_both:.3f}, with it in one of the engines {with_one:.3f}")
    # The GGUF file is quantised, so that they differ a little without an adapter, too.
    assert with_both < 0.2 < 0.5 < with_one


def test_a_message_is_less_than_a_hundredth_of_the_model() -> None:
    folder = smollm_safetensors()
    begun = LoRA().initial(Schema(kind="texts", classes=("",)), {"model": str(folder)}, 0)
    size = sum(array.nbytes for array in begun.values())
    assert size <= 0.01 * (folder / "model.safetensors").stat().st_size


def distance(told: dict[str, float], real: dict[str, float]) -> float:
    assert len(real) >= 10
    return float(np.mean([abs(told[word] - real[word]) for word in real]))


def by_torch(weights: Weights, options: dict[str, Any], of: dict[str, float]) -> dict[str, float]:
    """Return the log-probabilities of some words that may come next."""
    import torch
    from transformers import AutoTokenizer

    model = _opened(LoRAOptions.model_validate(options))
    model.put(weights)
    words: Any = AutoTokenizer.from_pretrained(options["model"])
    with torch.no_grad():
        scores = model._model(input_ids=torch.tensor([words(PROMPT).input_ids])).logits[0, -1].log_softmax(0)
    tokens = {word: words(word).input_ids for word in of}
    return {word: float(scores[ids[0]]) for word, ids in tokens.items() if len(ids) == 1}


async def likely(model: Path, adapter: Path) -> list[dict[str, float]]:
    """Return the log-probabilities of the likeliest next words without an adapter, and with it."""
    plan = LoadPlan(
        name="small",
        path=model,
        fingerprint="f",
        cache_dir=adapter.parent,
        context=256,
        threads=1,
        adapters=(("drawn", adapter),),
    )
    engine = await LlamaEngine.load(plan)
    told = []
    for name in ("", "drawn"):
        request = CompletionRequest(prompt=PROMPT, max_tokens=1, logprobs=20, adapter=name)
        async with aclosing(engine.stream(request)) as chunks:
            choices = [choice async for chunk in chunks for choice in chunk.logprobs]
        told.append({other.text: other.logprob for other in choices[0].others})
    await engine.close()
    return told
