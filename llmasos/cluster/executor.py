"""The executor port: a function runs over many items, on the cores of this machine or of many."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, Field

from llmasos.cluster.port import Cluster, ClusterError, Share

R = TypeVar("R")
State = Literal["done", "failed", "unknown"]


class TaskUnknown(ClusterError):
    """A task whose worker died, so that nobody knows what it did; it was not run again."""

    code = "unknown"


class TaskTimeout(ClusterError):
    """A task that outlived its time, and was ended."""


class Work(BaseModel, frozen=True):
    """How tasks are run.

    Args:
        share: What each takes of a machine.
        idempotent: Whether a task may run again after its worker died. Any other ends as `unknown` then.
        tries: How often an idempotent one is begun at most.
        timeout: Seconds that a task may take once its function is loaded; one that takes longer is ended with
            what it has started.
        ordered: Whether outcomes come in the order of the items, or as they come.
        window: How many items are on their way at most, from being read to being handed out.
        inline: Bytes of a result; a larger one waits in a file or in the cluster until it is asked for.
    """

    share: Share = Share()
    idempotent: bool = False
    tries: int = Field(3, ge=1)
    timeout: float | None = Field(None, gt=0)
    ordered: bool = True
    window: int = Field(2000, ge=1)
    inline: int = Field(1 << 20, ge=0)


class Progress(BaseModel, frozen=True):
    """How far a map is.

    Args:
        total: How many items there are; None while that is not known.
        done: How many ended well.
        failed: How many did not.
        unknown: How many ended with their worker.
        running: How many were read and have not ended.
        again: How many were begun again.
    """

    total: int | None
    done: int
    failed: int
    unknown: int
    running: int
    again: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A large result that lies elsewhere.

    Args:
        size: Its bytes.
        load: Fetches it.
    """

    size: int
    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    Args:
        index: Which item it was for, from 0.
        state: `done`, `failed`, or `unknown` when its worker died and it must not run again.
        value: What it returned, or where that is stored.
        error: Why it did not end well.
        output: What it and its programs printed, up to 64 KiB.
        tries: How often it was begun.
        seconds: How long it took.
        where: The process, and its machine if that is another one.
    """

    index: int
    state: State
    value: Any = None
    error: Exception | None = None
    output: str = ""
    tries: int = 1
    seconds: float = 0.0
    where: str = ""

    def result(self) -> Any:
        """Return what the task returned, fetching it if it is large.

        Raises:
            TaskUnknown: Its worker died.
            TaskTimeout: It outlived its time.
            Exception: What it raised.
        """
        if self.error is not None:
            raise self.error
        return self.value.load() if isinstance(self.value, Stored) else self.value


class Executor(Cluster, Protocol):
    """Runs tasks, and places workers."""

    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        work: Work | None = None,
        watch: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Run a function over items and yield how each task ended.

        Closing the generator ends the tasks that run, and what they have started. Items are read as they
        are needed, so there may be any number.

        Args:
            function: What to run; it is pickled, as items and results are.
            items: What to run it on, each by itself.
            work: How.
            watch: Told of progress.

        Raises:
            ClusterError: The function cannot be sent, or no machine has what a task takes.
        """

    async def run(self, function: Callable[..., R], *arguments: Any, work: Work | None = None) -> R:
        """Run one task and return what it returns.

        Args:
            function: What to run.
            arguments: What it is given.
            work: How.

        Raises:
            TaskUnknown: Its worker died, and it was not run again.
            TaskTimeout: It outlived its time.
            ClusterError: It cannot be sent, or no machine has what it takes.
        """
        outcomes = self.map(partial(call, function), [arguments], work)
        try:
            result: R = (await anext(outcomes)).result()
            return result
        finally:
            await outcomes.aclose()


def call(function: Callable[..., R], arguments: tuple[Any, ...]) -> R:
    """Call a function with its arguments."""
    return function(*arguments)
