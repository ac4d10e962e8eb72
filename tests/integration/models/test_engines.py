"""The contract of the engine port, over every engine that runs here."""

import os
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import pytest

from benchmarks.tiny import make_tiny
from benchmarks.weights import smollm_gguf
from llmasos.cluster._tree import descendants
from llmasos.models.engines import process
from llmasos.models.engines.llama import LlamaEngine
from llmasos.models.engines.port import (
    ContextExceeded,
    Engine,
    EngineDied,
    InvalidRequest,
    Loader,
    LoadPlan,
)
from llmasos.models.engines.process import EngineProcess, load_process
from tests.integration.models.contract import CONTEXT, SLOTS, EngineContract, Load, asking, begin, reply_of

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

LOADERS: dict[str, tuple[Loader, Literal["gguf", "safetensors"]]] = {
    "llama": (LlamaEngine.load, "gguf"),
    "llama-process": (load_process, "gguf"),
    "transformers-process": (load_process, "safetensors"),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> LoadPlan:
    return LoadPlan(
        name="smollm",
        path=smollm_gguf(),
        fingerprint="smollm",
        cache_dir=tmp_path_factory.mktemp("cache"),
        context=CONTEXT,
        slots=SLOTS,
        threads=1,
    )


@pytest.fixture(scope="module", params=LOADERS)
def load(request: pytest.FixtureRequest, plan: LoadPlan, tmp_path_factory: pytest.TempPathFactory) -> Load:
    loader, kind = LOADERS[request.param]
    if kind == "safetensors":
        folder = make_tiny(tmp_path_factory.mktemp("tiny"))
        plan = plan.model_copy(update={"path": folder, "format": kind, "dtype": "float32"})
    return lambda: loader(plan)


@pytest.fixture(scope="module")
async def loaded(load: Load) -> AsyncGenerator[Engine]:
    engine = await load()
    yield engine
    await engine.close()


@pytest.fixture
def constrained() -> bool:
    return True


class TestEngines(EngineContract):
    """Every engine, with a real model."""

    async def test_a_text_that_is_too_long_to_embed_is_the_fault_of_the_request(self, loaded: Engine) -> None:
        with pytest.raises((InvalidRequest, ContextExceeded)):
            await loaded.embed(["word " * 5000])
        assert (await loaded.embed(["word"])).vectors


def children() -> set[int]:
    """Return the processes that were started from here and are not gone, zombies included."""
    return descendants([os.getpid()])


async def test_the_end_of_a_process_ends_its_streams_and_no_others(plan: LoadPlan) -> None:
    before = children()
    victim, other = await load_process(plan), await load_process(plan)
    try:
        async with (
            aclosing(victim.stream(asking(max_tokens=400))) as one,
            aclosing(victim.stream(asking("a b c", max_tokens=400))) as two,
            aclosing(other.stream(asking(max_tokens=100))) as three,
        ):
            for chunks in (one, two, three):
                await anext(chunks)
            os.kill(victim.pid, signal.SIGKILL)
            for chunks in (one, two):
                with pytest.raises(EngineDied, match="smollm died: it was ended by SIGKILL") as raised:
                    async for _ in chunks:
                        pass
                assert "load it" in raised.value.hint
            rest = [chunk async for chunk in three]
        assert rest[-1].finish_reason == "length"
        with pytest.raises(EngineDied):
            await victim.count(asking())
        assert (await reply_of(other, asking())).reason == "length"
    finally:
        await victim.close()
        await other.close()
    assert children() == before


async def test_an_abort_is_named(plan: LoadPlan) -> None:
    engine = await load_process(plan)
    try:
        async with aclosing(engine.stream(asking(max_tokens=400))) as chunks:
            await anext(chunks)
            os.kill(engine.pid, signal.SIGABRT)
            with pytest.raises(EngineDied, match="SIGABRT"):
                async for _ in chunks:
                    pass
    finally:
        await engine.close()


async def test_a_process_that_does_not_answer_is_ended(
    plan: LoadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(process, "_CANCEL_SECONDS", 0.1)
    before = children()
    engine = await load_process(plan)
    async with aclosing(engine.stream(asking(max_tokens=400))) as chunks:
        await anext(chunks)
        os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="SIGKILL"):
        await engine.footprint()
    await engine.close()
    stopped = await load_process(plan)
    os.kill(stopped.pid, signal.SIGSTOP)
    await stopped.close()
    assert children() == before


async def test_the_process_has_no_secrets_and_no_terminal(
    plan: LoadPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_MODEL_KEY", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    engine = await load_process(plan)
    try:
        await begin(engine, asking())
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes()
        assert b"secret" not in environment
        assert b"OMP_WAIT_POLICY=passive" in environment
        # A template, which is a program of the model's authors, cannot take the machine's whole memory.
        most, _ = resource.prlimit(engine.pid, resource.RLIMIT_DATA)
        assert 4 * 2**30 < most < 5 * 2**30
        assert int(Path(f"/proc/{engine.pid}/oom_score_adj").read_text()) >= 500
        # Ctrl-C reaches the processes of the terminal's session, and is ignored even when sent.
        assert os.getsid(engine.pid) != os.getsid(0)
        os.kill(engine.pid, signal.SIGINT)
        assert (await reply_of(engine, asking())).reason == "length"
    finally:
        await engine.close()


async def test_the_process_ends_with_the_one_that_started_it(plan: LoadPlan, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import anyio, os, signal, sys\n"
        "from llmasos.models.engines.port import LoadPlan\n"
        "from llmasos.models.engines.process import load_process\n"
        "async def main():\n"
        "    engine = await load_process(LoadPlan.model_validate_json(sys.argv[1]))\n"
        "    print(engine.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "anyio.run(main)\n"
    )
    ended = await anyio.run_process([sys.executable, str(script), plan.model_dump_json()], check=False)
    pid = int(ended.stdout)
    with anyio.fail_after(30):
        while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
            await anyio.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


async def test_a_loading_that_is_cancelled_leaves_no_process(plan: LoadPlan) -> None:
    before = children()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load_process, plan)
            while children() == before:
                await anyio.sleep(0.001)
            scope.cancel()
    assert children() == before


async def test_a_failed_loading_leaves_no_process(plan: LoadPlan, tmp_path: Path) -> None:
    before = children()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + b"\xff" * 1000)
    engine = EngineProcess(plan.model_copy(update={"path": damaged}))
    with pytest.raises(Exception, match="damaged, incomplete"):
        await engine.start()
    assert children() == before
