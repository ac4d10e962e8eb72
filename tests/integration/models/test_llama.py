"""The embedded engine with a real model, the small one of the catalog."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import anyio
import numpy
import pytest
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from benchmarks.model_tools import tools
from benchmarks.weights import smollm_gguf
from llmasos import paths
from llmasos.errors import ModelError
from llmasos.models import (
    CallSyntaxModel,
    Catalog,
    CompletionRequest,
    ContextExceeded,
    LlamaEngine,
    Turn,
    fetch,
)
from llmasos.models.calls.grammar import grammar
from llmasos.models.calls.syntax import CallForm, forms_of, parse_call
from llmasos.models.engines.llama_server import Event, LlamaServer
from llmasos.models.engines.port import LoadPlan

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@pytest.fixture
async def model_file() -> Path:
    spec = Catalog.builtin().get("qwen2.5-coder-0.5b")
    return await fetch(spec, paths.cache_dir(), allow_download=True)


@pytest.fixture
async def engine(model_file: Path, tmp_path: Path) -> AsyncGenerator[LlamaEngine]:
    loaded = await LlamaEngine.load(plan_of(model_file, tmp_path))
    yield loaded
    await loaded.close()


def plan_of(path: Path, cache: Path, **fields: object) -> LoadPlan:
    given = {"name": "small", "path": path, "fingerprint": "f", "cache_dir": cache, "context": 4096}
    return LoadPlan.model_validate({**given, **fields})


def user(text: str) -> tuple[Turn, ...]:
    return (Turn(role="user", content=text),)


async def complete(engine: LlamaEngine, request: CompletionRequest) -> tuple[str, str | None, int]:
    text, reason, cached = "", None, 0
    async with aclosing(engine.stream(request)) as chunks:
        async for chunk in chunks:
            text += chunk.text
            if chunk.usage is not None:
                reason, cached = chunk.finish_reason, chunk.usage.cached
    return text, reason, cached


async def test_text_is_streamed_and_bounded(engine: LlamaEngine) -> None:
    text, reason, _ = await complete(
        engine, CompletionRequest(turns=user("Count from 1 to 1000, one number a line."), max_tokens=24)
    )
    assert len(text) > 10
    assert reason == "length"


async def test_the_grammar_of_every_tool_is_accepted_and_obeyed(engine: LlamaEngine) -> None:
    forms = forms_of(tools())
    for form in forms.values():
        request = CompletionRequest(
            turns=user("Use the tool on the file notes.txt."),
            grammar=grammar((form,), answer=False),
            max_tokens=300,
            repeat_penalty=1.1,
        )
        text, reason, _ = await complete(engine, request)
        assert text.startswith(form.name)
        if reason == "stop":
            assert parse_call(text, forms).tool == form.name


async def test_the_grammar_of_unusual_schemas_is_accepted(engine: LlamaEngine) -> None:
    schema = {
        "properties": {
            "kind": {"enum": ["ä\n", 'q"', 2, None, True]},
            "names": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "tree": {"type": "object"},
            "free": {},
        },
        "required": ["kind", "names"],
    }
    form = CallForm.of(ToolDefinition(name="my-tool.v2", parameters_json_schema=schema))
    request = CompletionRequest(turns=user("Go."), grammar=grammar((form,), answer=False), max_tokens=120)
    text, _, _ = await complete(engine, request)
    assert text.startswith("my-tool.v2(kind=")


async def test_a_call_and_an_answer_come_through_the_model(engine: LlamaEngine) -> None:
    model = CallSyntaxModel(engine)
    offered = ModelRequestParameters(function_tools=tools())

    async def ask(text: str) -> ModelResponse:
        messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(text)])]
        return await model.request(messages, None, offered)

    call = (await ask("show me the contents of config.yaml")).parts[0]
    assert isinstance(call, ToolCallPart)
    assert (call.tool_name, call.args_as_dict()) == ("read_file", {"path": "config.yaml"})
    answered = await ask("你好")
    assert isinstance(answered.parts[0], TextPart)
    assert answered.usage.cache_read_tokens > answered.usage.input_tokens * 0.9


async def test_cancelling_frees_the_engine_for_the_next_request(engine: LlamaEngine) -> None:
    endless = CompletionRequest(turns=user("Count from 1 to 100000."), max_tokens=3000)
    with anyio.CancelScope() as scope:
        async with aclosing(engine.stream(endless)) as chunks:
            async for _ in chunks:
                scope.cancel()
    assert scope.cancelled_caught
    text, reason, _ = await complete(engine, CompletionRequest(turns=user("Say yes."), max_tokens=3))
    assert text and reason


async def test_many_requests_at_once_are_all_served(engine: LlamaEngine) -> None:
    replies: list[str] = []

    async def one(number: int) -> None:
        request = CompletionRequest(
            turns=user("Write the number."), grammar=f'root ::= "number {number}"', max_tokens=10
        )
        replies.append((await complete(engine, request))[0])

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(one, number)
    assert sorted(replies) == [f"number {number}" for number in range(4)]


async def test_a_request_beyond_the_context_is_refused(engine: LlamaEngine) -> None:
    with pytest.raises(ContextExceeded):
        await complete(engine, CompletionRequest(turns=user("word " * 5000), max_tokens=5))


async def test_a_closed_engine_says_so(engine: LlamaEngine) -> None:
    await engine.close()
    with pytest.raises(ModelError, match="unloaded"):
        await complete(engine, CompletionRequest(turns=user("hi")))


async def test_a_prefix_is_restored_in_a_fresh_process(model_file: Path, tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import anyio, sys
        from llmasos.models import CompletionRequest, LlamaEngine, Turn
        from llmasos.models.engines.port import LoadPlan

        async def main():
            engine = await LlamaEngine.load(LoadPlan(
                name="small", path=sys.argv[1], fingerprint="f", cache_dir=sys.argv[2], context=2048
            ))
            prefix = (Turn(role="system", content="You are kind. " * 60),)
            request = CompletionRequest(
                turns=(*prefix, Turn(role="user", content="Say yes.")), prefix=1, max_tokens=3
            )
            if sys.argv[3] == "first":
                await engine.prepare(prefix)
            else:
                async for chunk in engine.stream(request):
                    if chunk.usage:
                        print("cached", chunk.usage.cached)
            await engine.close()

        anyio.run(main)
    """)

    def run(which: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(model_file), str(tmp_path), which],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    await anyio.to_thread.run_sync(run, "first")
    (saved,) = (tmp_path / "prefixes").iterdir()
    assert saved.stat().st_mode & 0o777 == 0o600
    before = saved.read_bytes()
    output = await anyio.to_thread.run_sync(run, "second")
    assert int(output.split()[1]) > 200
    assert saved.read_bytes() == before

    # What the engine would believe, had nobody looked: it is dropped, and computed again.
    saved.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    output = await anyio.to_thread.run_sync(run, "third")
    assert output.startswith("cached")
    assert saved.read_bytes() == before


