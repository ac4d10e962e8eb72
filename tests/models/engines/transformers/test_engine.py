"""The transformers engine with a tiny model: what requests get, and what ends them."""

import json
import math
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.tiny import make_tiny
from llmasos.errors import ModelError
from llmasos.models.engines.port import (
    Chunk,
    CompletionRequest,
    ContextExceeded,
    Engine,
    InvalidRequest,
    LoadPlan,
    Turn,
)
from llmasos.models.engines.transformers import load_transformers

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _loaded(folder: Path, **options: Any) -> AsyncIterator[Any]:
    plan = LoadPlan(
        name="tiny",
        path=folder,
        format="safetensors",
        cache_dir=folder,
        **{"context": 256, "slots": 4, "threads": 1, "dtype": "float32", **options},
    )
    engine = await load_transformers(plan)
    try:
        yield engine
    finally:
        await engine.close()


async def _run(engine: Engine, **options: Any) -> tuple[str, list[Chunk]]:
    chunks = [chunk async for chunk in engine.stream(CompletionRequest(**{"prompt": "Once", **options}))]
    return "".join(chunk.text for chunk in chunks), chunks


def _tokens(chunks: list[Chunk]) -> list[int]:
    return [token for chunk in chunks for token in chunk.tokens]


def _usage(chunks: list[Chunk]) -> tuple[int, int]:
    usage = chunks[-1].usage
    assert usage is not None
    return usage.input, usage.output


def _reference(folder: Path, prompt: str, count: int) -> list[int]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False)])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        pad_token_id=0,
    )
    tokens: list[int] = out[0, ids.shape[1] :].tolist()
    return tokens[: tokens.index(2)] if 2 in tokens else tokens


