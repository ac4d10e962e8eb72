"""The program of a local run: `python -m llmasos.federated.local prepare|train FOLDER PARENT`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from llmasos.errors import LLMasOSError
from llmasos.federated.folder import RunFolder
from llmasos.parents import end_with

_NICE = 10


def main(arguments: list[str]) -> int:
    """Prepare or train; what goes wrong is one line on the standard output."""
    what, path, parent = arguments
    if not end_with(int(parent)):
        return 1
    # Whoever waits at a terminal goes first.
    os.nice(_NICE)
    signal.signal(signal.SIGTERM, _stop)
    told = os.fdopen(os.dup(1), "w", buffering=1)
    # What recipes print goes to the log.
    os.dup2(2, 1)
    folder = RunFolder(Path(path))
    from llmasos.federated.local.training import prepare, train

    try:
        if what == "prepare":
            told.write(prepare(folder).model_dump_json(by_alias=True) + "\n")
        else:
            train(folder, lambda: told.write("\n"))
    except LLMasOSError as error:
        if what == "prepare":
            told.write(f"{error.message}\n{error.hint}\n")
            return 2
        raise
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    from llmasos.federated.local.training import Stopped

    # Once: what is done to end it is not stopped.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
