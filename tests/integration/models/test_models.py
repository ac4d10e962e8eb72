"""Real models, shared: turns, memory for one, and the death of an engine's process."""

import os
import shutil
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from benchmarks.weights import smollm_gguf
from llmasos.config import Settings
from llmasos.models import Client, Engine, Models
from llmasos.models.chat.port import ChatMessage, ChatRequest
from llmasos.models.engines.port import CompletionRequest, EngineDied, LoadPlan, Turn
from llmasos.models.engines.process import EngineProcess, load_process

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

PERSON = Client(session="person", band="interactive")
BATCH = Client(session="batch", band="batch")


class Processes:
    """Loads real engines and remembers them."""

    def __init__(self) -> None:
        self.engines: dict[str, EngineProcess] = {}

    async def __call__(self, plan: LoadPlan) -> Engine:
        self.engines[plan.name] = await load_process(plan)
        return self.engines[plan.name]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """The same weights under two names."""
    places = (tmp_path / "one.gguf", tmp_path / "two.gguf")
    for place in places:
        shutil.copyfile(smollm_gguf(), place)
    return str(places[0]), str(places[1])


def start(tmp_path: Path, loader: Processes, **models: object) -> Models:
    chosen = {"data_dir": tmp_path, "cache_dir": tmp_path, "runtime_dir": tmp_path, "model_context": 2048}
    return Models(Settings.model_validate({**chosen, "models": models}), loader=loader)


def ask(tokens: int, text: str = "Tell a long story.") -> CompletionRequest:
    """Return a request that is written to its end: what would end it earlier cannot be chosen."""
    turns = (Turn(role="user", content=text),)
    return CompletionRequest(turns=turns, max_tokens=tokens, logit_bias=((0, -100.0), (2, -100.0)))


async def read(engine: Engine, request: CompletionRequest) -> tuple[str, int]:
    """Return the text of a reply, and its tokens by its own count."""
    text, output = "", 0
    async for chunk in engine.stream(request):
        text += chunk.text
        output = chunk.usage.output if chunk.usage else output
    return text, output


async def test_a_killed_engine_ends_its_streams_and_is_loaded_again(
    tmp_path: Path, files: tuple[str, str]
) -> None:
    loader = Processes()
    async with start(tmp_path, loader, slots=3) as models:
        one, two = [await models.engine(name) for name in files]
        dying: list[AsyncGenerator[object]] = []
        for session in ("x", "y"):
            engine = await models.engine(files[0], Client(session=session))
            dying.append(engine.stream(ask(400)))
            await anext(dying[-1])
        other = two.stream(ask(40))
        await anext(other)
        dead = loader.engines[one.name]
        os.kill(dead.pid, signal.SIGKILL)
        for stream in dying:
            with pytest.raises(EngineDied):
                async for _ in stream:
                    pass
        assert [chunk async for chunk in other][-1].usage
        assert (await read(one, ask(5)))[1] == 5
        assert loader.engines[one.name] is not dead


async def test_a_person_interrupts_a_batch_which_goes_on_where_it_was(
    tmp_path: Path, files: tuple[str, str]
) -> None:
    async with start(tmp_path, Processes(), slots=1) as models:
        batch, person = [await models.engine(files[0], client) for client in (BATCH, PERSON)]
        got: list[tuple[str, int]] = []

        async def work() -> None:
            got.append(await read(batch, ask(120)))

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while not any(model.tokens_per_second for model in models.top().models):
                await anyio.sleep(0.01)
            assert (await read(person, ask(3, "Say hello.")))[1] == 3
            assert not got
        assert got[0][1] == 120
        assert got[0][0].startswith((await read(batch, ask(8)))[0])


async def test_two_models_take_turns_in_memory_for_one(tmp_path: Path, files: tuple[str, str]) -> None:
    loader = Processes()
    async with start(tmp_path, loader, slots=1, memory_mb=300) as models:
        first = [await read(await models.engine(name), ask(8)) for name in files]
        again = [await read(await models.engine(name), ask(8)) for name in files]
        assert first == again and first[0] == first[1]
        top = models.top()
        assert sum(model.state == "resident" for model in top.models) == 1
        assert [model.loads for model in top.models] == [2, 2]
        assert top.devices[0].used <= top.devices[0].budget
    pids = [engine.pid for engine in loader.engines.values()]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_chat_ends_where_its_reader_leaves(tmp_path: Path, files: tuple[str, str]) -> None:
    async with start(tmp_path, Processes(), slots=1) as models:
        chat = models.chat(files[0], PERSON)
        long = ChatRequest(
            messages=(ChatMessage(role="user", content="Tell a long story."),), max_tokens=1500
        )
        stream = chat.stream(long)
        await anext(stream)
        await stream.aclose()
        assert models.top().models[0].running == 0
        short = long.model_copy(update={"max_tokens": 2})
        assert [delta async for delta in chat.stream(short)][-1].finish_reason == "length"
