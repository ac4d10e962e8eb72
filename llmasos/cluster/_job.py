"""One map: which items are read, which tasks run, and how they ended."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Any

import anyio

from llmasos.cluster._pace import Pace
from llmasos.cluster._task import Reply
from llmasos.cluster.executor import Outcome, Progress, State, Stored, TaskTimeout, TaskUnknown, Work
from llmasos.cluster.port import ClusterError, WorkerDied


@dataclass(slots=True)
class Task:
    """One item on its way.

    Args:
        index: Which one.
        payload: The pickled item.
        tries: How often it was begun.
    """

    index: int
    payload: bytes
    tries: int = 0


class Job:
    """What both executors know of a map that runs in some `lanes`; when more may run, `wake` is called.

    Args:
        function: What to run.
        items: What to run it on.
        work: How.
        watch: Told of progress.
        pace: How many tasks go together.
        dumps: Pickles the function.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        work: Work | None,
        watch: Callable[[Progress], None] | None,
        pace: Pace,
        dumps: Callable[[Any], bytes] = pickle.dumps,
    ) -> None:
        self.work = work or Work()
        self.pace = pace
        try:
            self.function = dumps(function)
        except Exception as error:
            raise ClusterError(
                f"The function {getattr(function, '__qualname__', function)} cannot be sent to a worker: "
                f"{error}.",
                hint="Define it at the top of a module, and hand it what it needs with each item.",
            ) from error
        self.lanes = 0
        self.wake: Callable[[], None] = lambda: None
        self._items = enumerate(items)
        self._total = len(items) if isinstance(items, Sized) else None
        self._watch = watch
        self._again: deque[Task] = deque()
        self._read = self._handed_out = 0
        self._all_read = self._starved = False
        self._counts: dict[State, int] = {"done": 0, "failed": 0, "unknown": 0}
        self._begun_again = 0
        self._ready: dict[int, Outcome] = {}
        self._changed = anyio.Event()
        self._broken: BaseException | None = None

    def waits(self) -> bool:
        """Whether tasks wait for a worker."""
        if self._broken is not None:
            return False
        return bool(self._again) or not (self._all_read or self._read - self._handed_out >= self.work.window)

    def take(self) -> list[Task]:
        """Return the tasks that are run together next; none when there are none now."""
        if self._broken is not None:
            return []
        if self._again:
            # One that may have brought its worker down goes alone, or takes others with it.
            tasks = [self._again.popleft()]
            while not tasks[0].tries and self._again and not self._again[0].tries:
                if len(tasks) == self.pace.size():
                    break
                tasks.append(self._again.popleft())
            return tasks
        room = self.work.window - (self._read - self._handed_out)
        self._starved = room <= 0
        return self._next(min(room, self.pace.size()))

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Take back tasks that have not begun."""
        self._again.extendleft(reversed(list(tasks)))

    def ended(self, task: Task, reply: Reply, where: str, load: Callable[[], Any] | None = None) -> None:
        """Take in how a task ended.

        Args:
            task: The task.
            reply: What its worker says.
            where: Which worker.
            load: Fetches the result where it is kept elsewhere.
        """
        self.pace.note(reply.seconds)
        value: Any = None
        failure: Exception | None = None
        try:
            if reply.failed:
                failure = pickle.loads(reply.payload).error()
            elif load is not None:
                value = Stored(reply.size, load)
            else:
                value = pickle.loads(reply.payload)
        except Exception as error:
            failure = ClusterError(
                f"The result of task {task.index} cannot be read here: {type(error).__name__}: {error}.",
                hint="Return what can be pickled, of classes that can be imported here, too.",
            )
        state: State = "done" if failure is None else "failed"
        tries = task.tries + 1
        self._end(Outcome(task.index, state, value, failure, reply.output, tries, reply.seconds, where))

    def died(self, task: Task, why: str, output: str = "", where: str = "") -> None:
        """Take in that a worker died with a task that it may have begun."""
        task.tries += 1
        if self.work.idempotent and task.tries < self.work.tries:
            self._begun_again += 1
            self._again.appendleft(task)
            self._tell()
            return
        error: ClusterError = TaskUnknown(
            f"Task {task.index} may or may not have done its work: {why}. It was not run again.",
            hint="Look at what it did, or say that it is idempotent, so that it may run again.",
        )
        if self.work.idempotent:
            error = WorkerDied(
                f"Task {task.index} was begun {task.tries} times, and each time its worker ended: {why}.",
                hint="Look at what it printed; it may need more memory.",
            )
        state: State = "failed" if self.work.idempotent else "unknown"
        self._end(Outcome(task.index, state, None, error, output, task.tries, 0.0, where))

    def refused(self, index: int, error: ClusterError, tries: int = 0) -> None:
        """Take in that a task cannot begin."""
        self._end(Outcome(index, "failed", error=error, tries=tries))

    def late(self, task: Task, output: str = "", where: str = "") -> None:
        """Take in that a task outlived its time and was ended."""
        seconds = self.work.timeout or 0.0
        error = TaskTimeout(
            f"Task {task.index} took longer than {seconds:g} s, and was ended.", hint="Give it more time."
        )
        self._end(Outcome(task.index, "failed", None, error, output, task.tries + 1, seconds, where))

    def fail(self, error: BaseException) -> None:
        """End the map with an error that is not a task's."""
        self._broken = self._broken or error
        self._changed.set()

    async def outcomes(self) -> AsyncGenerator[Outcome]:
        """Yield how the tasks ended.

        Raises:
            ClusterError: The map as a whole failed.
        """
        while True:
            while self._ready:
                index = self._handed_out if self.work.ordered else next(iter(self._ready))
                if (outcome := self._ready.pop(index, None)) is None:
                    break
                self._handed_out += 1
                yield outcome
                if self._starved:
                    self.wake()
            if self._broken is not None:
                raise self._broken
            if self._all_read and self._handed_out == self._read:
                return
            self._changed = anyio.Event()
            self.wake()
            await self._changed.wait()

    def _next(self, count: int) -> list[Task]:
        tasks: list[Task] = []
        while len(tasks) < count:
            try:
                index, item = next(self._items)
            except StopIteration:
                self._all_read = True
                self._total = self._read
                self._changed.set()
                break
            except BaseException as error:
                self.fail(error)
                break
            self._read += 1
            try:
                tasks.append(Task(index, pickle.dumps(item, 5)))
            except Exception as error:
                failure = ClusterError(
                    f"Item {index}, a {type(item).__name__}, cannot be sent to a worker: {error}.",
                    hint="Hand over what can be pickled, such as a path in place of an open file.",
                )
                self.refused(index, failure)
        return tasks

    def _end(self, outcome: Outcome) -> None:
        self._counts[outcome.state] += 1
        self._ready[outcome.index] = outcome
        self._changed.set()
        self._tell()

    def _tell(self) -> None:
        if self._watch is None:
            return
        running = self._read - sum(self._counts.values())
        progress = Progress(total=self._total, **self._counts, running=running, again=self._begun_again)
        try:
            self._watch(progress)
        except Exception as error:
            self._watch = None
            self.fail(error)
