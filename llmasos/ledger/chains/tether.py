"""Becomes a program that must not outlive us: `tether PARENT LOCK SOCKET COMMAND…`.

Linux kills the program when its parent dies, whatever it dies of. A lock that the program holds until then
keeps a second one from the same folder. `ready` is said when the lock is held and an old socket is removed.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress

from llmasos.parents import end_with

LOCKED = 75
"""The exit status when another program has the folder (EX_TEMPFAIL)."""

WAIT_SECONDS, RETRY_SECONDS = 2.0, 0.05


def main(arguments: list[str]) -> int:
    """Become the program; return only when that cannot be."""
    parent, lock, socket, *command = arguments
    if not end_with(int(parent)):
        print(
            "who started it has ended, or the system does not end programs with their parents",
            file=sys.stderr,
        )
        return 1
    os.umask(0o077)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    if not _locked(descriptor):
        print(f"{os.path.dirname(lock)} is in use by another node", file=sys.stderr)  # noqa: PTH120 - as given
        return LOCKED
    os.set_inheritable(descriptor, True)
    with suppress(FileNotFoundError):
        os.unlink(socket)  # noqa: PTH108 - the path is only handed on
    print("ready", flush=True)
    os.dup2(2, 1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    raise AssertionError


def _locked(descriptor: int) -> bool:
    """Take the lock, waiting a moment for a program that is being killed."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(RETRY_SECONDS)
        else:
            return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
