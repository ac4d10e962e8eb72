"""The Python inside: one namespace, one cell at a time, and copies of it that wait to be gone back to."""

from __future__ import annotations

import ast
import builtins
import contextlib
import linecache
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from . import artifacts
from .channel import Channel, Frame
from .evidence import of_error
from .limits import grant_cpu

_LARGEST_RESULT = 20_000


class ToolError(Exception):
    """A tool called from Python could not do what it was asked."""

    __module__ = "builtins"


class CpuTimeExceeded(BaseException):
    """A cell has used all of its CPU time."""

    __module__ = "builtins"


class Calls:
    """Calls of tools under way, from any thread: whoever waits reads the channel for all."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._changed = threading.Condition()
        self._reading = False
        self._waiting: dict[int, Frame | None] = {}
        self._count = 0

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Have the host carry out a call, and return its value.

        Raises:
            ToolError: It could not be carried out.
        """
        if os.getpid() != self._session.pid:
            raise ToolError("a fork of the session cannot call tools")
        with self._changed:
            self._count += 1
            number = self._count
            self._waiting[number] = None
        try:
            cell = self._session.cell
            self._session.channel.send({"id": cell, "call": number, "name": name, "arguments": arguments})
            reply = self._wait(number)
        finally:
            with self._changed:
                del self._waiting[number]
        if "error" in reply:
            raise ToolError(reply["error"])
        return reply.get("value")

    def _wait(self, number: int) -> Frame:
        while True:
            with self._changed:
                while self._waiting[number] is None and self._reading:
                    self._changed.wait()
                reply = self._waiting[number]
                if reply is not None:
                    return reply
                self._reading = True
            try:
                frame = self._session.receive()
            finally:
                with self._changed:
                    self._reading = False
                    self._changed.notify_all()
            self.take(frame)

    def take(self, frame: Frame) -> None:
        """Hand a reply to whoever waits for it; nobody may, after an interrupt."""
        with self._changed:
            if frame.get("call") in self._waiting:
                self._waiting[frame["call"]] = frame


