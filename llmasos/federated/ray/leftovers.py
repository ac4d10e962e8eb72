"""A folder that goes when a process has ended, whatever that ended of; run by its path, it imports little."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

_TRIES, _PAUSE = 40, 0.1


def remove_after(folder: Path) -> subprocess.Popen[bytes]:
    """Have a folder removed when this process has ended, or has closed what is returned."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,
        # The signals that end this process are not for it.
        start_new_session=True,
    )


def main(folder: str) -> None:
    """Wait for the end of the process that holds the other end of the standard input."""
    sys.stdin.read()
    for _ in range(_TRIES):
        # What still ends there may still write.
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(sys.argv[1])
