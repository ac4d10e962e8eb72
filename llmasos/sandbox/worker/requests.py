"""What all requests have in common: one answer, and for those that run code a clock, evidence and an end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .channel import Frame
from .evidence import Evidence
from .loop import Timer
from .output import Capture

if TYPE_CHECKING:
    from .children import Child
    from .supervisor import Supervisor

_FILE_SECONDS = 30.0
GRACE = 0.5  # seconds between an interrupt and a kill
_SWEEP_SECONDS = 0.8
_SWEEP_EVERY = 0.002
_NEARLY = 0.9  # of the processes allowed: hardly anything can be started then


class Request:
    """A request of the host's, answered once."""

    def __init__(self, supervisor: Supervisor, frame: Frame) -> None:
        self._supervisor = supervisor
        self.number: int = frame["id"]
        self.finished = False

    def finish(self, done: Frame, data: bytes = b"") -> None:
        """Answer."""
        if not self.finished:
            self.finished = True
            self._supervisor.requests.pop(self.number, None)
            self._supervisor.host.send({"id": self.number, "done": done}, data)

    def stop(self, status: str) -> None:
        """Stop at the host's wish, or because a limit was broken; the answer follows."""
        self.finish({"error": "it was stopped"})


class Running(Request):
    """A request that runs code of the sandbox's user."""

    def __init__(self, supervisor: Supervisor, frame: Frame) -> None:
        super().__init__(supervisor, frame)
        limits = supervisor.limits
        self.status = ""
        self.evidence = Evidence(supervisor.counters, limits["cpu_seconds"], supervisor.places)
        self.capture = Capture(
            limits["output_bytes"], limits["flood_mb"] << 20, self._report, lambda: self.stop("output")
        )
        self._timer: Timer | None = None
        self._swept_until = 0.0

    def _report(self, stream: str, data: bytes) -> None:
        self._supervisor.host.send({"id": self.number, "stream": stream}, data)

    def output(self, stream: str, data: bytes) -> None:
        """Take what was printed."""
        self.capture.take(stream, data)

    def clock(self, seconds: float) -> None:
        """Stop in so many seconds."""
        self._timer = self._supervisor.loop.after(seconds, lambda: self.stop("timeout"))

    def unclock(self) -> None:
        """Stop the clock, and whatever else is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self, status: str) -> None:
        """Interrupt, and kill when that does not help."""
        if self.status or self.finished:
            return
        self.unclock()
        self.status = self._reason(status)
        self._timer = self._supervisor.loop.after(GRACE, self.kill)
        self.interrupt()

    def _reason(self, status: str) -> str:
        """Return why a request really took too long, where that can be told."""
        if status != "timeout":
            return status
        supervisor = self._supervisor
        if supervisor.user_limits:
            most = supervisor.limits["processes"] * _NEARLY
            return "processes" if supervisor.processes.tasks(os.getpid()) >= most else status
        return self.evidence.counted() or status

    @property
    def leader(self) -> int:
        """The process that all others of the request belong to."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Interrupt what runs."""

    def kill(self) -> None:
        """Kill what runs."""

    def sweep(self, then: Callable[[], None]) -> None:
        """End what was left behind, and go on when it is gone."""
        if not self._swept_until:
            self._swept_until = time.monotonic() + _SWEEP_SECONDS
        supervisor = self._supervisor
        if supervisor.branching or not supervisor.processes.sweep():
            supervisor.loop.reap()
            if time.monotonic() < self._swept_until:
                supervisor.loop.after(_SWEEP_EVERY, lambda: self.sweep(then))
                return
        then()

    def conclude(self, status: str, **more: Any) -> None:
        """Pass on the rest of the output, and answer."""
        self.unclock()
        self.capture.finish()
        self.finish({"status": self.status or status, "truncated": self.capture.truncated, **more})


class FileOperation(Request):
    """A file operation under way."""

    def __init__(self, supervisor: Supervisor, frame: Frame, child: Child) -> None:
        super().__init__(supervisor, frame)
        self._child = child
        self._op: str = frame["op"]
        self._overdue = False
        self._timer = supervisor.loop.after(_FILE_SECONDS, lambda: self.stop("timeout"))
        child.user = self
        data = frame.pop("data")
        child.send(frame, data)

    def stop(self, status: str) -> None:
        """End the process that does it."""
        self._overdue = status == "timeout"
        self._child.kill()

    def frame(self, frame: Frame) -> None:
        """Take the answer."""
        if frame.get("id") != self.number:
            return
        self._end()
        if "error" in frame:
            self.finish({"error": str(frame["error"])[:2000], "errno": frame.get("errno")})
        else:
            self.finish({"done": frame.get("done")}, frame["data"])

    def output(self, stream: str, data: bytes) -> None:
        """Leave what is printed."""

    def exited(self, code: int, usage: Any) -> None:
        """Answer that it was not done."""
        self._end()
        why = "did not finish within %d s" % _FILE_SECONDS if self._overdue else "was ended"
        self.finish({"error": "%s %s" % (self._op, why)})

    def _end(self) -> None:
        self._timer.cancel()
        self._child.user = None
