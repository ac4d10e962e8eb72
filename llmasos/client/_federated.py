"""What both clients ask about federated trainings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from llmasos.api.federated import (
    Exported,
    ExportRequest,
    RunInfo,
    RunPlanned,
    RunStep,
    RunVerified,
    TrainingRequest,
)
from llmasos.client._connection import Connection
from llmasos.client._names import path_part

_PREFIX = "/v1/federated/runs"


class FederatedCalls:
    """The part of the asynchronous client that trains federatedly."""

    async def plan_run(self: Connection, data: Sequence[str | Path], **options: Any) -> RunPlanned:
        """Plan a training: its data is looked at and its cost forecast, and nothing is trained yet.

        Args:
            data: Absolute paths or names of built-in data sets: one for each client, or one that is dealt.
            options: What else is asked for: `rounds`, `strategy`, `mu`, `target`, `clients`, `label`,
                `recipe`, `options` of the recipe, and the others of `llmasos federated run`.

        Raises:
            RequestRefused: It is impossible; nothing of it is left.
        """
        wanted = TrainingRequest(data=tuple(map(str, data)), **options)
        return await self.request("POST", _PREFIX, RunPlanned, wanted)

    async def start_run(self: Connection, run: str) -> RunInfo:
        """Begin a training that was planned, or go on with one that was stopped or interrupted.

        Raises:
            RequestRefused: There is none, it is under way, or it is over.
        """
        return await self.request("POST", f"{_path(run)}/start", RunInfo)

    async def runs(self: Connection) -> list[RunInfo]:
        """Return all trainings, the oldest first."""
        return await self.request("GET", _PREFIX, list[RunInfo])

    async def run(self: Connection, run: str) -> RunInfo:
        """Return how a training stands.

        Raises:
            RequestRefused: There is none.
        """
        return await self.request("GET", _path(run), RunInfo)

    async def remove_run(self: Connection, run: str) -> None:
        """Remove a training that is not under way; the ledger keeps its records."""
        async with self.stream("DELETE", _path(run)):
            return

    async def stop_run(self: Connection, run: str) -> RunInfo:
        """Stop a training; what its last round made stays, and it can be gone on with.

        Raises:
            RequestRefused: There is none, or it is not under way.
        """
        return await self.request("POST", f"{_path(run)}/stop", RunInfo)

    async def verify_run(self: Connection, run: str) -> RunVerified:
        """Return whether a training's model is the one that the ledger names.

        Raises:
            RequestRefused: There is none, or its model is not there or damaged.
        """
        return await self.request("POST", f"{_path(run)}/verify", RunVerified)

    async def export_run(self: Connection, run: str, folder: str | Path) -> list[Path]:
        """Copy a training's results, and what proves them, to a folder that is not there yet.

        Raises:
            RequestRefused: There are none, or the folder cannot be written.
        """
        wanted = ExportRequest(folder=str(Path(folder).expanduser().absolute()))
        made = await self.request("POST", f"{_path(run)}/export", Exported, wanted)
        return [Path(file) for file in made.files]

    @asynccontextmanager
    async def follow_run(self: Connection, run: str, after: int = 0) -> AsyncIterator[AsyncIterator[RunStep]]:
        """Follow what a training tells, from the step after the first `after` ones on, until it has ended."""
        async with self.stream("GET", f"{_path(run)}/events", query={"after": str(after)}) as response:
            yield _steps(response.aiter_lines())


def _path(run: str) -> str:
    return f"{_PREFIX}/{path_part(run)}"


async def _steps(lines: AsyncIterator[str]) -> AsyncIterator[RunStep]:
    async for line in lines:
        if line.startswith("data: "):
            yield RunStep.model_validate_json(line.removeprefix("data: "))
