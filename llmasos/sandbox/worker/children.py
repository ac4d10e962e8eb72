"""Children of the worker: forks of a process that has run nobody's code, each with a channel of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from .channel import Channel, Decoder, Frame
from .limits import PR_SET_DUMPABLE, OomScore, control
from .loop import Loop, Peer
from .output import Pipe
from .processes import Processes

Serve = Callable[[Channel], None]


class User(Protocol):
    """Whoever a child works for."""

    def frame(self, frame: Frame) -> None:
        """Take a frame; none of its fields can be believed."""

    def output(self, stream: str, data: bytes) -> None:
        """Take what was printed."""

    def exited(self, code: int, usage: Any) -> None:
        """Learn that the child has ended."""


class Child:
    """A process with its channel and its output, which is read at all times.

    Args:
        loop: What serves it.
        processes: What must spare it.
        on_exit: Called when it has ended, before whoever uses it is told.
    """

    def __init__(self, loop: Loop, processes: Processes, on_exit: Callable[[Child], None]) -> None:
        self._loop = loop
        self._processes = processes
        self._on_exit = on_exit
        self.user: User | None = None
        self.pid = 0
        self._ended = False
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        self._theirs: list[int] = [theirs.detach(), pipes[0][1], pipes[1][1]]
        self._peer = Peer(loop, ours, Decoder(), self._frame, self.kill)
        self._pipes = [
            Pipe(loop, pipes[0][0], lambda data: self._output("stdout", data)),
            Pipe(loop, pipes[1][0], lambda data: self._output("stderr", data)),
        ]

    def fork(self, serve: Serve, oom_score: OomScore) -> None:
        """Fork the process, which serves until its channel closes.

        Raises:
            OSError: There are too many processes.
        """
        try:
            # Inherited, because the weak tier may not change it later.
            with oom_score.expendable():
                pid = os.fork()
                if pid == 0:
                    _become(self._theirs, serve)
        except OSError:
            self._close()
            raise
        self._close_theirs()
        self._started(pid)

    def branch(self, copy: Child, name: str) -> None:
        """Have this child fork a copy of itself, which then tells its process's number.

        Raises:
            OSError: It does not listen.
        """
        self._peer.send_descriptors({"branch": name}, copy._theirs)
        copy._close_theirs()

    def adopt(self, pid: object) -> bool:
        """Take over a copy under the number that it told, and tell whether it is a child of ours."""
        with contextlib.suppress(OSError, TypeError), open("/proc/%d/stat" % pid, "rb") as file:  # type: ignore[str-format]
            if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                assert isinstance(pid, int)
                self._started(pid)
                return True
        return False

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return not self._peer.closed

    def _started(self, pid: int) -> None:
        self.pid = pid
        self._processes.spared.add(pid)
        self._loop.when_exited(pid, self._exited)

    def send(self, frame: Frame, data: bytes = b"") -> None:
        """Send a frame."""
        self._peer.send(frame, data)

    def drain(self) -> None:
        """Pass on what it has printed so far."""
        for pipe in self._pipes:
            pipe.drain()

    def interrupt(self) -> None:
        """Interrupt it, as Ctrl-C would, even if it was stopped."""
        for number in (signal.SIGINT, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill it with its group."""
        if self._ended:
            return
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            self._close()

    def _frame(self, frame: Frame) -> None:
        if self.user is not None:
            self.user.frame(frame)

    def _output(self, stream: str, data: bytes) -> None:
        if self.user is not None:
            self.user.output(stream, data)

    def _exited(self, code: int, usage: Any) -> None:
        self.drain()
        self._close()
        self._processes.spared.discard(self.pid)
        self._on_exit(self)
        if self.user is not None:
            self.user.exited(code, usage)

    def _close(self) -> None:
        self._ended = True
        self._peer.close()
        for pipe in self._pipes:
            pipe.close()
        self._close_theirs()

    def _close_theirs(self) -> None:
        for number in self._theirs:
            os.close(number)
        self._theirs = []


def _become(numbers: list[int], serve: Serve) -> None:
    """Turn this fork into the child: nothing of the worker's stays open."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(numbers[1], 1)
        os.dup2(numbers[2], 2)
        os.dup2(numbers[0], 3, inheritable=False)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        control(PR_SET_DUMPABLE, 1)
        serve(Channel(socket.socket(fileno=3)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
