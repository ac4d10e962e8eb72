"""An engine in a process of its own, with an engine that only counts."""

import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from llmasos.models.engines import _child, process
from llmasos.models.engines.port import EngineDied, LoadPlan, OutOfMemory
from llmasos.models.engines.process import EngineProcess
from llmasos.models.engines.wire import CREDIT
from tests.integration.models.contract import CONTEXT, SLOTS, EngineContract, Load, asking, begin, reply_of

pytestmark = pytest.mark.anyio

WORKER = """
import socket, sys
import anyio
from llmasos.models.engines.fake import CountingEngine
from llmasos.models.engines.port import OutOfMemory
from llmasos.models.engines.worker import serve

class Engine(CountingEngine):
    async def count(self, request):
        # How much was produced tells whether it was held up.
        if request.prompt == "produced":
            return self.produced
        return await super().count(request)

    async def render(self, messages, tools=()):
        if messages[0]["content"] == "endless":
            await anyio.sleep_forever()
        return await super().render(messages, tools)

    produced = 0

    async def stream(self, request):
        async for chunk in super().stream(request):
            self.produced += 1
            yield chunk

async def load(plan):
    if plan.name == "endless":
        await anyio.sleep_forever()
    if plan.name == "huge":
        raise OutOfMemory("It does not fit.", hint="Unload one.")
    return Engine(name=plan.name, context=plan.context, slots=plan.slots)

anyio.run(serve, socket.socket(fileno=int(sys.argv[1])), load)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> str:
    script = tmp_path_factory.mktemp("worker") / "worker.py"
    script.write_text(WORKER)
    return str(script)


def plan(name: str = "counting", context: int = CONTEXT) -> LoadPlan:
    return LoadPlan(name=name, path=Path("none"), cache_dir=Path("none"), context=context, slots=SLOTS)


@pytest.fixture(scope="module")
def load(worker: str) -> Load:
    async def new() -> EngineProcess:
        engine = EngineProcess(plan())
        await engine.start([worker])
        return engine

    return new


@pytest.fixture(scope="module")
async def loaded(load: Load) -> AsyncGenerator[object]:
    engine = await load()
    yield engine
    await engine.close()


@pytest.fixture
def constrained() -> bool:
    return False


class TestProcess(EngineContract):
    """The engine that counts, behind the wire."""


async def test_a_reader_that_stands_still_holds_its_stream_up_and_no_other(worker: str) -> None:
    engine = EngineProcess(plan(context=20_000))
    await engine.start([worker])
    async with aclosing(engine.stream(asking(max_tokens=5000))) as chunks:
        await anext(chunks)
        other = await reply_of(engine, asking(max_tokens=1000))
        assert len(other.tokens) == 1000
        produced = await engine.count(asking("produced"))
        assert produced <= 1 + CREDIT + 1 + len(other.chunks)
        rest = [chunk async for chunk in chunks]
    assert 1 + sum(len(chunk.tokens) for chunk in rest) == 5000
    await engine.close()


async def test_an_error_of_loading_crosses_with_its_type(worker: str) -> None:
    engine = EngineProcess(plan("huge"))
    with pytest.raises(OutOfMemory, match="It does not fit") as raised:
        await engine.start([worker])
    assert raised.value.hint == "Unload one."


async def test_what_the_process_says_goes_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "worker.py"
    script.write_text("import sys\nprint('GGML_ASSERT failed', file=sys.stderr)\nsys.exit(3)\n")
    engine = EngineProcess(plan())
    with caplog.at_level("INFO"), pytest.raises(Exception, match="died: it ended with status 3"):
        await engine.start([str(script)])
    assert "counting: GGML_ASSERT failed" in caplog.text


async def test_a_process_that_is_gone_before_it_is_looked_at_ends_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "worker.py"
    script.write_text("import sys\nsys.exit(3)\n")

    def late(pid: int) -> int:
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)
        return pidfd_open(pid)

    pidfd_open = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", late)
    engine = EngineProcess(plan())
    with pytest.raises(EngineDied, match="died: it ended with status 3"):
        await engine.start([str(script)])


async def test_a_process_ends_although_what_it_started_holds_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = tmp_path / "number"
    script = tmp_path / "worker.py"
    script.write_text(
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', 'infinity'])\n"
        f"pathlib.Path({str(number)!r}).write_text(str(child.pid))\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setattr(_child, "_LAST_WORDS_SECONDS", 0.1)
    engine = EngineProcess(plan())
    try:
        with pytest.raises(EngineDied, match="died: it ended with status 3"):
            await engine.start([str(script)])
    finally:
        os.kill(int(number.read_text()), signal.SIGKILL)


async def test_leaving_frees_the_slot_before_the_next_request(load: Load) -> None:
    engine = await load()
    for _ in range(50):
        await begin(engine, asking(max_tokens=400))
    await engine.close()


async def test_an_engine_whose_template_never_ends_is_ended(
    worker: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await load()
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.1)
    with pytest.raises(EngineDied, match="no answer"):
        await engine.render([{"role": "user", "content": "endless"}])
    await engine.close()
    monkeypatch.setattr(process, "_LOAD_SECONDS", 0.1)
    never = EngineProcess(plan("endless"))
    with pytest.raises(EngineDied, match="no answer"):
        await never.start([worker])
