"""Estimates against what a real engine takes."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from benchmarks.weights import SMOLLM
from llmasos import paths
from llmasos.models import fetch
from llmasos.models.catalog.estimate import estimate, waiting_bytes
from llmasos.models.catalog.fetch import digest
from llmasos.models.catalog.header import read_header
from llmasos.models.catalog.profile import recognise
from llmasos.models.engines.port import LoadPlan

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

LOAD = """
import sys
import xllamacpp

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

before = resident()
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], int(sys.argv[2]), 1
params.n_batch = params.n_ubatch = 128
params.cache_ram_mib, params.warmup, params.verbosity, params.ui = 0, False, -1, False
params.api_keys = ["x"]
server = xllamacpp.Server(params)
request = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
server.handle_chat_completions(request, lambda _: None)
print(resident() - before, flush=True)
"""


@pytest.fixture
async def file() -> Path:
    return await fetch(SMOLLM, paths.cache_dir(), allow_download=True)


@pytest.mark.parametrize("context", [2048, 8192])
async def test_an_estimate_is_what_the_engine_takes(file: Path, context: int) -> None:
    command = [sys.executable, "-c", LOAD, str(file), str(context)]
    done = await anyio.run_process(command, stderr=subprocess.DEVNULL)
    taken = int(done.stdout.split()[-1])
    plan = LoadPlan(name="m", path=file, cache_dir=file.parent, context=context)
    # No conversation has left its slot yet.
    waiting = waiting_bytes(read_header(file), plan)
    assert estimate(plan).total - waiting == pytest.approx(taken, rel=0.15)


async def test_a_real_header_tells_the_family_and_the_digest_is_the_files(file: Path) -> None:
    header = read_header(file)
    profile = recognise(header.traits)
    assert (profile.family, profile.drive, header.context) == ("smollm2", "calls", 8192)
    assert 134e6 < header.traits.parameters < 135e6
    own = SMOLLM.model_copy(update={"sha256": "", "path": file})
    known: dict[tuple[Path, int, int], str] = {}
    assert await digest(own, file, known) == SMOLLM.sha256
    assert await digest(own, file, dict.fromkeys(known, "f" * 64)) == "f" * 64, (
        "what is known is not read again"
    )
