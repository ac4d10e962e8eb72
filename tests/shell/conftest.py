"""The command line against a kernel on fakes, behind its socket in a thread."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
import uvicorn

from llmasos.client import Client
from llmasos.config import LedgerSettings, Settings
from llmasos.kernel import Kernel
from llmasos.ledger import MemoryLedger
from llmasos.models import Engine, FakeEngine, Models
from llmasos.models.engines.port import LoadPlan
from llmasos.sandbox import FakeProvider
from llmasos.service.app import make_app
from llmasos.shell import cli
from tests.federated.played import BACKENDS

ROOT = Path(__file__).parents[2]
TARGET = "file:/mnt/other/anchors.jsonl"


@dataclass
class Fakes:
    """A kernel on fakes, which runs in a thread, and the folder that its sessions work on."""

    socket: Path
    folder: Path
    engine: FakeEngine
    ledger: MemoryLedger

    def client(self) -> Client:
        return Client(self.socket, start=False)


@pytest.fixture(scope="module")
def fakes() -> Iterator[Fakes]:
    base = Path(tempfile.mkdtemp(prefix="llmasos-"))
    folder = base / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("今天天气很好\n")
    settings = Settings(
        data_dir=base / "data",
        cache_dir=base / "cache",
        runtime_dir=base,
        ledger=LedgerSettings(anchors=(TARGET,)),
        sandbox_pool=0,
    )
    engine = FakeEngine(['read_file(path="notes.txt")', "Answer: fine."])
    kernel_ledger = MemoryLedger(targets=[TARGET])

    async def load(plan: LoadPlan) -> Engine:
        return engine

    started = threading.Event()
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        models = Models(settings, loader=load)
        async with Kernel(
            settings, models=models, provider=FakeProvider(), ledger=kernel_ledger, backends=BACKENDS
        ) as kernel:
            app = make_app(kernel, lambda: None)
            config = uvicorn.Config(
                app,
                uds=str(settings.socket),
                http="h11",
                ws="none",
                log_config=None,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
            servers.append(uvicorn.Server(config))
            started.set()
            await servers[0].serve()

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    assert started.wait(60)
    while not servers[0].started:
        thread.join(0.01)
    with Client(settings.socket, start=False) as client:
        client.session(folder).run("read notes.txt")
    with pytest.MonkeyPatch.context() as patch:
        # The programs of trainings find the backend that plays.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        yield Fakes(settings.socket, folder, engine, kernel_ledger)
    servers[0].should_exit = True
    thread.join()
    shutil.rmtree(base)


@dataclass
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Return a function that runs the command line in this process."""
    monkeypatch.setenv("LLMASOS_RUNTIME_DIR", str(fakes.socket.parent))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["llmasos", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capfd.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, printed.out, printed.err)

    return command
