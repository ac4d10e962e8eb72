"""A run in a process of its own: started, followed through its folder, and ended with all that it started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess

import anyio
import anyio.abc

from llmasos.federated.events import RoundEnded, RunEnded, RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.port import FederatedError, RunStatus
from llmasos.paths import cache_dir
from llmasos.secrets import bare_environment

_STOP_SECONDS = 4.0
# How libraries compute on this machine, which the workers of a cluster's nodes know, too: sums depend on it.
_NUMERIC = ("OPENBLAS_", "MKL_")
_QUIET = {
    # One thread for each client: they run side by side, and sums stay the same on every machine.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class ProcessRun:
    """A run whose backend is a program: `python -m MODULE train FOLDER`.

    The program keeps what happens in the folder and writes a line whenever there is more. It ends on SIGTERM,
    and in any case soon after.

    Args:
        folder: The run's folder.
        module: The backend's module.
        tasks: Where the program is waited for.
        variables: What it needs in its environment beside what all do.
    """

    def __init__(
        self,
        folder: RunFolder,
        module: str,
        tasks: anyio.abc.TaskGroup,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._files = folder
        self._module = module
        self._tasks = tasks
        self._variables = dict(variables or {})
        self._process: anyio.abc.Process | None = None
        self._stopped = False
        self._events: list[RunEvent] = []
        self._place = 0
        self._more = anyio.Event()
        self._read()

    @property
    def id(self) -> str:
        """What it is asked for by."""
        return self._files.id

    @property
    def folder(self) -> Path:
        """Where everything of it is kept."""
        return self._files.path

    @property
    def pid(self) -> int | None:
        """Its program's process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self._process is not None

    async def start(self) -> None:
        """Begin, or go on from the newest checkpoint.

        Raises:
            FederatedError: It runs already, is over, or its program does not start.
        """
        if self._process is not None:
            raise FederatedError(f"The run {self.id} is under way already.")
        if self.status().state in ("completed", "target"):
            raise FederatedError(
                f"The run {self.id} is over.", hint="Export it, or begin another one with more rounds."
            )
        environment = environment_of(self.folder) | self._variables
        self._stopped = False
        with self._files.log_file.open("ab") as log:
            self._process = await anyio.open_process(
                [sys.executable, "-m", self._module, "train", str(self.folder), str(os.getpid())],
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        self._tasks.start_soon(self._follow, self._process)

    async def events(self, after: int = 0) -> AsyncGenerator[RunEvent]:
        """Yield what happened after the first `after` events, until the program has ended."""
        place = after
        while True:
            more = self._more
            while place < len(self._events):
                yield self._events[place]
                place += 1
            if self._process is None:
                return
            await more.wait()

    def told(self, after: int = 0) -> list[RunEvent]:
        """Return what has happened so far after the first `after` events."""
        return self._events[after:]

    async def cancel(self) -> None:
        """Stop it, with every process of it."""
        process = self._process
        if process is None:
            return
        self._stopped = True
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.terminate()
            with anyio.move_on_after(_STOP_SECONDS):
                await process.wait()
            _end(process.pid)
            while self._process is process:
                await self._more.wait()

    def status(self) -> RunStatus:
        """Return how it stands."""
        return status_of(self._files, self._events, running=self.running)

    def checkpoint(self) -> Path | None:
        """Return the newest checkpoint's file."""
        found = self._files.checkpoints()
        return found[-1] if found else None

    async def _follow(self, process: anyio.abc.Process) -> None:
        try:
            assert process.stdout is not None
            async for _ in process.stdout:
                self._read()
            await process.wait()
        finally:
            # Whatever the program started is in its session's group.
            _end(process.pid)
            with anyio.CancelScope(shield=True):
                await process.aclose()
            self._process = None
            self._read()
            if self._stopped and self.status().state in ("planned", "interrupted"):
                self._tell_stopped()

    def _tell_stopped(self) -> None:
        """Tell the end of a program that was stopped and had no time to: it gives way to all others."""
        last = next((event for event in reversed(self._events) if isinstance(event, RoundEnded)), None)
        done, sha256 = (last.round, last.weights_sha256) if last else (0, "")
        ended = RunEnded(
            run=self.id, state="stopped", rounds=done, reason="you stopped it", weights_sha256=sha256
        )
        self._files.tell(ended)
        self._read()

    def _read(self) -> None:
        for event, place in self._files.told(self._place):
            self._events.append(event)
            self._place = place
        more, self._more = self._more, anyio.Event()
        more.set()


async def ask_program(
    folder: Path, log: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> CompletedProcess[bytes]:
    """Run a program of ours to its end, in a session of its own that ends with this process.

    Args:
        folder: The one place that it has.
        log: Where what it says beside its answer goes.
        arguments: The module, and what it is told; this process's number comes after that.
        variables: What it needs in its environment beside what all do.
    """
    with log.open("ab") as file:
        return await anyio.run_process(
            [sys.executable, "-m", *arguments, str(os.getpid())],
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=file,
            cwd=folder,
            env=environment_of(folder) | dict(variables or {}),
            check=False,
            start_new_session=True,
        )


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of programs that know no secrets, send nothing home, and have one folder."""
    places = {name: str(folder / "home") for name in ("HOME", "FLWR_HOME", "MPLCONFIGDIR", "TMPDIR")}
    (folder / "home").mkdir(exist_ok=True)
    # Data sets that were fetched are read from where they were put, which depends on HOME.
    found = {**bare_environment(*_NUMERIC), **_QUIET, **places, "LLMASOS_CACHE_DIR": str(cache_dir())}
    if "PYTHONPATH" in os.environ:
        found["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return found


def status_of(folder: RunFolder, events: list[RunEvent], *, running: bool) -> RunStatus:
    """Return how a run stands, by what it told."""
    status = RunStatus(id=folder.id, plan=folder.plan, state="running" if running else "planned")
    update: dict[str, object] = {}
    for event in events:
        if event.type == "run_started":
            update.setdefault("started", event.at)
            update |= {"state": "running" if running else "interrupted", "ended": None, "reason": ""}
        elif event.type == "round_ended":
            update |= {"round": event.round, "loss": event.loss, "accuracy": event.accuracy}
        elif event.type == "run_ended":
            update |= {"state": event.state, "ended": event.at, "reason": event.reason}
    return status.model_copy(update=update)


def _end(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
