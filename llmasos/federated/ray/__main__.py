"""The program of a run on a cluster: `python -m llmasos.federated.ray prepare|train FOLDER PARENT`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llmasos.federated.program import main

if TYPE_CHECKING:
    from llmasos.federated.training import Open


def _backend() -> Open:
    from llmasos.federated.ray.cohort import Clustered

    return Clustered


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _backend))
