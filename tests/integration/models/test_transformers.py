"""The transformers engine with real weights, and with thousands of requests that mean harm."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.tiny import make_tiny
from benchmarks.weights import smollm_safetensors
from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    Engine,
    LoadPlan,
    Turn,
)
from llmasos.models.engines.transformers import load_transformers

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

POISON = 10_000


def _plan(folder: Path, **options: Any) -> LoadPlan:
    return LoadPlan(
        name="real",
        path=folder,
        format="safetensors",
        cache_dir=folder,
        **{"context": 512, "slots": 4, "threads": 1, "dtype": "float32", **options},
    )


@pytest.fixture(scope="module")
def folder() -> Path:
    return smollm_safetensors()


@pytest.fixture
async def smollm(folder: Path) -> AsyncIterator[Engine]:
    engine = await load_transformers(_plan(folder))
    yield engine
    await engine.close()


async def _run(engine: Engine, **options: Any) -> tuple[str, list[Chunk]]:
    chunks = [chunk async for chunk in engine.stream(CompletionRequest(**options))]
    return "".join(chunk.text for chunk in chunks), chunks


async def test_real_replies_are_those_of_generate(smollm: Engine, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    questions = ("What is the capital of France?", "用中文说你好。", "Count to five.")
    replies: dict[str, str] = {}

    async def ask(question: str) -> None:
        turns = (Turn(role="user", content=question),)
        replies[question], chunks = await _run(smollm, turns=turns, max_tokens=12)
        assert chunks[-1].usage is not None

    async with anyio.create_task_group() as tasks:
        for question in questions:
            tasks.start_soon(ask, question)
    for question in questions:
        text = await smollm.render([{"role": "user", "content": question}])
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
        )
        expected = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        assert replies[question] == expected


async def test_real_replies_keep_to_schemas_and_grammars(smollm: Engine) -> None:
    turns = (Turn(role="user", content="Give me a person with name and age."),)
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "maximum": 120},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    text, chunks = await _run(smollm, turns=turns, json_schema=json.dumps(schema), max_tokens=120)
    assert chunks[-1].finish_reason == "stop"
    assert json.loads(text).keys() == {"name", "age"}
    text, _ = await _run(smollm, turns=turns, grammar='root ::= ("yes" | "no") "!"', logprobs=1)
    assert text in ("yes!", "no!")


async def test_real_embeddings_put_like_texts_together(smollm: Engine) -> None:
    found = await smollm.embed(
        ["The cat sat on the mat.", "A cat is sitting on a mat.", "Stocks fell by 3%."]
    )
    one, like, other = found.vectors
    near = sum(a * b for a, b in zip(one, like, strict=True))
    far = sum(a * b for a, b in zip(one, other, strict=True))
    assert near > far


def _poison(dice: random.Random) -> dict[str, Any]:
    endless: dict[str, Any] = {"prompt": "Once", "max_tokens": 10**9, "logit_bias": ((2, -1000.0),)}
    kinds: tuple[dict[str, Any], ...] = (
        {"prompt": "x" * dice.randrange(64, 20_000)},
        {"prompt": ""},
        {"prompt": "a\udc80\ud800" * dice.randrange(1, 50)},
        {"prompt": "Once", "json_schema": "{" * dice.randrange(1, 2000)},
        {"prompt": "Once", "json_schema": '{"type": "number", "minimum": 3, "maximum": 1}'},
        {"prompt": "Once", "json_schema": '{"allOf": [{"type": "string"}, {"type": "number"}]}'},
        {"prompt": "Once", "grammar": "root ::= root" + " root" * dice.randrange(9)},
        {"prompt": "Once", "grammar": 'root ::= "' + "é" * dice.randrange(99)},
        {"prompt": "Once", "grammar": 'root ::= ("a"*)* "b"', "max_tokens": 3},
        {"prompt": "Once", "kept": (dice.randrange(-5, 400),) * dice.randrange(1, 90), "max_tokens": 2},
        {"prompt": "Once", "adapter": "../../weights"},
        {"prompt": "Once", "logit_bias": ((dice.randrange(259), float("nan")),), "max_tokens": 2},
        {"prompt": "Once", "logit_bias": tuple((token, float("-inf")) for token in range(259))},
        {"prompt": "Once", "stop": ("", "\udcff", "x" * 10_000), "max_tokens": 2},
        {"prompt": "Once", "temperature": 5.0, "seed": -(10**30), "max_tokens": 2, "logprobs": 20},
        {
            "turns": (Turn(role="assistant", content="\x00<|im_end|>"),) * dice.randrange(1, 9),
            "max_tokens": 1,
        },
        endless | {"tenant": "\ud800", "session": "\ud800"},
        endless | {"prompt": "y" * 60},
    )
    return dice.choice(kinds)


async def test_ten_thousand_poisonous_requests_leave_the_engine_alive(tmp_path: Path) -> None:
    engine: Any = await load_transformers(_plan(make_tiny(tmp_path), context=64, slots=4))
    good, _ = await _run(engine, prompt="Good", max_tokens=20)
    dice = random.Random(7)
    outcomes = {"ended": 0, "refused": 0, "left": 0}

    async def attack(count: int) -> None:
        for _ in range(count):
            request = CompletionRequest(**_poison(dice))
            patience = dice.choice((0, 1, 2, 100))
            try:
                async with aclosing(engine.stream(request)) as stream:
                    with anyio.move_on_after(0 if dice.random() < 0.1 else None):
                        for _ in range(patience):
                            await anext(stream)
                        outcomes["left"] += 1
            except StopAsyncIteration:
                outcomes["ended"] += 1
            except ModelError:
                outcomes["refused"] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(attack, POISON // 20)
    assert min(outcomes.values()) > 100
    assert engine._batch.replies == {}
    assert (await _run(engine, prompt="Good", max_tokens=20))[0] == good
    await engine.close()


@pytest.mark.gpu
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="there is no GPU")
async def test_a_gpu_gives_the_same_tokens_and_gets_its_memory_back(tmp_path: Path) -> None:
    import torch

    tiny = make_tiny(tmp_path)
    texts = []
    for device in ("cpu", "cuda:0"):
        before = torch.cuda.memory_allocated()
        engine = await load_transformers(_plan(tiny, device=device))
        texts.append((await _run(engine, prompt="Once", max_tokens=30))[0])
        used = await engine.footprint()
        assert await engine.park() >= used.weights
        assert torch.cuda.memory_allocated() == before
        await engine.unpark()
        assert (await _run(engine, prompt="Once", max_tokens=30))[0] == texts[0]
        await engine.close()
        assert torch.cuda.memory_allocated() == before
    assert texts[0] == texts[1]
