"""Jobs: lines of bash in the background, with the newest of what they print."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .channel import Frame
from .commands import Program
from .requests import GRACE, Request

if TYPE_CHECKING:
    from .supervisor import Supervisor

MOST_RUNNING = 16
MOST_KEPT = 64
_NEWEST = 1 << 20  # bytes kept of each job's output
_LARGEST_PIECE = 1 << 18


class Job:
    """A job.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, supervisor: Supervisor, name: str, command: str, env: dict[str, str] | None) -> None:
        self._supervisor = supervisor
        self.name = name
        self._command = command
        self._began = time.monotonic()
        self._seconds = 0.0
        self._code: int | None = None
        self._stopped = False
        self.running = True
        self._output = bytearray()
        self.written = 0
        self.waiting: list[JobOutput] = []
        self.stopping: list[Request] = []
        self._program = Program(supervisor, command, env, self._take, self._exited)

    def _take(self, stream: str, data: bytes) -> None:
        self.written += len(data)
        self._output += data
        # Not each time, because it moves all that is kept.
        if len(self._output) > 2 * _NEWEST:
            del self._output[:-_NEWEST]
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for request in waiting:
            request.look()

    def stop(self) -> None:
        """Interrupt, and kill when that does not help."""
        if self.running and not self._stopped:
            self._stopped = True
            self._program.interrupt()
            self._supervisor.loop.after(GRACE, lambda: self._program.kill() if self.running else None)

    def _exited(self, code: int, usage: Any) -> None:
        self._program.kill()
        self._program.drain()
        self.running = False
        self._code = None if self._stopped else code
        self._seconds = time.monotonic() - self._began
        self._supervisor.processes.sweep()
        self._wake()
        for request in self.stopping:
            request.finish({"job": self.shown()})
        self.stopping = []

    def shown(self) -> Frame:
        """Return the job as the host shows it."""
        return {
            "id": self.name,
            "command": self._command[:2000],
            "running": self.running,
            "exit_code": self._code,
            "seconds": self._seconds or time.monotonic() - self._began,
            "written": self.written,
        }

    def piece(self, offset: int) -> tuple[int, bytes]:
        """Return output from `offset` on, or from the oldest that is kept."""
        oldest = self.written - len(self._output)
        start = min(max(offset, oldest), self.written)
        return start, bytes(self._output[start - oldest : start - oldest + _LARGEST_PIECE])


class JobOutput(Request):
    """A wait for more output of a job."""

    def __init__(self, supervisor: Supervisor, frame: Frame, job: Job) -> None:
        super().__init__(supervisor, frame)
        self._job = job
        self._offset: int = frame["offset"]
        self._timer = supervisor.loop.after(frame["wait"], self._answer)
        self.look()

    def look(self) -> None:
        """Answer if there is something new, or never will be."""
        if self._job.written > self._offset or not self._job.running:
            self._answer()
        elif not self.finished:
            self._job.waiting.append(self)

    def _answer(self) -> None:
        self._timer.cancel()
        offset, data = self._job.piece(self._offset)
        self.finish({"offset": offset, "job": self._job.shown()}, data)