@pytest.mark.parametrize("kept", [1_000, 50_000_000])
async def test_a_cut_file_is_refused_without_harm(model_file: Path, tmp_path: Path, kept: int) -> None:
    cut = tmp_path / "cut.gguf"
    with model_file.open("rb") as whole:
        cut.write_bytes(whole.read(kept))
    with pytest.raises(ModelError, match="damaged, incomplete"):
        await LlamaEngine.load(plan_of(cut, tmp_path))


async def test_a_damaged_header_is_refused_without_harm(model_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    with model_file.open("rb") as whole:
        data = bytearray(whole.read(1_000_000))
    data[100:600] = b"\xff" * 500
    damaged.write_bytes(data)
    with pytest.raises(ModelError, match="damaged, incomplete"):
        await LlamaEngine.load(plan_of(damaged, tmp_path))


@pytest.fixture
def tiny(tmp_path: Path) -> LoadPlan:
    """Return how to load the smallest model, with three slots."""
    return plan_of(smollm_gguf(), tmp_path, context=1024, slots=3, threads=1)


async def read(engine: LlamaEngine, request: CompletionRequest) -> tuple[str, list[int], int]:
    text, tokens, cached = "", list[int](), 0
    async with aclosing(engine.stream(request)) as chunks:
        async for chunk in chunks:
            text += chunk.text
            tokens += chunk.tokens
            cached = chunk.usage.cached if chunk.usage is not None else cached
    return text, tokens, cached


async def test_tokens_within_characters_are_kept_whole(tiny: LoadPlan) -> None:
    engine = await LlamaEngine.load(tiny)
    words = "Say 😀 and 中文 again: 😀 and 中文.\nSay 😀 and 中文 again:"
    request = CompletionRequest(prompt=words, max_tokens=14, logit_bias=((0, -100.0),))
    text, tokens, _ = await read(engine, request)
    assert "😀" in text
    position, ends = 0, []
    async with aclosing(engine.stream(request)) as chunks:
        async for chunk in chunks:
            position += len(chunk.tokens)
            ends.append(position)
    for end in ends[:-1]:
        rest, more, _ = await read(engine, request.model_copy(update={"kept": tuple(tokens[:end])}))
        assert more == tokens[end:]
        assert text.endswith(rest)
    await engine.close()


async def test_a_prompt_is_shared_within_a_tenant_and_never_beyond(tiny: LoadPlan) -> None:
    engine = await LlamaEngine.load(tiny)
    prompt = "The secret of this tenant is long and not to be guessed. " * 12

    async def cached(tenant: str, adapter: str = "") -> int:
        request = CompletionRequest(prompt=prompt, max_tokens=1, tenant=tenant, adapter=adapter)
        return (await read(engine, request))[2]

    assert await cached("one") == 0
    assert await cached("one") > 100
    # There are fewer slots than tenants, so that slots are taken over.
    for tenant in ("two", "three", "four", "five"):
        assert await cached(tenant) == 0
        assert await cached(tenant) > 100
    assert await cached("one") > 100
    assert await cached("six") == 0
    await engine.close()


async def test_leaving_a_stream_ends_its_decoding_within_a_step(
    tiny: LoadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await LlamaEngine.load(tiny)
    steps: list[int] = []
    complete_ = LlamaServer.complete

    def counted(server: LlamaServer, body: Event, on_event: Callable[[Event], bool]) -> None:
        def count(event: Event) -> bool:
            steps.append(1)
            return on_event(event)

        complete_(server, body, count)

    monkeypatch.setattr(LlamaServer, "complete", counted)
    for prompt in ("1 2 3 4 5 6", "word " * 700):
        stream = engine.stream(CompletionRequest(prompt=prompt, max_tokens=300))
        if prompt.startswith("1"):
            await anext(stream)
            before = len(steps)
            await stream.aclose()
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anext, stream)
                while len(steps) <= before:
                    await anyio.sleep(0.001)
                before = len(steps)
                tasks.cancel_scope.cancel()
        assert len(steps) <= before + 2
        before = len(steps)
    await engine.close()


async def test_conversations_that_alternate_on_one_slot_are_not_read_again(tiny: LoadPlan) -> None:
    engine = await LlamaEngine.load(tiny.model_copy(update={"slots": 1}))
    said = {name: f"{name} said: " + f"{name} and more. " * 40 for name in ("one", "two", "three")}

    async def cached(name: str, tenant: str = "") -> int:
        text, _, found = await read(engine, CompletionRequest(prompt=said[name], max_tokens=4, tenant=tenant))
        if not tenant:
            said[name] += text
        return found

    assert max([await cached(name) for name in said]) < 10
    for name in said:
        assert await cached(name) > 150
    # Somebody else who knows every word finds nothing, and takes nothing away.
    assert [await cached(name, "other") for name in said] == [0, 0, 0]
    assert await cached("two") > 150
    footprint = await engine.footprint()
    assert 0 < engine._states.size <= engine._states.most < footprint.cache
    await engine.close()
    assert engine._states.size == 0


async def test_prefixes_of_several_conversations_stay_in_several_slots(tiny: LoadPlan) -> None:
    engine = await LlamaEngine.load(tiny)
    prefix = (Turn(role="system", content="You count sheep and never sleep. " * 12),)

    async def cached(tenant: str, *texts: str, public: bool = False) -> int:
        said = tuple(turn for text in texts for turn in user(text))
        turns = (*prefix, *said)
        request = CompletionRequest(turns=turns, prefix=1, public=public, max_tokens=1, tenant=tenant)
        return (await read(engine, request))[2]

    await engine.prepare(prefix)
    known = await cached("", "one " * 100)
    assert known > 80
    assert await cached("", "two " * 100) == known
    # Both conversations are still there, and go on where they were.
    assert await cached("", "one " * 100, "more") > known + 90
    assert await cached("", "two " * 100, "more") > known + 90
    # What is the same for everybody is not read again; else another tenant reads its own prefix, once.
    folder = tiny.cache_dir / "prefixes"
    assert await cached("third", "one", public=True) == known
    assert len(list(folder.iterdir())) == 1
    assert await cached("other", "one") == known
    files = list(folder.iterdir())
    assert len(files) == 2
    assert not any(b"one one" in file.read_bytes() for file in files)
    await engine.close()


async def test_an_adapter_is_applied_to_the_requests_that_name_it(tiny: LoadPlan, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    write_adapter(adapter)
    engine = await LlamaEngine.load(tiny.model_copy(update={"adapters": (("loud", adapter),)}))
    plain = CompletionRequest(prompt="1 2 3 4 5 6 7", max_tokens=8)
    loud = plain.model_copy(update={"adapter": "loud"})
    before = await read(engine, plain)
    changed = await read(engine, loud)
    assert changed[1] != before[1]
    assert changed[2] == 0
    assert (await read(engine, plain))[1] == before[1]
    assert (await read(engine, loud))[1] == changed[1]
    await engine.close()


def write_adapter(path: Path) -> None:
    """Write a LoRA adapter for one projection of SmolLM2 135M that changes everything it says."""
    from gguf import GGUFWriter

    chance = numpy.random.default_rng(0)
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for name in ("a", "b"):
        shape = (4, 576) if name == "a" else (576, 4)
        tensor = chance.normal(size=shape).astype(numpy.float32)
        writer.add_tensor(f"blk.0.attn_output.weight.lora_{name}", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


async def test_the_programs_own_signals_survive_a_loading(tiny: LoadPlan) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        engine = await LlamaEngine.load(tiny)
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
        assert await complete(engine, CompletionRequest(prompt="1 2 3", max_tokens=2))
        await engine.close()
    finally:
        signal.signal(signal.SIGTERM, before)
