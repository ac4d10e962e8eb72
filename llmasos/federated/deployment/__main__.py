"""The program of a deployed run: `python -m llmasos.federated.deployment prepare|train FOLDER PARENT`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llmasos.federated.program import main

if TYPE_CHECKING:
    from llmasos.federated.training import Open


def _backend() -> Open:
    from llmasos.federated.deployment.cohort import Deployed

    return Deployed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _backend))
