"""Tools that others made, offered to the small model that one asks first."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolCallPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from llmasos import paths
from llmasos.agent.toolset import definition
from llmasos.models import CallSyntaxModel, Catalog, LlamaEngine, fetch
from llmasos.models.engines.port import LoadPlan
from llmasos.testing.sessions import plugin_tool
from llmasos.tools import ToolContext, builtin_tools, tool

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@tool(
    reads=["path"],
    writes=["save_as"],
    examples=[("how long does it take to read letter.txt?", 'reading_time(path="letter.txt")')],
)
def reading_time(ctx: ToolContext, path: str, words_a_minute: int = 200, save_as: str | None = None) -> float:
    """Tells how many minutes a text takes to read.

    Args:
        path: The text.
        words_a_minute: How fast it is read.
        save_as: A file to write the minutes to, too.
    """
    return len(ctx.workspace.read_text(path).split()) / words_a_minute


@tool(network=["rates.example.org"])
def exchange_rate(ctx: ToolContext, base: str, quote: str) -> float:
    """Looks up today's rate between two currencies, by their codes such as EUR.

    Args:
        base: The currency one has.
        quote: The currency one wants.
    """
    return 1.0


ASKED: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("How long would I need to read thesis.txt?", "reading_time", {"path": "thesis.txt"}),
    ("reading time of handbook.md, please", "reading_time", {"path": "handbook.md"}),
    (
        "What is the reading time of report.txt at 300 words a minute?",
        "reading_time",
        {"path": "report.txt", "words_a_minute": 300},
    ),
    ("What is the rate from EUR to JPY today?", "exchange_rate", {"base": "EUR", "quote": "JPY"}),
)
ASKED_OF_A_SCRIPT = ("How many lines does notes.txt have?", "how many words does essay.txt have?")


@pytest.fixture
async def model(tmp_path: Path) -> AsyncGenerator[CallSyntaxModel]:
    path = await fetch(Catalog.builtin().get("qwen2.5-coder-1.5b"), paths.cache_dir(), allow_download=True)
    given = {"name": "first", "path": path, "fingerprint": "f", "cache_dir": tmp_path}
    # What a small model says in near ties depends on how many threads compute it.
    engine = await LlamaEngine.load(LoadPlan.model_validate({**given, "context": 8192, "threads": 2}))
    yield CallSyntaxModel(engine)
    await engine.close()


async def test_a_tool_is_called_for_what_it_was_made_for_and_a_script_written_for_the_rest(
    model: CallSyntaxModel,
) -> None:
    added = (plugin_tool(reading_time), plugin_tool(exchange_rate))
    tools = [definition(each) for each in (*builtin_tools(), *added)]

    async def call(said: str) -> ToolCallPart:
        messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(said)])]
        response = await model.request(messages, None, ModelRequestParameters(function_tools=tools))
        part = response.parts[0]
        assert isinstance(part, ToolCallPart), (said, part)
        return part

    calls = {said: await call(said) for said in [*(said for said, _, _ in ASKED), *ASKED_OF_A_SCRIPT]}
    for said, tool_name, arguments in ASKED:
        assert (calls[said].tool_name, calls[said].args_as_dict()) == (tool_name, arguments)
    assert [calls[said].tool_name for said in ASKED_OF_A_SCRIPT] == ["run_python"] * 2
