"""Programs of a deployment: started with a list of arguments, in a session of their own, and always ended."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from llmasos.errors import LLMasOSError
from llmasos.federated.port import DataError, FederatedError
from llmasos.parents import end_with

_REFUSED = 2


class Program:
    """A program that this process has started; it ends with this process, however that ends.

    Args:
        module: The program, `python -m MODULE SETTINGS PARENT`.
        settings: The file that tells it what to do.
        what: What it is, for people.
        log: Where what it says goes.
        environment: Its environment; this process's by default.
    """

    def __init__(
        self,
        module: str,
        settings: Path,
        what: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.what = what
        with log.open("ab") as file:
            self._process = Popen(
                [sys.executable, "-m", module, str(settings), str(os.getpid())],
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=file,
                cwd=settings.parent,
                env=environment,
                start_new_session=True,
            )
        self._said = b""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def death(self) -> str:
        """How it ended, such as `signal 9`; empty while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def told(self, seconds: float | None = None) -> dict[str, Any]:
        """Return what it tells next; at first, that it is ready.

        Args:
            seconds: How long is waited for it; None is for ever.

        Raises:
            FederatedError: It has ended, or did not tell in time.
            DataError: It ended because of its data set.
        """
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._said:
            if (left := deadline - time.monotonic()) <= 0:
                raise FederatedError(f"{self.what} was not ready after {seconds:g} seconds.")
            self._read(left)
            if self.death and not self._read(0):
                break
        self.complain()
        line, _, rest = self._said.partition(b"\n")
        told = dict(json.loads(line))
        if "error" in told:
            self._process.wait()
            self.complain()
        self._said = rest
        return told

    def complain(self) -> None:
        """Raise what it ended with, if it has ended.

        Raises:
            FederatedError: It has ended.
            DataError: It ended because of its data set.
        """
        if not self.death:
            return
        while self._read(0):
            pass
        lines = self._said.splitlines()
        if self._process.returncode == _REFUSED and lines:
            told = json.loads(lines[-1])
            kind = DataError if told["data"] else FederatedError
            raise kind(told["error"], hint=told["hint"])
        raise FederatedError(f"{self.what} has ended ({self.death}).", hint="The folder's logs say why.")

    def end(self) -> None:
        """End it with its group, at once: nothing that it has is kept."""
        self.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def kill(self) -> None:
        """Have it end, without waiting for it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        place = self._process.stdout.fileno()
        if not select.select([place], [], [], None if seconds == math.inf else max(0.0, seconds))[0]:
            return False
        data = os.read(place, 65536)
        self._said += data
        return bool(data)


def end_all(programs: list[Program]) -> None:
    """End programs, all of them before any is waited for."""
    for program in programs:
        program.kill()
    for program in programs:
        program.end()


def begin(work: Callable[[Path, Callable[[dict[str, Any]], None]], None], arguments: list[str]) -> int:
    """Run a program that `Program` started, and return its exit code.

    Args:
        work: Given the settings' file, and what tells that it is ready.
        arguments: The settings' file and the parent's number.
    """
    settings, parent = arguments
    if not end_with(int(parent)):
        return 1
    told = os.fdopen(os.dup(1), "w", buffering=1)
    # What else is printed goes to the log.
    os.dup2(2, 1)

    def tell(what: dict[str, Any]) -> None:
        told.write(json.dumps(what) + "\n")

    try:
        work(Path(settings), tell)
    except LLMasOSError as error:
        tell({"error": error.message, "hint": error.hint, "data": isinstance(error, DataError)})
        return _REFUSED
    return 0
