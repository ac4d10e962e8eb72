"""What the program of each backend does: `python -m BACKEND prepare|train FOLDER PARENT`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.federated.drawing import Drawer
from llmasos.federated.folder import RunFolder
from llmasos.parents import end_with

if TYPE_CHECKING:
    from llmasos.federated.training import Open

_NICE = 10


def main(arguments: list[str], backend: Callable[[], Open]) -> int:
    """Prepare or train; what goes wrong is one line on the standard output.

    Args:
        arguments: What to do, the run's folder, and the parent's number.
        backend: Loads what starts the clients.
    """
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
    drawer = Drawer(folder)
    if what == "train":
        # Flower and what draws take about as long to load.
        drawer.begin()
    from llmasos.federated.training import prepare, train

    try:
        if what == "prepare":
            told.write(prepare(folder, backend()).model_dump_json(by_alias=True) + "\n")
        else:
            train(folder, backend(), lambda: told.write("\n"), drawer)
    except LLMasOSError as error:
        if what == "prepare":
            told.write(f"{error.message}\n{error.hint}\n")
            return 2
        raise
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    from llmasos.federated.training import Stopped

    # Once: what is done to end it is not stopped.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped
