"""Commands: a program, or a line of bash, in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .channel import Frame
from .limits import limit_program
from .output import Pipe
from .requests import Running

if TYPE_CHECKING:
    from .supervisor import Supervisor

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


class Program:
    """A program that runs.

    Args:
        supervisor: What serves it.
        command: A line of bash, or a program with its arguments.
        env: Variables beside the sandbox's own.
        on_output: Gets a stream's name and what was printed.
        on_exit: Gets the exit code and the resources used.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        command: str | Sequence[str],
        env: Mapping[str, str] | None,
        on_output: Callable[[str, bytes], None],
        on_exit: Callable[[int, Any], None],
    ) -> None:
        self._supervisor = supervisor
        self._on_exit = on_exit
        # Inherited, because what the program starts may already be running when it returns.
        with supervisor.oom_score.expendable():
            process = subprocess.Popen(
                ["/bin/bash", "-c", command] if isinstance(command, str) else list(command),
                cwd=supervisor.workspace,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                # Before the program is there, which could otherwise be faster; the worker has no threads.
                preexec_fn=lambda: limit_program(supervisor.limits["cpu_seconds"]),
            )
        self.pid = process.pid
        self._process = process
        supervisor.processes.spared.add(self.pid)
        supervisor.loop.when_exited(self.pid, self._exited)
        assert process.stdout is not None and process.stderr is not None
        loop = supervisor.loop
        self._pipes = [
            Pipe(loop, os.dup(process.stdout.fileno()), lambda data: on_output("stdout", data)),
            Pipe(loop, os.dup(process.stderr.fileno()), lambda data: on_output("stderr", data)),
        ]
        process.stdout.close()
        process.stderr.close()

    def signal(self, *numbers: int) -> None:
        """Send signals to the program's group."""
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def interrupt(self) -> None:
        """Interrupt it, as Ctrl-C would, even if it was stopped."""
        self.signal(signal.SIGINT, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it with its group."""
        self.signal(signal.SIGKILL)

    def _exited(self, code: int, usage: Any) -> None:
        # Reaped by the loop, so that the process need not look.
        self._process.returncode = code
        self._supervisor.processes.spared.discard(self.pid)
        self._on_exit(code, usage)

    def drain(self) -> None:
        """Read what is left, and no more: what survives may hold the pipes open for ever."""
        for pipe in self._pipes:
            pipe.drain()
            pipe.close()


class Command(Running):
    """A command under way."""

    def __init__(self, supervisor: Supervisor, frame: Frame) -> None:
        super().__init__(supervisor, frame)
        self._keep: bool = frame["keep_background"]
        self._code = 0
        self._usage: Any = None
        command = frame["command"]
        try:
            self._program = supervisor.with_room(
                lambda: Program(supervisor, command, frame["env"], self.output, self._exited)
            )
        except FileNotFoundError:
            self._refuse("%s: command not found" % command[0], "failed", _NOT_FOUND)
        except PermissionError:
            self._refuse("%s: Permission denied" % command[0], "failed", _NOT_EXECUTABLE)
        except BlockingIOError:
            self._refuse("too many processes are running", "processes", None)
        else:
            self.clock(frame["timeout"])

    def _refuse(self, why: str, status: str, code: int | None) -> None:
        self.output("stderr", why.encode("utf-8", "replace") + b"\n")
        self.conclude(status, exit_code=code)

    @property
    def leader(self) -> int:
        """The command's first process."""
        return self._program.pid

    def interrupt(self) -> None:
        """Interrupt the command's group."""
        self._program.interrupt()

    def kill(self) -> None:
        """Kill the command's group."""
        self._program.kill()

    def _exited(self, code: int, usage: Any) -> None:
        self.unclock()
        self._code, self._usage = code, usage
        if self._keep and not self.status:
            self._supervisor.processes.keep()
        else:
            self._program.kill()
        self.sweep(self._conclude)

    def _conclude(self) -> None:
        self._program.drain()
        code = self._code
        limit = "" if self.status else self.evidence.of_exit(code, self._usage, self.capture.complaint)
        status = limit or ("ok" if code == 0 else "failed")
        self.conclude(status, exit_code=None if self.status else code)
