"""The supervisor: serves the host's requests on one thread, and owns every process inside."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from . import egress
from .cells import Branch, Cell
from .channel import LARGEST_FROM_HOST, Channel, Decoder, Frame
from .children import Child
from .commands import Command
from .evidence import Counters
from .files import Files
from .jobs import MOST_KEPT, MOST_RUNNING, Job, JobOutput
from .limits import OomScore, full
from .loop import Loop, Peer
from .memory import MemoryWatch
from .processes import Processes
from .requests import FileOperation, Request

_MOST_STATES = 8
_ROOM_SECONDS = 0.5
_Started = TypeVar("_Started")


class Supervisor:
    """Serves the host.

    Args:
        sock: The socket to the host.
        options: The workspace, the limits, and whether the workspace is there already.
        oom_score: This process's.
        counters: What tells of broken limits.
        serve_session: What a fork does to become a Python session.
    """

    def __init__(
        self,
        sock: socket.socket,
        options: dict[str, Any],
        oom_score: OomScore,
        counters: Counters,
        serve_session: Callable[[Channel], None],
    ) -> None:
        self.oom_score = oom_score
        self.workspace: str = options["workspace"]
        self.limits: dict[str, Any] = options["limits"]
        self.user_limits: bool = options["user_limits"]
        self.places = ("/tmp", "/dev/shm", self.workspace)
        self.loop = Loop()
        self.processes = Processes()
        self.counters = counters
        self.requests: dict[int, Request] = {}
        self.branching = 0
        self._memory = MemoryWatch(self, self.limits["memory_mb"] << 20) if self.user_limits else None
        self._egress: dict[str, Any] | None = options["egress"]
        self._serve_session = serve_session
        self._session: Child | None = None
        self._files: Child | None = None
        self._restarted = False
        self._states: dict[str, Child] = {}
        self._jobs: dict[str, Job] = {}
        self._job_count = 0
        decoder = Decoder(LARGEST_FROM_HOST, LARGEST_FROM_HOST)
        self.host = Peer(self.loop, sock, decoder, self._frame, self._end, patient=True)
        self._operations: dict[str, Callable[[Frame], None]] = {
            "attach": self._attach,
            "environment": self._set_environment,
            "furnish": self._furnish,
            "command": self._command,
            "python": self._python,
            "read": self._file,
            "stat": self._file,
            "scan": self._file,
            "make_folder": self._file,
            "remove": self._file,
            "realpath": self._file,
            "write": self._file,
            "list": self._file,
            "search": self._file,
            "save": self._branch,
            "restore": self._branch,
            "job_start": self._start_job,
            "jobs": self._list_jobs,
            "job_output": self._job_output,
            "job_stop": self._stop_job,
        }

    def serve(self) -> None:
        """Serve until the host closes the channel."""
        # Warm before anybody asks.
        self._session = self._new_session()
        self._files = self._new_files()
        if self._egress is None:
            self.ready()
        else:
            self._open_way(self._egress)
        self.loop.run()

    def ready(self) -> None:
        """Tell the host that work can begin."""
        self.host.send({"ready": os.getpid()})

    def _open_way(self, options: dict[str, Any]) -> None:
        child = Child(self.loop, self.processes, lambda child: None)
        child.user = egress.WayOut(self)
        child.fork(lambda channel: egress.serve(channel, options["socket"], options["port"]), self.oom_score)

    def _end(self) -> None:
        self.loop.stopped = True

    def _frame(self, frame: Frame) -> None:
        op = frame["op"]
        if self._memory is not None:
            self._memory.start()
        if op == "reply":
            request = self.requests.get(frame["id"])
            if isinstance(request, Cell):
                request.reply(frame)
        elif op == "interrupt":
            request = self.requests.get(frame["id"])
            if request is not None:
                request.stop("cancelled")
        else:
            try:
                self._operations[op](frame)
            except OSError as error:
                self._refuse(frame, "the sandbox cannot go on: %s" % error.strerror)

    def _refuse(self, frame: Frame, why: str) -> None:
        Request(self, frame).finish({"error": why})

    def _attach(self, frame: Frame) -> None:
        # A mount over a folder is seen only by whoever looks the path up again.
        os.chdir(self.workspace)
        for child in (self._session, self._files):
            if child is not None:
                child.send({"op": "attach"})
        Request(self, frame).finish({})

    def _set_environment(self, frame: Frame) -> None:
        # Whatever is forked from now on inherits it.
        os.environ.update(frame["variables"])
        if self._session is not None:
            self._session.send({"op": "environment", "variables": frame["variables"]})
        Request(self, frame).finish({})

    def _furnish(self, frame: Frame) -> None:
        for name, text in frame["files"].items():
            with open(os.path.join(os.environ["HOME"], name), "w", encoding="utf-8") as file:
                file.write(text)
        Request(self, frame).finish({})

    def _command(self, frame: Frame) -> None:
        request = Command(self, frame)
        if not request.finished:
            self.requests[request.number] = request

    def _python(self, frame: Frame) -> None:
        if frame["fresh"]:
            child = self._new_session()
        else:
            if self._session is None:
                self._session = self._new_session()
            child = self._session
            if child.user is not None:
                self._refuse(frame, "the Python session is busy")
                return
        cell = self.requests[frame["id"]] = Cell(self, frame, child, fresh=frame["fresh"])
        if not frame["fresh"]:
            cell.restarted, self._restarted = self._restarted, False

    def with_room(self, start: Callable[[], _Started]) -> _Started:
        """Start a process, if need be after what nobody spares has been ended.

        Raises:
            OSError: There are too many processes even so.
        """
        try:
            return start()
        except BlockingIOError:
            until = time.monotonic() + _ROOM_SECONDS
            while not self.processes.sweep() and time.monotonic() < until:
                self.loop.reap()
            return start()

    def _new_session(self) -> Child:
        return self.with_room(self._fork_session)

    def _fork_session(self) -> Child:
        child = Child(self.loop, self.processes, self._session_ended)
        child.fork(self._serve_session, self.oom_score)
        return child

    def _session_ended(self, child: Child) -> None:
        if child is self._session:
            self._session = None
            self._restarted = child.user is None

    def go_on_with(self, child: Child) -> None:
        """Make a copy the session, and end the one before it."""
        before, self._session = self._session, child
        if before is not None:
            before.kill()

    def keep(self, name: str, child: Child) -> None:
        """Keep a copy for later, in the place of an earlier one of the same name."""
        before = self._states.pop(name, None)
        if before is not None:
            before.kill()
        self._states[name] = child

    def _branch(self, frame: Frame) -> None:
        name = frame["name"]
        if self._session is not None and self._session.user is not None:
            self._refuse(frame, "the Python session is busy")
        elif frame["op"] == "save":
            if name not in self._states and len(self._states) >= _MOST_STATES:
                self._refuse(frame, "%d states are kept already" % _MOST_STATES)
                return
            if self._session is None:
                self._session = self._new_session()
            self._copy(frame, self._session)
        elif name not in self._states:
            self._refuse(frame, "no state is kept under %r" % name)
        elif not self._states[name].alive:
            self._refuse(frame, "the state %r was lost" % name)
        else:
            self._copy(frame, self._states[name])

    def _copy(self, frame: Frame, source: Child) -> None:
        copy = Child(self.loop, self.processes, self._session_ended)
        request = Branch(self, frame, source, copy)
        if not request.finished:
            self.requests[request.number] = request

    def full(self) -> str:
        """Return the limit that one of the sandbox's file systems has reached, or nothing."""
        return full(*self.places)

    def _file(self, frame: Frame) -> None:
        if self._files is None:
            self._files = self._new_files()
        if self._files.user is not None:
            self._refuse(frame, "another file operation is under way")
            return
        self.requests[frame["id"]] = FileOperation(self, frame, self._files)

    def _new_files(self) -> Child:
        child = Child(self.loop, self.processes, self._files_ended)
        workspace = self.workspace
        child.fork(lambda channel: Files(workspace).serve(channel), self.oom_score)
        return child

    def _files_ended(self, child: Child) -> None:
        if child is self._files:
            self._files = None

    def _start_job(self, frame: Frame) -> None:
        if self._running_jobs() >= MOST_RUNNING:
            self._refuse(frame, "%d jobs are running already" % MOST_RUNNING)
            return
        if len(self._jobs) >= MOST_KEPT:
            del self._jobs[next(name for name, job in self._jobs.items() if not job.running)]
        self._job_count += 1
        name = "j-%d" % self._job_count
        job = self._jobs[name] = Job(self, name, frame["command"], frame["env"])
        Request(self, frame).finish({"job": job.shown()})

    def _running_jobs(self) -> int:
        return sum(job.running for job in self._jobs.values())

    def busy(self) -> bool:
        """Tell whether anything was asked for that is not done."""
        return bool(self.requests) or self._running_jobs() > 0

    def _list_jobs(self, frame: Frame) -> None:
        Request(self, frame).finish({"jobs": [job.shown() for job in self._jobs.values()]})

    def _job_output(self, frame: Frame) -> None:
        job = self._jobs.get(frame["job"])
        if job is None:
            self._refuse(frame, "there is no job %r" % frame["job"])
            return
        request = JobOutput(self, frame, job)
        if not request.finished:
            self.requests[request.number] = request

    def _stop_job(self, frame: Frame) -> None:
        job = self._jobs.get(frame["job"])
        if job is None:
            self._refuse(frame, "there is no job %r" % frame["job"])
        elif not job.running:
            Request(self, frame).finish({"job": job.shown()})
        else:
            job.stopping.append(Request(self, frame))
            job.stop()
