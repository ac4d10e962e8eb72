"""How fast the system answers: the command, the prompt, the gate, and a model that has read its tools.

Each figure stands beside a peer measured in the same run, as a ratio of medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import pexpect

from llmasos.agent import Approvals, EventStream, definition
from llmasos.agent.assembly import Assembly
from llmasos.agent.listening import Listening, Texts
from llmasos.agent.offer import Offer
from llmasos.api import TurnRequest
from llmasos.config import Settings, load_settings
from llmasos.events import ActionStarted, TextDelta, TurnFinished
from llmasos.kernel import Kernel
from llmasos.models import Origin

LAUNCH = [sys.executable, "-c", "from llmasos.shell.entry import main; main()"]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, its bound, and the median beside its peer's, in seconds."""

    what: str
    bound: str
    seconds: float
    peer: str = ""
    peer_seconds: float = 0.0

    def markdown(self) -> str:
        """Return the line in Markdown."""
        ratio = f"{self.seconds / self.peer_seconds:.1f}x {self.peer}" if self.peer_seconds else ""
        return f"| {self.what} | {self.bound} | {self.seconds * 1000:,.1f} ms | {ratio} |"


def median(work: Callable[[], float], times: int) -> float:
    """Return the median of several measurements in seconds."""
    return statistics.median(work() for _ in range(times))


def timed(command: Sequence[str], environment: dict[str, str]) -> Callable[[], float]:
    """Return a measurement of a whole command."""

    def work() -> float:
        began = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    return work


def prompt(environment: dict[str, str], folder: Path) -> float:
    """Return the time from starting the shell to its prompt, with the kernel running."""
    began = time.perf_counter()
    shell = pexpect.spawn(LAUNCH[0], LAUNCH[1:], env=environment, cwd=str(folder), dimensions=(30, 100))
    shell.expect_exact(">", timeout=30)
    seconds = time.perf_counter() - began
    shell.sendeof()
    shell.expect(pexpect.EOF, timeout=30)
    shell.close()
    return seconds


async def nothing_attached() -> Texts:
    """Return that nothing was attached to earlier requests."""
    return ()


async def gate(settings: Settings, folder: Path) -> tuple[float, float]:
    """Return the median of an action through the gate, recorded on the real chain, and without the gate."""
    async with Kernel(settings) as kernel:
        session = await kernel.sessions.create(folder)
        await session.workbench.sandbox.open()
        stream = await EventStream.open(kernel.store, session.id)
        model = await kernel.models.resolve()
        listening = Listening(stream, kernel.registry, nothing_attached)
        listening.begin(kernel.sessions._tasks)
        parts = Assembly(
            kernel.sessions.services,
            stream,
            session.workbench,
            Approvals("deny"),
            session.rulebook,
            listening,
            Offer(kernel.registry, set()),
            kernel.sessions._tasks,
        )
        info, origin = await session.info(), Origin(model="none")
        made = parts.turn("t", info, TurnRequest(text="read"), model, origin, "", (), kernel.models.resolve)
        contexts, through = made.contexts, made.turn.gate
        read = kernel.registry.get("read_file")
        with_gate, without = [], []
        for number in range(200):
            arguments = read.validate({"path": "notes.txt", "limit": 1000 + number})
            began = time.perf_counter()
            await read.run(await contexts("a", read.name), arguments)
            without.append(time.perf_counter() - began)
            began = time.perf_counter()
            outcome = await through.call("read_file", {"path": "notes.txt", "limit": 1000 + number})
            with_gate.append(time.perf_counter() - began)
            assert outcome.status == "ok", outcome.text
        return statistics.median(with_gate), statistics.median(without)


async def first_output(settings: Settings, folder: Path, requests: Sequence[str]) -> list[float]:
    """Return the time from each request of one session to the first sign of its reply."""
    seconds = []
    async with Kernel(settings) as kernel:
        await kernel.models.resolve(tools=[definition(tool) for tool in kernel.registry])
        session = await kernel.sessions.create(folder)
        for request in requests:
            began, first = time.perf_counter(), 0.0
            accepted = await session.start(TurnRequest(text=request))
            async with session.stream.follow(accepted.after) as events:
                async for event in events:
                    if not first and isinstance(event, TextDelta | ActionStarted):
                        first = time.perf_counter() - began
                    if isinstance(event, TurnFinished):
                        break
            seconds.append(first)
    return seconds


def measure() -> list[Row]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "folder"
        folder.mkdir()
        (folder / "notes.txt").write_text("one\ntwo\n")
        environment = {
            **os.environ,
            "LLMASOS_DATA_DIR": f"{base}/data",
            "LLMASOS_RUNTIME_DIR": f"{base}/run",
            "LLMASOS_SANDBOX": "bubblewrap",
            "TERM": "xterm",
        }
        python = median(timed([sys.executable, "-c", "pass"], environment), 15)
        help_ = median(timed([*LAUNCH, "--help"], environment), 15)
        subprocess.run([*LAUNCH, "sessions"], env=environment, check=True)
        try:
            prompt_ = median(lambda: prompt(environment, folder), 9)
        finally:
            subprocess.run([*LAUNCH, "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)

        settings = load_settings().model_copy(
            update={"data_dir": Path(base) / "in-process", "sandbox": "bubblewrap"}
        )
        through, without = anyio.run(gate, settings, folder)
        greetings = ["hello", "who are you?", "thank you"]
        cached = anyio.run(first_output, settings, folder, greetings)
        restarted = anyio.run(first_output, settings, folder, greetings[:1])
    bare = "a bare `python -c pass`"
    return [
        Row("`llmasos --help`", "150 ms", help_, bare, python),
        Row("prompt on the screen, kernel running", "300 ms", prompt_, bare, python),
        Row(
            "added to an action by gate, records and events",
            "20 ms",
            through - without,
            "the action",
            without,
        ),
        Row("second request of a session: first output", "1,000 ms", statistics.median(cached[1:])),
        Row("first request after a restart: first output", "1,000 ms", restarted[0]),
    ]
