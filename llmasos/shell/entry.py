"""Where the `llmasos` command begins, before all that it loads: Ctrl-C is quiet from then on."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from llmasos.shell.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
