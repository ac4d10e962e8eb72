"""The program of a run on a cluster: `python -m llmasos.federated.ray prepare|train FOLDER PARENT`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from llmasos.federated.program import main

if TYPE_CHECKING:
    from llmasos.federated.training import Open


def _backend(leaving: ExitStack) -> Open:
    from llmasos.federated.ray.cohort import Clustered

    return partial(Clustered, leaving=leaving)


if __name__ == "__main__":
    with ExitStack() as leaving:
        code = main(sys.argv[1:], partial(_backend, leaving))
    sys.exit(code)
