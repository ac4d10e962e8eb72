"""Cells: code in the Python session, or in a fork of an interpreter that has run nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .artifacts import LARGEST
from .channel import Frame
from .children import Child
from .requests import Request, Running

if TYPE_CHECKING:
    from .supervisor import Supervisor

_MOST_ARTIFACTS = 16
_MOST_CALLS = 64  # under way at once
_STATUSES = {"ok", "failed", "memory", "cpu", "processes", "files", "disk"}
_BRANCH_SECONDS = 10.0
_ROOM_SECONDS = 0.3


class Cell(Running):
    """A cell under way."""

    def __init__(self, supervisor: Supervisor, frame: Frame, child: Child, *, fresh: bool) -> None:
        super().__init__(supervisor, frame)
        self._child = child
        self._fresh = fresh
        self._calls: set[int] = set()
        self._artifacts = 0
        self.restarted = False  # the session ended by itself before this cell
        self._left: float = frame["timeout"]
        self._since = time.monotonic()
        self._answer: Frame | None = None
        child.user = self
        child.send({"id": self.number, "code": frame["code"], "functions": frame["functions"]})
        self.clock(self._left)

    @property
    def leader(self) -> int:
        """The session's process."""
        return self._child.pid

    def interrupt(self) -> None:
        """Interrupt the session."""
        self._child.interrupt()

    def kill(self) -> None:
        """Kill the session, with its variables."""
        self._child.kill()

    def frame(self, frame: Frame) -> None:
        """Take a call, an artifact or the answer from the session."""
        if frame.get("id") != self.number or self._answer is not None:
            return
        if "call" in frame:
            self._call(frame)
        elif "artifact" in frame:
            self._artifacts += 1
            if self._artifacts <= _MOST_ARTIFACTS and len(frame["data"]) <= LARGEST:
                name = str(frame["artifact"])[:200]
                self._supervisor.host.send({"id": self.number, "artifact": name}, frame["data"])
        elif frame.get("status") in _STATUSES:
            self._answered(frame)

    def _call(self, frame: Frame) -> None:
        call, name, arguments = frame["call"], frame.get("name"), frame.get("arguments")
        if not isinstance(call, int) or call in self._calls or not isinstance(arguments, dict):
            return
        if len(self._calls) >= _MOST_CALLS:
            self._child.send({"call": call, "error": "too many calls are under way"})
            return
        if not self._calls and not self.status:
            # The host carries out a call; that time is not the cell's.
            self.unclock()
            self._left -= time.monotonic() - self._since
        self._calls.add(call)
        self._supervisor.host.send(
            {"id": self.number, "call": call, "name": str(name), "arguments": arguments}
        )

    def reply(self, frame: Frame) -> None:
        """Hand a call's value to the session."""
        self._child.send({key: frame[key] for key in ("call", "value", "error") if key in frame})
        self._calls.discard(frame["call"])
        if not self._calls and not self.status and self._answer is None:
            self._since = time.monotonic()
            self.clock(max(0.0, self._left))

    def _answered(self, frame: Frame) -> None:
        self.unclock()
        self._answer = frame
        # It printed before it answered, so that all of it lies in the pipes.
        self._child.drain()
        if self._fresh or ("processes" in (self.status, frame["status"]) and not self._makes_room()):
            self.restarted = self.restarted or not self._fresh
            self._child.kill()
        else:
            self._child.user = None
            self._conclude(frame)

    def _makes_room(self) -> bool:
        """End what the cell has started, and tell whether the session can go on.

        It cannot with many threads, nor with many children that it has not waited for.
        """
        processes = self._supervisor.processes
        until = time.monotonic() + _ROOM_SECONDS
        while not (processes.end_with(self._child.pid) and processes.sweep()) and time.monotonic() < until:
            self._supervisor.loop.reap()
        most: int = self._supervisor.limits["processes"] // 2
        return processes.tasks(self._child.pid) < most

    def _conclude(self, frame: Frame) -> None:
        status, code = frame["status"], frame.get("exit_code")
        if self.evidence.counted() == "memory":
            status = "memory"
        if status == "failed":
            status = self._supervisor.full() or status
        self.conclude(
            status,
            exit_code=code if isinstance(code, int) else None,
            result=str(frame.get("result") or "")[:20_000],
            restarted=self.restarted,
        )

    def exited(self, code: int, usage: Any) -> None:
        """Conclude without an answer, or with the one that a fresh session gave before it was ended."""
        self.unclock()
        self.sweep(lambda: self._ended(code))

    def _ended(self, code: int) -> None:
        if self._answer is not None:
            self._conclude(self._answer)
            return
        limit = self.evidence.of_exit(code, None)
        self.conclude(limit or "lost", exit_code=None, restarted=not self._fresh)


class Branch(Request):
    """A copy of a session in the making, to be kept or to be gone on with."""

    def __init__(self, supervisor: Supervisor, frame: Frame, source: Child, copy: Child) -> None:
        super().__init__(supervisor, frame)
        self._name: str = frame["name"]
        self._keep = frame["op"] == "save"
        self._source = source
        self._copy = copy
        supervisor.branching += 1
        source.user = copy.user = self
        self._timer = supervisor.loop.after(_BRANCH_SECONDS, lambda: self._refuse("it took too long"))
        try:
            source.branch(copy, self._name)
        except ConnectionError:
            self.exited(0, None)
        except OSError as error:
            self._refuse(str(error.strerror or error))

    def frame(self, frame: Frame) -> None:
        """Take the number of the copy's process, or the reason why there is none."""
        if frame.get("branch") != self._name or self.finished:
            return
        if "error" in frame:
            self._refuse(str(frame["error"])[:200])
        elif self._copy.adopt(frame.get("pid")):
            self._end()
            if self._keep:
                self._supervisor.keep(self._name, self._copy)
            else:
                self._supervisor.go_on_with(self._copy)
            self.finish({})
        else:
            self._refuse("the copy is not one")

    def output(self, stream: str, data: bytes) -> None:
        """Leave what is printed meanwhile."""

    def exited(self, code: int, usage: Any) -> None:
        """Give up."""
        self._refuse("it was lost")

    def _refuse(self, why: str) -> None:
        if not self.finished:
            self._end()
            self._copy.kill()
            self.finish({"error": why})

    def _end(self) -> None:
        self._timer.cancel()
        self._supervisor.branching -= 1
        self._source.user = self._copy.user = None
