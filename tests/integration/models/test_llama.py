"""The embedded engine with a real model, the small one of the catalog."""

import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import anyio
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
from llmasos.models.calls.prompt import forms_of
from llmasos.models.calls.syntax import CallForm, parse_call
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
    before = saved.read_bytes()
    output = await anyio.to_thread.run_sync(run, "second")
    assert int(output.split()[1]) > 200
    assert saved.read_bytes() == before

    saved.write_bytes(before[:1000])
    output = await anyio.to_thread.run_sync(run, "third")
    assert output.startswith("cached")


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
