"""Make a run's report anew from its folder: `python -m llmasos.federated.report FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from llmasos.errors import LLMasOSError
from llmasos.federated.folder import RunFolder
from llmasos.federated.report import draw_curves, write_report


def main(arguments: list[str]) -> int:
    """Write the report; what goes wrong is one line on the standard output."""
    folder = RunFolder(Path(arguments[0]))
    try:
        write_report(folder)
        draw_curves(folder)
    except LLMasOSError as error:
        sys.stdout.write(f"{error.message}\n{error.hint}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
