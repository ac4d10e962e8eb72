"""The start of the worker: limits, hardening, and then the supervisor."""

from __future__ import annotations

import gc
import io
import json
import os
import site
import socket
import sys
from typing import Any, TextIO

from . import landlock, seccomp
from .channel import Channel
from .evidence import Counters
from .files import UMASK
from .limits import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, OomScore, control, set_limits
from .processes import Processes
from .session import Session
from .supervisor import Supervisor

_LAST_ROUNDS = 3


def main(where: str, text: str) -> None:
    """Serve the host at a descriptor or a path, as the options say."""
    options: dict[str, Any] = json.loads(text)
    # Before anything is denied: the weak tier may not open sockets.
    sock = _connect(where)
    if options["egress"] is not None:
        os.environ.update(options["egress"]["environment"])
    if options["attached"]:
        os.chdir(options["workspace"])
    oom_score = OomScore()
    # A cell must not trace or read the memory of the process that answers for it.
    control(PR_SET_DUMPABLE, 0)
    control(PR_SET_CHILD_SUBREAPER, 1)
    os.umask(UMASK)
    os.makedirs(os.environ["HOME"], 0o700, exist_ok=True)
    counters = Counters()
    set_limits(options["limits"], options["user_limits"], counters.killed.known)
    rules = options["landlock"]
    if rules is not None:
        landlock.restrict(rules["read"], rules["write"])
    if options["seccomp"]:
        seccomp.install(seccomp.build(os.uname().machine, os.getpid(), sockets=rules is None))

    def serve_session(channel: Channel) -> None:
        _become_ordinary(options["workspace"])
        Session(channel, options["limits"]["cpu_seconds"], options["workspace"]).serve()

    supervisor = Supervisor(sock, options, oom_score, counters, serve_session)
    # What is frozen stays shared with every fork.
    gc.freeze()
    supervisor.serve()
    # The weak tier has no namespace that would end with this process.
    everything = Processes()
    for _ in range(_LAST_ROUNDS):
        everything.sweep()
    os._exit(0)


def _connect(where: str) -> socket.socket:
    """Return the host's socket: an inherited descriptor by number, or a path to connect to."""
    if where.isdigit():
        sock = socket.socket(fileno=int(where))
        sock.set_inheritable(False)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(where)
    return sock


def _become_ordinary(workspace: str) -> None:
    """Make this process look like a Python that was started by hand in the workspace."""
    package = __name__.partition(".")[0]
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            # A file of the workspace may have the same name.
            del sys.modules[name]
    sys.argv = [""]
    # The workspace last: what code may do is told by its libraries, for which no file there may stand in.
    del sys.path[0]
    sys.path += [site.getusersitepackages(), workspace]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    os.environ.setdefault("MPLBACKEND", "Agg")
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = _stream(number)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def _stream(number: int) -> TextIO:
    return io.TextIOWrapper(
        io.FileIO(number, "w", closefd=False),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
