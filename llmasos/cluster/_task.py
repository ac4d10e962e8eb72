"""What runs on a worker: one task, timed, with its errors and what it prints. Imports little."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PRINTED_BYTES = 64 << 10


@dataclass(slots=True)
class Reply:
    """How a task ended, as it travels.

    Args:
        failed: Whether it raised.
        payload: Its pickled result or `Failure`.
        output: What was printed.
        seconds: How long it took.
        kept: The file that the result is kept in, if it is not the payload.
        size: The result's bytes.
    """

    failed: bool
    payload: bytes
    output: str
    seconds: float
    kept: str = ""
    size: int = 0


class Output:
    """What a process prints, its programs too, in a file in memory that whoever holds it can read.

    Args:
        file: The file's descriptor, which standard output and error are.
    """

    def __init__(self, file: int) -> None:
        self.file = file

    def take(self) -> str:
        """Return what was printed since, the first 64 KiB of it."""
        size = os.fstat(self.file).st_size
        if not size:
            return ""
        text = os.pread(self.file, PRINTED_BYTES, 0).decode(errors="replace")
        os.ftruncate(self.file, 0)
        return text if size <= PRINTED_BYTES else f"{text}\n(more was printed)\n"

    def trim(self) -> None:
        """Let a task that prints without end fill no memory."""
        if os.fstat(self.file).st_size > PRINTED_BYTES:
            os.ftruncate(self.file, PRINTED_BYTES + 1)


def run(function: Callable[[Any], Any] | Exception, payload: bytes, output: Output) -> Reply:
    """Run one task.

    Args:
        function: What to run, or why it could not be had.
        payload: The pickled item.
        output: Where it prints to.
    """
    begun = time.perf_counter()
    failed, result = False, b""
    try:
        if isinstance(function, Exception):
            raise function
        value = function(pickle.loads(payload))
        try:
            result = pickle.dumps(value, 5)
        except Exception as error:
            from llmasos.cluster.port import ClusterError

            raise ClusterError(
                f"The result, a {type(value).__name__}, cannot be sent back: {error}.",
                hint="Return what can be pickled, such as numbers, texts, lists and dicts of them.",
            ) from None
    except BaseException as error:
        failed, result = True, _failure(error)
    seconds = time.perf_counter() - begun
    flush()
    return Reply(failed, result, output.take(), seconds, size=len(result))


def flush() -> None:
    """Have what was printed written, unless a task has closed where it goes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):
            stream.flush()


def loaded(function: bytes) -> Callable[[Any], Any] | Exception:
    """Return a pickled function, or why it cannot be had here."""
    try:
        found: Callable[[Any], Any] = pickle.loads(function)
        return found
    except BaseException as error:
        from llmasos.cluster.port import ClusterError

        return ClusterError(
            f"The function cannot be loaded on the worker: {type(error).__name__}: {error}.",
            hint="Its module must be found there, too, and be importable without side effects.",
        )


def _failure(error: BaseException) -> bytes:
    from llmasos.cluster._failure import Failure

    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    if trace is not None and hasattr(error, "add_note"):
        error.add_note("On the worker:\n" + "".join(traceback.format_tb(trace)).rstrip())
    return pickle.dumps(Failure.of(error))
