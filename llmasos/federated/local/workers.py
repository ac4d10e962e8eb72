"""Forked workers that clients run in, each with a deadline: one that dies or hangs takes nobody with it."""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from llmasos.parents import end_with

_ENDING_SECONDS = 2.0
# The most that Linux gives to everybody.
_PIPE = 2**20


@dataclass(frozen=True)
class Answer:
    """What became of a job.

    Args:
        value: What the work returned; None when it did not.
        failure: Why it did not: empty, or a sentence's part such as `it died (signal 9)`.
        late: Whether it was ended because its time was over.
    """

    value: Any = None
    failure: str = ""
    late: bool = False


class Workers:
    """Processes that are copies of this one, made when they are first needed.

    They inherit what was loaded before, so that data need not be sent. Each job runs in one of them, and
    which one it is makes no difference to what comes out as long as the work itself does not tell.

    Args:
        work: Done in a worker with each job; what it takes and returns is pickled.
        count: How many jobs run at once.
        ready: Done in each worker before its first job, which it may speed up.
    """

    def __init__(
        self, work: Callable[[Any], Any], count: int, ready: Callable[[], object] = lambda: None
    ) -> None:
        self._work = work
        self._ready = ready
        self._count = count
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, int, float]] = {}

    def run(self, jobs: Sequence[Any], seconds: float) -> Generator[tuple[int, Answer]]:
        """Yield each job's place and answer, as they come.

        Args:
            jobs: What the work is done with.
            seconds: How long each may take.
        """
        waiting = deque(enumerate(jobs))
        try:
            while waiting or self._busy:
                self._give(waiting, seconds)
                for place, answer in self._answered():
                    # Whoever is free goes on while the answer is looked at.
                    self._give(waiting, seconds)
                    yield place, answer
        finally:
            for worker, _, _ in self._busy.values():
                worker.end()
            self._busy.clear()

    def _give(self, waiting: deque[tuple[int, Any]], seconds: float) -> None:
        while waiting and len(self._busy) < self._count:
            place, job = waiting.popleft()
            worker = self._idle.pop() if self._idle else _Worker(self._work, self._ready)
            if worker.give(job):
                self._busy[worker.pipe] = (worker, place, time.monotonic() + seconds)
            else:
                # It died while it had nothing to do: another one gets the job.
                worker.end()
                waiting.appendleft((place, job))

    def warm(self) -> None:
        """Make a worker now if there is none that is free."""
        if not self._idle:
            self._idle.append(_Worker(self._work, self._ready))

    def close(self) -> None:
        """End all workers."""
        while self._idle:
            self._idle.pop().end()

    def _answered(self) -> Iterator[tuple[int, Answer]]:
        nearest = min(deadline for _, _, deadline in self._busy.values())
        ready = wait(list(self._busy), max(0.0, nearest - time.monotonic()))
        for pipe in ready:
            assert isinstance(pipe, Connection)
            worker, place, _ = self._busy.pop(pipe)
            answer = worker.take()
            if worker.alive:
                self._idle.append(worker)
            else:
                worker.end()
            yield place, answer
        now = time.monotonic()
        for pipe, (worker, place, deadline) in list(self._busy.items()):
            if deadline <= now and not pipe.poll():
                del self._busy[pipe]
                worker.end()
                yield place, Answer(failure="it took too long and was ended", late=True)


def answered(work: Callable[[Any], Any], job: Any) -> bytes:
    """Return what became of a job, pickled; what it raised is told in words."""
    try:
        return pickle.dumps(Answer(work(job)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        told = f"it raised {type(error).__name__}: {error}"
        return pickle.dumps(Answer(failure=told), pickle.HIGHEST_PROTOCOL)


class _Worker:
    def __init__(self, work: Callable[[Any], Any], ready: Callable[[], object]) -> None:
        context = get_context("fork")
        jobs, self._jobs = _pipe()
        self.pipe, answers = _pipe()
        ours = (self._jobs, self.pipe)
        self._process = context.Process(target=_serve, args=(jobs, answers, ours, work, ready, os.getpid()))
        self._process.start()
        jobs.close()
        answers.close()
        self.alive = True

    def give(self, job: Any) -> bool:
        try:
            self._jobs.send_bytes(pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
        except OSError:
            return False
        return True

    def take(self) -> Answer:
        try:
            answer = pickle.loads(self.pipe.recv_bytes())  # noqa: S301 - of our own worker
        except (EOFError, OSError):
            self.alive = False
            self._process.join(_ENDING_SECONDS)
            code = self._process.exitcode
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            return Answer(failure=f"it died ({how})")
        assert isinstance(answer, Answer)
        return answer

    def end(self) -> None:
        """End the process, with all that it started and left in its group."""
        self.alive = False
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join(_ENDING_SECONDS)
        self._process.close()
        self._jobs.close()
        self.pipe.close()


def _pipe() -> tuple[Connection, Connection]:
    """Return the ends of a pipe, to read and to write, that takes a small model whole without a wait."""
    reader, writer = get_context("fork").Pipe(duplex=False)
    with suppress(OSError):
        fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
    return reader, writer


def _serve(
    jobs: Connection,
    answers: Connection,
    parents: tuple[Connection, ...],
    work: Callable[[Any], Any],
    ready: Callable[[], object],
    parent: int,
) -> None:
    """Answer jobs until the parent has gone."""
    for end in parents:
        end.close()
    os.setpgid(0, 0)
    if not end_with(parent):
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Why it cannot be is told by the job that needs it.
    with suppress(Exception):
        ready()
    while True:
        try:
            job = pickle.loads(jobs.recv_bytes())  # noqa: S301 - of our own parent
        except (EOFError, OSError):
            os._exit(0)
        answers.send_bytes(answered(work, job))
