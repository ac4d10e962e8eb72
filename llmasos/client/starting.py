"""Starting the kernel process when none answers, and waiting for one that somebody else starts."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import anyio

from llmasos import paths
from llmasos.errors import KernelError

_START_SECONDS = 60.0
_POLL_SECONDS = 0.05

Answers = Callable[[], Awaitable[bool]]
Progress = Callable[[str], None]


@contextmanager
def claim() -> Iterator[TextIO | None]:
    """Give the file whose lock a kernel holds from before it starts until it has ended; None if one does.

    The lock goes to a process that inherits the file; it is let go of when nobody has it open any more.

    Raises:
        ConfigError: The folder of the kernel's socket cannot be used.
    """
    path = paths.private_dir(paths.runtime_dir()) / "kernel.claim"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


async def reach(answers: Answers, progress: Progress = lambda text: None, *, start: bool = True) -> bool:
    """Return whether a kernel answers, which outlives this process if it was started here.

    One that is just starting or ending is waited for, whoever has started it.

    Args:
        answers: Tells whether a kernel answers.
        progress: Told what the kernel says while it starts: the first time it builds the sandbox's image.
        start: Start one when there is none.

    Raises:
        ConfigError: The folder of its data or of its socket cannot be used.
        KernelError: It ended at once, with the reason it gave, or did not answer in time.
    """
    while not await answers():
        with claim() as file:
            if file is not None:
                if start:
                    await _start(file, answers, progress)
                return start
        await _until(_unclaimed, answers, progress)
    return True


def _unclaimed() -> bool:
    with claim() as file:
        return file is not None


async def _start(claimed: TextIO, answers: Answers, progress: Progress) -> None:
    log = _log()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmasos.service"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(claimed.fileno(),),
            cwd="/",
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    await _until(lambda: process.poll() is not None, answers, progress)
    if process.poll() is not None and not await answers():
        said = log.read_text(errors="replace").strip().removeprefix("llmasos: ")
        message, _, hint = said.partition("\n")
        raise KernelError(message or f"The kernel ended at once; {log} says why.", hint=hint)


async def _until(ended: Callable[[], bool], answers: Answers, progress: Progress) -> None:
    """Return when a kernel has ended, or answers; as long as it gets on, it is waited for."""
    log, said = _log(), ""
    with anyio.move_on_after(_START_SECONDS) as scope:
        while not ended() and not await answers():
            await anyio.sleep(_POLL_SECONDS)
            now = log.read_text(errors="replace") if log.exists() else ""
            if now != said:
                said, scope.deadline = now, anyio.current_time() + _START_SECONDS
                progress(said.strip().splitlines()[-1] if said.strip() else "")
    if scope.cancelled_caught:
        raise KernelError(
            f"The kernel did not answer and said nothing for {_START_SECONDS:g} s.", hint=f"Look into {log}."
        )


def _log() -> Path:
    return paths.private_dir(paths.data_dir()) / "kernel.out"
