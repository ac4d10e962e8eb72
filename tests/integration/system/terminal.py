"""A pseudo-terminal, or tmux, in which the shell runs, and what is typed at it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

from tests.integration.system.conftest import LAUNCH, Machine

CTRL_C, CTRL_D, CTRL_J, ALT_ENTER, UP, ENTER = "\x03", "\x04", "\n", "\x1b\r", "\x1b[A", "\r"
PROMPT = "> "
SECONDS = 40


class _Screen(pyte.HistoryScreen):
    """A screen that tells where its cursor is when it is asked, as terminals do."""

    reply: Callable[[str], object]

    def write_process_input(self, data: str) -> None:
        self.reply(data)


class Terminal:
    """A terminal of the given size in cells, in which the shell runs.

    What has scrolled off stays part of `text()`; bytes are kept as they came in `raw`.
    """

    def __init__(
        self,
        machine: Machine,
        *arguments: str,
        columns: int = 100,
        rows: int = 40,
        seconds: float = SECONDS,
    ) -> None:
        self._seconds = seconds
        self._screen = _Screen(columns, rows, history=2000)
        self._screen.reply = self.type
        self._stream = pyte.ByteStream(self._screen)
        self._child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-c", LAUNCH, *arguments],
            env={"TERM": "xterm-256color", **machine.env},
            cwd=str(machine.folder),
            dimensions=(rows, columns),
            timeout=SECONDS,
        )
        self.raw = b""

    def rows(self) -> list[str]:
        """Return every line, those that have scrolled off first."""
        width = self._screen.columns
        gone = ["".join(line[n].data for n in range(width)) for line in self._screen.history.top]
        return [line.rstrip() for line in [*gone, *self._screen.display]]

    def text(self) -> str:
        return "\n".join(self.rows())

    def line(self) -> str:
        """Return the line that the cursor is on."""
        return str(self._screen.display[self._screen.cursor.y]).rstrip()

    def wait_for(self, *texts: str, count: int = 1) -> str:
        """Read until each text is there `count` times; return all lines."""
        end = time.monotonic() + self._seconds
        while any(self.text().count(text) < count for text in texts):
            assert time.monotonic() < end, f"No {texts} on the terminal:\n{self.text()}"
            self._read()
        assert "Traceback" not in self.text(), self.text()
        return self.text()

    def wait_for_line(self, start: str) -> None:
        """Read until the cursor is on a line that is, or for a question begins with, `start`."""
        end = time.monotonic() + self._seconds
        while not (self.line() == start.rstrip() or (len(start) > 2 and self.line().startswith(start))):
            assert time.monotonic() < end, f"No {start!r} at the cursor:\n{self.text()}"
            self._read()
        assert "Traceback" not in self.text(), self.text()

    def wait_for_cursor(self, column: int) -> None:
        """Read until the cursor is on a column, counted from 0."""
        end = time.monotonic() + self._seconds
        while self._screen.cursor.x != column:
            assert time.monotonic() < end, f"The cursor is on {self._screen.cursor.x}:\n{self.text()}"
            self._read()

    def resize(self, columns: int, rows: int) -> None:
        """Change the size in cells."""
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def enter(self, line: str) -> None:
        """Wait for an empty prompt, and send a line."""
        self.wait_for_line(PROMPT)
        self.type(line + ENTER)

    def wait_for_end(self) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + self._seconds
        while self._read():
            assert time.monotonic() < end, self.text()
        self._child.close()
        return int(self._child.exitstatus if self._child.exitstatus is not None else -1)

    def close(self) -> None:
        self._child.close(force=True)

    def _read(self) -> bool:
        try:
            data = os.read(self._child.child_fd, 65536) if self._ready() else b""
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def _ready(self) -> bool:
        return bool(select.select([self._child.child_fd], [], [], 0.2)[0])


class Tmux:
    """A window of tmux in which the shell runs; unlike `Terminal`, it breaks rows that get too long."""

    def __init__(self, machine: Machine, *, columns: int = 100, rows: int = 40) -> None:
        self._env = {**machine.env, "TERM": "xterm-256color"}
        self._socket = Path(machine.env["LLMASOS_RUNTIME_DIR"]) / "tmux.sock"
        size = ("-x", str(columns), "-y", str(rows))
        shell = (sys.executable, "-c", LAUNCH)
        self._do("-f", "/dev/null", "new-session", "-d", *size, "-c", str(machine.folder), *shell)

    def text(self) -> str:
        """Return every line, those that have scrolled off first."""
        return self._do("capture-pane", "-p", "-S", "-")

    def wait_until(self, so: Callable[[str], bool]) -> None:
        """Look until something holds of all lines."""
        end = time.monotonic() + SECONDS
        while not so(text := self.text()):
            assert time.monotonic() < end, text

    def type(self, keys: str) -> None:
        self._do("send-keys", "-l", keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size in cells."""
        self._do("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self) -> None:
        self._do("kill-server")

    def _do(self, *command: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *command],
            env=self._env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout
