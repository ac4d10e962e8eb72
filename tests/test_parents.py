"""A process that must not outlive its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

TIED = "import sys; from llmasos.parents import end_with; print(end_with(int(sys.argv[1])), flush=True)"
CHILD = f"{TIED}; import signal; signal.pause()"
PARENT = (
    "import os, subprocess, sys;"
    f"subprocess.Popen([sys.executable, '-c', {CHILD!r}, str(os.getpid())]);"
    "input()"
)


def test_it_ends_with_its_parent_though_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "True\n"
        os.kill(parent.pid, signal.SIGKILL)
        # The pipe is closed when the last process that holds it has ended.
        assert parent.stdout.read() == ""


def test_whoever_has_lost_its_parent_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", TIED, "0"], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
