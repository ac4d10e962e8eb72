"""All trainings of a kernel: planned, started, followed, stopped, resumed and exported."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import anyio.abc
import anyio.to_thread
from pydantic import ValidationError

from llmasos.federated.events import RunEvent
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError, Prepared, RunStatus
from llmasos.federated.run import ProcessRun, environment_of

BACKENDS = {"local": "llmasos.federated.local", "deployment": "llmasos.federated.deployment"}
_PREPARE_SECONDS = 600.0

Record = Callable[[RunEvent], Awaitable[None]]
"""Puts what a run tells into the ledger."""


class Runs:
    """Trainings, each in a folder and a process of its own.

    Args:
        root: The folder of all runs.
        tasks: Where runs are followed.
        record: Records what runs tell.
        backends: The modules of backends, by name.
    """

    def __init__(
        self,
        root: Path,
        tasks: anyio.abc.TaskGroup,
        record: Record,
        backends: Mapping[str, str] = BACKENDS,
    ) -> None:
        self._root = root
        self._tasks = tasks
        self._record = record
        self._backends = backends
        self._running: dict[str, ProcessRun] = {}

    async def prepare(self, plan: Plan) -> Prepared:
        """Look at the data, have the clients agree, and forecast; nothing is trained yet.

        Raises:
            FederatedError: The training is impossible; nothing of it is left.
        """
        module = self._module(plan)
        folder = await anyio.to_thread.run_sync(RunFolder.make, self._root, plan)
        try:
            told = await self._ask(folder, module)
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
        run = ProcessRun(folder, self._module(folder.plan), self._tasks)
        self._running[name] = run
        try:
            await run.start()
        except BaseException:
            del self._running[name]
            raise
        self._tasks.start_soon(self._follow, run)
        return run

    async def recover(self) -> None:
        """Record what runs told before a kernel ended that did not come to record it."""
        for folder in await anyio.to_thread.run_sync(RunFolder.all, self._root):
            await self._record_new(folder)

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
        return ProcessRun(folder, self._module(folder.plan), self._tasks)

    def status(self, name: str) -> RunStatus:
        """Return how a run stands.

        Raises:
            FederatedError: There is no such run.
        """
        return self.get(name).status()

    def all(self) -> list[RunStatus]:
        """Return all runs, the oldest first; those whose folders are damaged are left out."""
        found = []
        for folder in RunFolder.all(self._root):
            try:
                found.append(self.status(folder.id))
            except (FederatedError, ValidationError):
                continue
        return found

    async def export(self, name: str, target: Path) -> list[Path]:
        """Copy a run's results and what proves them to a folder that is not there yet.

        Raises:
            FederatedError: There is no such run, it has no results yet, or the target is in use.
        """
        folder = self._folder(name)
        if not folder.results.is_dir():
            raise FederatedError(
                f"The run {name} has no results yet: it is {self.status(name).state}.",
                hint=f"Go on with it: llmasos federated resume {name}",
            )
        try:
            await anyio.to_thread.run_sync(shutil.copytree, folder.results, target)
            for file in ("plan.json", "events.jsonl"):
                await anyio.to_thread.run_sync(shutil.copy2, folder.path / file, target / file)
        except OSError as error:
            raise FederatedError(
                f"The run {name} cannot be written to {target}: {error.strerror}.",
                hint="Name a folder that is not there yet.",
            ) from error
        return sorted(target.iterdir())

    async def close(self) -> None:
        """Stop all trainings; they can be resumed."""
        async with anyio.create_task_group() as group:
            for run in list(self._running.values()):
                group.start_soon(run.cancel)

    async def _follow(self, run: ProcessRun) -> None:
        folder = RunFolder(run.folder)
        try:
            async for _ in run.events():
                await self._record_new(folder)
        finally:
            self._running.pop(run.id, None)

    async def _record_new(self, folder: RunFolder) -> None:
        for event, place in folder.told(folder.recorded):
            await self._record(event)
            folder.recorded = place

    async def _ask(self, folder: RunFolder, module: str) -> Prepared:
        command = [sys.executable, "-m", module, "prepare", str(folder.path), str(os.getpid())]
        with folder.log_file.open("ab") as log:
            try:
                with anyio.fail_after(_PREPARE_SECONDS):
                    done = await anyio.run_process(
                        command,
                        stdin=DEVNULL,
                        stdout=PIPE,
                        stderr=log,
                        cwd=folder.path,
                        env=environment_of(folder),
                        check=False,
                        start_new_session=True,
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
            raise FederatedError(
                f"There is no run {name}.", hint="List the runs with: llmasos federated list"
            )
        return RunFolder(path)

    def _module(self, plan: Plan) -> str:
        if plan.backend not in self._backends:
            raise FederatedError(
                f"There is no backend {plan.backend}.", hint=f"There are: {', '.join(self._backends)}."
            )
        return self._backends[plan.backend]