async def test_greedy_tokens_are_those_of_generate_alone_together_preempted_and_after_eviction(
    tiny: Path,
) -> None:
    prompts = [f"Prompt {number} " * (number + 1) for number in range(7)]
    expected = [_reference(tiny, prompt, 24) for prompt in prompts]
    async with _loaded(tiny, slots=3) as engine:
        replies: list[list[int]] = [[] for _ in prompts]

        async def one(number: int, kept: tuple[int, ...] = ()) -> None:
            _, chunks = await _run(
                engine, prompt=prompts[number], max_tokens=24, session=str(number % 3), kept=kept
            )
            replies[number] = [*kept, *_tokens(chunks)]

        await one(0)
        async with anyio.create_task_group() as tasks:
            for number in range(len(prompts)):
                tasks.start_soon(one, number)
        assert replies == expected

        request = CompletionRequest(prompt=prompts[1], max_tokens=24)
        kept: list[int] = []
        async with aclosing(engine.stream(request)) as stream:
            async for chunk in stream:
                kept += chunk.tokens
                if len(kept) >= 5:
                    break
        await engine.park()
        await engine.unpark()
        await one(1, tuple(kept))
        assert replies[1] == expected[1]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Mistral", {"sliding_window": 16}),
        (
            "Gemma3",
            {
                "head_dim": 16,
                "sliding_window": 16,
                "layer_types": ["sliding_attention", "full_attention"],
                "pad_token_id": 0,
            },
        ),
    ],
)
async def test_models_that_look_back_only_so_far_are_batched_too(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    folder = make_tiny(tmp_path, kind, **changes)
    prompts = [f"Prompt {number} " * (number + 1) for number in range(5)]
    expected = [_reference(folder, prompt, 24) for prompt in prompts]
    replies: list[list[int]] = [[] for _ in prompts]
    async with _loaded(folder, slots=2) as engine:

        async def one(number: int) -> None:
            _, chunks = await _run(engine, prompt=prompts[number], max_tokens=24, session=str(number))
            replies[number] = _tokens(chunks)

        async with anyio.create_task_group() as tasks:
            for number in range(len(prompts)):
                tasks.start_soon(one, number)
    assert replies == expected


async def test_a_model_whose_layers_are_no_attention_is_refused(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path, "Lfm2", layer_types=["conv", "full_attention"])
    with pytest.raises(ModelError, match="cannot be batched"):
        async with _loaded(folder):
            pass


async def test_a_reply_ends_with_its_reason_and_usage(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        _, chunks = await _run(engine, max_tokens=5)
        assert [chunk.finish_reason for chunk in chunks][:-1] == [None] * (len(chunks) - 1)
        assert chunks[-1].finish_reason == "length"
        usage = chunks[-1].usage
        assert usage is not None
        assert (usage.input, usage.output) == (4, 5)
        # A request for more than the context holds ends where the context does.
        _, chunks = await _run(engine, prompt="x" * 250, max_tokens=10**9, logit_bias=((2, -1000.0),))
        assert (chunks[-1].finish_reason, len(_tokens(chunks))) == ("length", 6)
        _, chunks = await _run(engine, logit_bias=((2, 1000.0),))
        assert (chunks[-1].finish_reason, _tokens(chunks)) == ("stop", [])


async def test_kept_tokens_go_on_as_if_nothing_had_happened(tiny: Path) -> None:
    options: dict[str, Any] = {
        "temperature": 1.2,
        "top_p": 0.9,
        "top_k": 50,
        "min_p": 0.01,
        "seed": 4,
        "repeat_penalty": 1.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.2,
        "max_tokens": 30,
    }
    async with _loaded(tiny) as engine:
        whole, chunks = await _run(engine, **options)
        assert (whole, _tokens(chunks)) == ((await _run(engine, **options))[0], _tokens(chunks))
        for cut in range(1, len(chunks), 7):
            kept = tuple(_tokens(chunks[:cut]))
            text, rest = await _run(engine, **options, kept=kept)
            assert "".join(chunk.text for chunk in chunks[:cut]) + text == whole
            assert _usage(rest) == _usage(chunks)
        assert (await _run(engine, **{**options, "seed": 5}))[0] != whole
        done = await _run(engine, **options, kept=tuple(_tokens(chunks)))
        assert [chunk.finish_reason for chunk in done[1]] == [chunks[-1].finish_reason]


async def test_a_seeded_reply_does_not_change_with_what_else_runs(tiny: Path) -> None:
    options: dict[str, Any] = {"temperature": 1.0, "seed": 9, "max_tokens": 20}
    async with _loaded(tiny) as engine:
        alone, _ = await _run(engine, **options)
        texts: list[str] = []

        async def one(prompt: str, seed: int) -> None:
            text, _ = await _run(engine, **{**options, "prompt": prompt, "seed": seed})
            texts.append(text if seed == 9 else "")

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(
                    one, "Once" if number == 3 else f"Other {number}", 9 if number == 3 else number
                )
        assert alone in texts


async def test_stop_texts_end_a_reply_wherever_they_are_split(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        whole, _ = await _run(engine, temperature=1.0, seed=1, max_tokens=40)
        plain = [at for at in range(5, len(whole) - 3) if whole[at : at + 3].isascii()]
        stop = whole[plain[0] : plain[0] + 3]
        text, chunks = await _run(engine, temperature=1.0, seed=1, max_tokens=40, stop=(stop, "never"))
        assert text == whole[: whole.find(stop)]
        assert chunks[-1].finish_reason == "stop"


async def test_probabilities_are_those_of_the_model(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        _, chunks = await _run(engine, max_tokens=6, logprobs=3)
        choices = [choice for chunk in chunks for choice in chunk.logprobs]
        assert len(choices) == len(_tokens(chunks)) == 6
        for choice in choices:
            assert len(choice.others) == 3
            # The reply is greedy, so the likeliest is what was chosen.
            assert (choice.others[0].data, choice.others[0].logprob) == (choice.data, choice.logprob)
            assert 0 < sum(math.exp(other.logprob) for other in choice.others) <= 1.000001
        _, chunks = await _run(engine, max_tokens=2, logprobs=0)
        assert all(choice.others == () for chunk in chunks for choice in chunk.logprobs)


async def test_grammars_and_schemas_hold(tiny: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["a", "b"]}, "n": {"type": "integer", "maximum": 99, "minimum": 0}},
        "required": ["name", "n"],
        "additionalProperties": False,
    }
    async with _loaded(tiny) as engine:
        text, chunks = await _run(engine, json_schema=json.dumps(schema), temperature=1.5, seed=2)
        value = json.loads(text)
        assert value["name"] in "ab"
        assert 0 <= value["n"] <= 99
        # Nothing can follow, so the reply is over without another word of the model.
        assert chunks[-1].finish_reason == "stop"
        options: dict[str, Any] = {"grammar": 'root ::= [a-c]{5} "!"', "temperature": 1.0, "seed": 3}
        text, chunks = await _run(engine, **options)
        assert len(text) == 6
        assert set(text[:5]) <= set("abc")
        for cut in range(1, 6):
            rest, _ = await _run(engine, **options, kept=tuple(_tokens(chunks)[:cut]))
            assert text[:cut] + rest == text
        text, _ = await _run(engine, json_schema="{}", max_tokens=60, temperature=1.0, seed=1)
        assert text.startswith("{")


async def test_tenants_share_nothing_and_answers_stay_the_same(tiny: Path) -> None:
    prompt = "A shared beginning of many tokens. " * 4
    async with _loaded(tiny) as engine:
        replies: dict[str, str] = {}
        cached: list[int] = []
        for tenant in ("a", "a", "b", "", "b"):
            text, chunks = await _run(engine, prompt=prompt, tenant=tenant, max_tokens=8)
            assert chunks[-1].usage is not None
            cached.append(chunks[-1].usage.cached)
            assert replies.setdefault("", text) == text
        assert cached == [0, 128, 0, 0, 128]
        await engine.prepare((Turn(role="user", content=prompt),))
        _, chunks = await _run(
            engine,
            prompt="",
            turns=(Turn(role="user", content=prompt), Turn(role="user", content="?")),
            max_tokens=1,
        )
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.cached >= 128


async def test_a_reply_that_nobody_reads_to_the_end_frees_its_part_at_once(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        for read in range(4):
            stream: AsyncGenerator[Chunk] = engine.stream(
                CompletionRequest(prompt="Once", max_tokens=250, logit_bias=((2, -1000.0),))
            )
            async with aclosing(stream):
                for _ in range(read):
                    await anext(stream)
            assert engine._batch.replies == {}
        assert engine._batch.free_share > 0.9
        with anyio.move_on_after(0):
            await _run(engine)
        assert engine._batch.replies == {}
        assert len(_tokens((await _run(engine, max_tokens=3))[1])) == 3


_BAD: tuple[tuple[dict[str, Any], type[ModelError]], ...] = (
    ({"prompt": ""}, InvalidRequest),
    ({"prompt": "x" * 256}, ContextExceeded),
    ({"prompt": "x" * 200, "kept": (7,) * 60}, ContextExceeded),
    ({"prompt": "\ud800"}, InvalidRequest),
    ({"prompt": "x", "turns": (Turn(role="user", content="x"),)}, InvalidRequest),
    ({"adapter": "none"}, InvalidRequest),
    ({"kept": (259,)}, InvalidRequest),
    ({"logit_bias": ((-1, 1.0),)}, InvalidRequest),
    ({"grammar": "root ::= ("}, InvalidRequest),
    ({"grammar": 'root ::= "a"', "json_schema": "{}"}, InvalidRequest),
    ({"grammar": 'root ::= "a"', "kept": (7,)}, InvalidRequest),
    ({"grammar": "x" * 1_000_001}, InvalidRequest),
    ({"json_schema": "{"}, InvalidRequest),
    ({"json_schema": '{"type": "nothing"}'}, InvalidRequest),
    ({"json_schema": '{"$ref": "#/definitions/none"}'}, InvalidRequest),
    ({"json_schema": "[" * 100_000}, InvalidRequest),
    ({"json_schema": '{"type": "string", "pattern": "(("}'}, InvalidRequest),
)


async def test_bad_requests_are_refused_and_others_go_on(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        good, _ = await _run(engine, max_tokens=200, logit_bias=((2, -1000.0),))
        texts: list[str] = []

        async def go() -> None:
            texts.append((await _run(engine, max_tokens=200, logit_bias=((2, -1000.0),)))[0])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go)
            for options, error in _BAD:
                with pytest.raises(error) as refused:
                    await _run(engine, **options)
                assert refused.value.hint
        assert texts == [good]
        await _run(engine, max_tokens=3, stop=("", ""))


async def test_templates_are_the_models_own(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        turns = (Turn(role="user", content="Hi"),)
        text = await engine.render([turn.model_dump() for turn in turns])
        assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        assert await engine.count(CompletionRequest(turns=turns)) == await engine.count(
            CompletionRequest(prompt=text)
        )
        with pytest.raises(InvalidRequest, match="refuses the messages"):
            await engine.render([{"content": "no role"}, 3])


async def test_embeddings_have_length_one_and_tell_texts_apart(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        result = await engine.embed(["abc", "abc", "something else"])
        assert result.tokens == 3 + 3 + 14
        first, again, other = result.vectors
        assert first == again
        assert math.isclose(sum(x * x for x in first), 1.0, rel_tol=1e-5)
        assert sum(a * b for a, b in zip(first, other, strict=True)) < 0.999
        for bad in ("", "x" * 257):
            with pytest.raises(InvalidRequest):
                await engine.embed([bad])


async def test_an_engine_that_was_closed_or_parked_says_so(tiny: Path) -> None:
    async with _loaded(tiny) as engine:
        before = await engine.footprint()
        assert before.weights > 0
        assert before.cache > 0
        host = await engine.park()
        assert host == await engine.park()
        assert (await engine.footprint()).total == 0
        with pytest.raises(ModelError, match="not on its device"):
            await _run(engine)
        await engine.unpark()
        await engine.unpark()
        assert await engine.footprint() == before
        assert host >= before.weights
    with pytest.raises(ModelError, match="unloaded"):
        await _run(engine)
    await engine.close()


async def test_code_in_a_models_folder_is_never_run(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    for name, entries in (
        ("config.json", {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}),
    ):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**settings, "auto_map": entries}))
    # Its architecture is known, so that the folder is as good as one without code.
    async with _loaded(folder) as engine:
        assert await engine.count(CompletionRequest(prompt="a")) == 1
    unknown = json.loads((folder / "config.json").read_text()) | {"model_type": "evil"}
    (folder / "config.json").write_text(json.dumps(unknown))
    with pytest.raises(ModelError, match="cannot be loaded"):
        async with _loaded(folder):
            pass
    assert not marker.exists()


async def test_folders_that_hold_no_model_are_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="no model as safetensors"):
        async with _loaded(tmp_path):
            pass
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    for file in tiny.iterdir():
        if file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded"):
        async with _loaded(tmp_path):
            pass
    with pytest.raises(ModelError, match="no device cuda:99"):
        async with _loaded(tiny, device="cuda:99"):
            pass
    with pytest.raises(InvalidRequest, match="adapters"):
        async with _loaded(tiny, adapters=(("a", tmp_path),)):
            pass