class Session:
    """A Python session.

    Args:
        channel: To the supervisor.
        cpu_seconds: CPU time of one cell.
        workspace: The folder that modules are imported from.
    """

    def __init__(self, channel: Channel, cpu_seconds: int, workspace: str) -> None:
        self.channel = channel
        self.cell = 0
        self.pid = os.getpid()
        self._cpu_seconds = cpu_seconds
        self._workspace = workspace
        self._calls = Calls(self)
        self._deaf = True
        self._missed: BaseException | None = None
        self._names: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": builtins,
            "ToolError": ToolError,
            "keep": artifacts.Keeper(self._hand_out).keep,
        }

    def serve(self) -> None:
        """Run cells until the supervisor closes the channel."""
        while True:
            frame = self.channel.receive()
            if frame is None:
                return
            if "code" in frame:
                self.channel.send(self._run(frame))
            elif "branch" in frame:
                self._branch(frame)
            elif frame.get("op") == "attach":
                os.chdir(self._workspace)
            elif frame.get("op") == "environment":
                os.environ.update(frame["variables"])

    def receive(self) -> Frame:
        """Return the next frame; an interrupt does not tear it.

        Raises:
            SystemExit: There will be none any more.
        """
        if not self.channel.pending:
            select.select([self.channel], [], [])
        with self._undisturbed():
            frame = self.channel.receive()
        if frame is None:
            raise SystemExit(1)
        return frame

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        deaf, self._deaf = self._deaf, True
        try:
            yield
        finally:
            self._deaf = deaf
        if self._missed is not None and not deaf:
            missed, self._missed = self._missed, None
            raise missed

    def _interrupted(self, number: int, frame: object) -> None:
        error = KeyboardInterrupt() if number == signal.SIGINT else CpuTimeExceeded()
        if self._deaf:
            self._missed = error
        else:
            raise error

    def _run(self, frame: Frame) -> Frame:
        self.cell = frame["id"]
        for name, parameters in frame["functions"].items():
            self._names[name] = self._function(name, parameters)
        self._missed = None
        # A cell may have put its own handlers into these places.
        for number in (signal.SIGINT, signal.SIGXCPU):
            signal.signal(number, self._interrupted)
        grant_cpu(self._cpu_seconds)
        answer: Frame = {"id": self.cell, "status": "ok", "exit_code": 0, "result": ""}
        error: BaseException | None = None
        try:
            self._deaf = False
            answer["result"] = self._execute(frame["code"])
            self._deaf = True
        except SystemExit as leave:
            self._deaf = True
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
            answer.update(exit_code=code, status="ok" if code == 0 else "failed")
        except BaseException as caught:
            self._deaf = True
            error = caught
        if error is not None:
            limit = "cpu" if isinstance(error, CpuTimeExceeded) else of_error(error)
            answer.update(exit_code=1, status=limit or "failed")
            _say(_trace(error))
        try:
            if os.getpid() == self.pid:
                artifacts.hand_out_figures(self._hand_out)
        except Exception as refused:
            _say("a figure cannot be shown: %s\n" % refused)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        if os.getpid() != self.pid:
            # The cell has forked; it is its first process that answers.
            os._exit(answer["exit_code"] & 0xFF)
        return answer

    def _hand_out(self, name: str, data: bytes) -> None:
        if os.getpid() != self.pid:
            raise ValueError("a fork of the session cannot hand anything out")
        self.channel.send({"id": self.cell, "artifact": name}, data)

    def _execute(self, code: str) -> str:
        name = "<cell>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        tree = ast.parse(code, name)
        last = None
        end = tree.body[-1] if tree.body else None
        if isinstance(end, ast.Expr):
            tree.body.pop()
            last = ast.Expression(end.value)
        if tree.body:
            exec(compile(tree, name, "exec"), self._names)
        if last is None:
            return ""
        value = eval(compile(last, name, "eval"), self._names)
        return "" if value is None else repr(value)[:_LARGEST_RESULT]

    def _function(self, name: str, parameters: list[str]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            if len(values) > len(parameters):
                raise TypeError("%s takes at most %d arguments" % (name, len(parameters)))
            arguments = dict(zip(parameters, values))
            arguments.update(named)
            return self._calls.call(name, arguments)

        call.__name__ = name
        call.__doc__ = "%s(%s)" % (name, ", ".join(parameters))
        return call

    def _branch(self, frame: Frame) -> None:
        """Fork a copy that serves on the descriptors that came with the frame."""
        numbers, self.channel.received = self.channel.received, []
        pid, error = -1, "threads are running, which a copy would not have"
        if threading.active_count() == 1:
            try:
                pid = os.fork()
            except OSError as refused:
                error = str(refused.strerror)
        if pid:
            _close(numbers)
            if pid > 0:
                os.waitpid(pid, 0)
            else:
                self.channel.send({"branch": frame["branch"], "error": error})
            return
        # The copy's parent ends at once, so that the supervisor adopts it.
        parent = os.getpid()
        if os.fork():
            os._exit(0)
        while os.getppid() == parent:
            time.sleep(0.0002)
        os.setsid()
        self.pid = os.getpid()
        _adopt(self.channel, numbers)
        self.channel.send({"branch": frame["branch"], "pid": self.pid})


def _adopt(channel: Channel, numbers: list[int]) -> None:
    """Put a channel, standard output and standard error into the places of this process's own."""
    for number, place in zip(numbers, (channel.fileno(), 1, 2)):
        os.dup2(number, place, inheritable=place in (1, 2))
    _close(numbers)


def _close(numbers: list[int]) -> None:
    for number in numbers:
        os.close(number)


def _say(text: str) -> None:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        sys.stderr.write(text)


def _trace(error: BaseException) -> str:
    """Return an error as Python shows it, without the worker's own part of the way to it."""
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__)
        ours = os.path.dirname(__file__)
        shown.stack[:] = [step for step in shown.stack if os.path.dirname(step.filename) != ours]
        return "".join(shown.format(chain=False))
    except BaseException:
        return "%s\n" % type(error).__name__
