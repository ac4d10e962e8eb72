"""All trainings of a kernel: planned, started, followed, stopped, resumed and exported."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
from pydantic import ValidationError

from llmasos.errors import LLMasOSError
from llmasos.federated.events import RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError, Prepared, RunStatus, UnknownRun
from llmasos.federated.ray.address import variables as cluster_variables
from llmasos.federated.results import Results
from llmasos.federated.run import ProcessRun, ask_program
from llmasos.federated.silos import LinkedSilos, Silos

BACKENDS = {
    "local": "llmasos.federated.local",
    "deployment": "llmasos.federated.deployment",
    "ray": "llmasos.federated.ray",
}
_PREPARE_SECONDS = 600.0
COPIES = "data"
"""The folder of a run that data is copied to."""

_OVER = ("completed", "target")
_log = logging.getLogger(__name__)

Record = Callable[[RunEvent], Awaitable[None]]
"""Puts what a run tells into the ledger."""

Gather = Callable[[Path], Awaitable[Plan]]
"""Brings the data of a run into its folder, and returns the plan that names it there."""


class Runs:
    """Trainings, each in a folder and a process of its own; and `silos`, which asks machines of a federation.

    Args:
        root: The folder of all runs.
        tasks: Where runs are followed.
        record: Records what runs tell.
        backends: The modules of backends, by name.
        cluster: The address of a Ray cluster for those who use one; empty for this machine's or their own.
    """

    def __init__(
        self,
        root: Path,
        tasks: anyio.abc.TaskGroup,
        record: Record,
        backends: Mapping[str, str] = BACKENDS,
        cluster: str = "",
    ) -> None:
        self._root = root
        self._tasks = tasks
        self._record = record
        self._backends = backends
        self._cluster = cluster
        self.silos: Silos = LinkedSilos(root)
        self._running: dict[str, ProcessRun] = {}
        self._followed: dict[str, anyio.Event] = {}

    async def prepare(self, plan: Plan | Gather, *, owner: str = "") -> Prepared:
        """Look at the data, have the clients agree, and forecast; nothing is trained yet.

        Args:
            plan: What is trained, or what brings its data into the run's folder first.
            owner: The key of the program that asks; empty for this machine's own user.

        Raises:
            FederatedError: The training is impossible; nothing of it is left.
        """
        folder = await anyio.to_thread.run_sync(RunFolder.make, self._root)
        try:
            folder.plan = plan if isinstance(plan, Plan) else await plan(folder.path)
            folder.owner = owner
            told = await self._ask(folder)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(shutil.rmtree, folder.path)
            raise
        return told.model_copy(update={"id": folder.id})

    async def start(self, name: str) -> ProcessRun:
        """Begin a training that was prepared, or go on with one that was stopped or interrupted.

        Raises:
            FederatedError: There is no such run, it is under way, or it is over.
        """
        if name in self._running:
            raise FederatedError(f"The run {name} is under way already.")
        folder = self._folder(name)
        run = self._run(folder)
        self._running[name] = run
        try:
            await run.start()
        except BaseException:
            del self._running[name]
            raise
        self._followed[name] = anyio.Event()
        self._tasks.start_soon(self._follow, run)
        return run

    async def settled(self, name: str) -> None:
        """Wait until what a run told to its end is recorded; return at once for one that is not under way."""
        if name in self._followed:
            await self._followed[name].wait()

    async def recover(self) -> None:
        """Record what runs told before a kernel ended that did not come to record it.

        What was left of a run that it was just preparing is removed.
        """
        for folder in await anyio.to_thread.run_sync(RunFolder.all, self._root):
            await self._record_new(folder)
        for path in self._root.glob("f-*"):
            if not (path / "plan.json").exists():
                await anyio.to_thread.run_sync(shutil.rmtree, path)

    async def remove(self, name: str) -> None:
        """Remove a training with its data and results; what the ledger has of it stays.

        Raises:
            FederatedError: There is no such run, or it is under way.
        """
        folder = self._folder(name)
        if name in self._running:
            raise FederatedError(
                f"The run {name} is under way.", hint=f"Stop it with: llmasos federated stop {name}"
            )
        await anyio.to_thread.run_sync(shutil.rmtree, folder.path)

    async def stop(self, name: str) -> RunStatus:
        """Stop a training; what its last checkpoint holds stays.

        Raises:
            FederatedError: There is no such run, or it is not under way.
        """
        run = self._running.get(name)
        if run is None:
            status = self.status(name)
            raise FederatedError(f"The run {name} is not under way: it is {status.state}.")
        await run.cancel()
        return run.status()

    def get(self, name: str) -> ProcessRun:
        """Return a run, under way or not.

        Raises:
            FederatedError: There is no such run.
        """
        if name in self._running:
            return self._running[name]
        folder = self._folder(name)
        return self._run(folder)

    def status(self, name: str) -> RunStatus:
        """Return how a run stands.

        Raises:
            FederatedError: There is no such run.
        """
        return self.get(name).status()

    def owner(self, name: str) -> str:
        """Return the key of the program that began a run; empty for this machine's own user.

        Raises:
            FederatedError: There is no such run.
        """
        return self._folder(name).owner

    def all(self) -> list[RunStatus]:
        """Return all runs, the oldest first; those whose folders are damaged are left out."""
        found = []
        for folder in RunFolder.all(self._root):
            try:
                found.append(self.status(folder.id))
            except (FederatedError, ValidationError):
                continue
        return found

    def results(self, name: str) -> Results:
        """Return what came of a run.

        Raises:
            FederatedError: There is no such run.
        """
        return Results(self._folder(name))

    async def close(self) -> None:
        """Stop all trainings; they can be resumed."""
        async with anyio.create_task_group() as group:
            for run in list(self._running.values()):
                group.start_soon(run.cancel)
        # How they ended is to be in the ledger before it is closed.
        for followed in list(self._followed.values()):
            await followed.wait()

    async def _follow(self, run: ProcessRun) -> None:
        folder = RunFolder(run.folder)
        try:
            await self._record_all(run, folder)
            if run.status().state in _OVER:
                # Copies of data that nobody trains on any more.
                await anyio.to_thread.run_sync(shutil.rmtree, folder.path / COPIES, True)
        finally:
            self._running.pop(run.id, None)
            self._followed.pop(run.id).set()

    async def _record_all(self, run: ProcessRun, folder: RunFolder) -> None:
        try:
            async for _ in run.events():
                await self._record_new(folder)
        except (LLMasOSError, OSError) as error:
            # What cannot be recorded does not go on; it is recorded when the kernel starts again.
            _log.error("the run %s is stopped, as it cannot be recorded: %s", run.id, error)
            await run.cancel()

    async def _record_new(self, folder: RunFolder) -> None:
        for event, place in folder.told(folder.recorded):
            await self._record(event)
            folder.recorded = place

    def _run(self, folder: RunFolder) -> ProcessRun:
        plan = folder.plan
        return ProcessRun(folder, self._module(plan), self._tasks, self._variables(plan))

    def _variables(self, plan: Plan) -> dict[str, str]:
        return cluster_variables(self._cluster) if plan.backend == "ray" else {}

    async def _ask(self, folder: RunFolder) -> Prepared:
        plan = folder.plan
        try:
            with anyio.fail_after(_PREPARE_SECONDS):
                done = await ask_program(
                    folder.path,
                    folder.log_file,
                    self._module(plan),
                    "prepare",
                    str(folder.path),
                    variables=self._variables(plan),
                )
        except TimeoutError:
            raise FederatedError(
                f"Looking at the data took longer than {_PREPARE_SECONDS:g} seconds.",
                hint="Try with less data.",
            ) from None
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode == 2:
            message, _, hint = text.strip().partition("\n")
            raise FederatedError(message, hint=hint)
        if done.returncode != 0:
            last = folder.log_file.read_text("utf-8", "replace").strip().rpartition("\n")[2]
            raise FederatedError(
                f"Looking at the data failed: {last or f'exit code {done.returncode}'}.",
                hint="Check that `pip install 'llmasos[federated]'` was done.",
            )
        return Prepared.model_validate_json(text)

    def _folder(self, name: str) -> RunFolder:
        path = self._root / name
        if path.parent != self._root or not (path / "plan.json").is_file():
            raise UnknownRun(f"There is no run {name}.", hint="List the runs with: llmasos federated list")
        return RunFolder(path)

    def _module(self, plan: Plan) -> str:
        if plan.backend not in self._backends:
            raise FederatedError(
                f"There is no backend {plan.backend}.", hint=f"There are: {', '.join(self._backends)}."
            )
        return self._backends[plan.backend]


def installed_runs(runs: Runs | None) -> Runs:
    """Return the trainings of a kernel.

    Args:
        runs: None where the extra is not installed.

    Raises:
        FederatedError: It is not.
    """
    if runs is None:
        raise FederatedError(
            "Federated training is not installed.",
            hint="Install it with `pip install 'llmasos[federated]'`, then `llmasos stop`.",
        )
    return runs
