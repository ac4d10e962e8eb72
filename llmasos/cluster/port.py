"""The cluster port: an object is placed on a worker, called there, and its end is noticed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

from pydantic import BaseModel, Field

from llmasos.errors import LLMasOSError


class ClusterError(LLMasOSError):
    """A cluster that cannot be reached, or has no place for a worker."""

    code = "cluster"


class WorkerDied(ClusterError):
    """The process of a worker ended."""


class Share(BaseModel, frozen=True):
    """What a worker or a task takes of a machine, and of which.

    Args:
        cpus: Cores.
        gpus: GPUs; a part of one is shared with others.
        memory: Bytes; 0 says nothing.
        custom: Of what machines are said to have, such as `docker`, how much.
        node: The machine's name or address; empty is any.
        spread: Whether to go where little runs, and not where something runs already.
    """

    cpus: float = Field(1.0, ge=0)
    gpus: float = Field(0.0, ge=0)
    memory: int = Field(0, ge=0)
    custom: dict[str, float] = {}
    node: str = ""
    spread: bool = False

    def __str__(self) -> str:
        """Say it in words."""
        parts = [f"{self.cpus:g} cores"]
        parts += [f"{self.gpus:g} GPUs"] * (self.gpus > 0)
        parts += [f"{self.memory:,} bytes of memory"] * (self.memory > 0)
        parts += [f"{amount:g} of {name}" for name, amount in self.custom.items()]
        where = f" on {self.node}" if self.node else ""
        return (", ".join(parts[:-1]) + " and " if parts[1:] else "") + parts[-1] + where


class Machine(BaseModel, frozen=True):
    """A machine of a cluster.

    Args:
        name: Its name.
        address: Its address.
        alive: Whether it is there; one that ended is told for a while.
        has: What it has, by Ray's names.
        free: What of it nobody has taken.
    """

    name: str
    address: str
    alive: bool
    has: dict[str, float]
    free: dict[str, float]


class Worker(Protocol):
    """An object on a worker.

    What goes there and back is pickled; errors that its methods raise are raised here.
    """

    @property
    def pid(self) -> int:
        """The process that it runs in."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call an asynchronous method; cancelling the call cancels the method.

        Raises:
            WorkerDied: The worker's process ended.
        """

    def stream(self, method: str, *arguments: Any) -> AsyncGenerator[Any]:
        """Yield what an asynchronous generator method yields; it has ended when this one is closed.

        Raises:
            WorkerDied: The worker's process ended.
        """

    async def died(self) -> str:
        """Wait until the worker's process has ended, and return why."""

    async def stop(self) -> None:
        """End the worker's process."""


class Cluster(Protocol):
    """Machines, or this one, that workers are placed on."""

    async def place(
        self, make: Callable[..., Awaitable[Any]], *arguments: Any, share: Share | None = None
    ) -> Worker:
        """Make an object on a worker and return it.

        Args:
            make: Makes the object, on the worker.
            arguments: What `make` is given.
            share: What the worker takes of its machine; None is one core.

        Raises:
            ClusterError: There is no place for it.
            WorkerDied: The worker ended before the object was made.
        """

    async def close(self) -> None:
        """Stop every worker that was placed."""
