"""The process that tasks run in, one after the other. Imports little: it is started often."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import select
import signal
import socket
import sys
import threading
from multiprocessing import spawn
from pathlib import Path
from typing import Any

from llmasos.cluster._task import Output, loaded, run

LENGTH_BYTES = 8
_SUBREAPER = 36
# It may be slow to import, and few tasks need it.
_MAIN = ("init_main_from_name", "init_main_from_path")


def main() -> None:
    """Serve the socket whose number is the argument."""
    wire = socket.socket(fileno=int(sys.argv[1]))
    wire.set_inheritable(False)
    threading.Thread(target=_end_with_parent, args=(wire.fileno(),), daemon=True).start()
    adopt_orphans()
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    output = Output(1)
    function: Any = None
    folder, main_module, count = Path(), dict[str, Any](), 0
    with wire.makefile("rb", buffering=1 << 16) as frames:
        while header := frames.read(LENGTH_BYTES):
            kind, *rest = pickle.loads(frames.read(int.from_bytes(header, "big")))
            if kind == "begin":
                folder, main_module = Path(rest[0]), prepared(rest[1])
                _send(wire, None)
                continue
            pickled, inline, payloads = rest
            if main_module and any(b"__main__" in data for data in (pickled or b"", *payloads)):
                prepared(main_module, here=True)
                main_module = {}
            if pickled is not None:
                function = loaded(pickled)
                _send(wire, None)
            for payload in payloads:
                reply = run(function, payload, output)
                if reply.size > inline and not reply.failed:
                    count += 1
                    path = folder / f"{os.getpid()}-{count}"
                    path.write_bytes(reply.payload)
                    reply.payload, reply.kept = b"", str(path)
                _send(
                    wire, (reply.failed, reply.payload, reply.output, reply.seconds, reply.kept, reply.size)
                )


def _send(wire: socket.socket, message: Any) -> None:
    # One by one, so that what was not sent before an end is only what ran then.
    data = pickle.dumps(message, 5)
    wire.sendall(len(data).to_bytes(LENGTH_BYTES, "big") + data)


def prepared(preparation: dict[str, Any], here: bool = False) -> dict[str, Any]:
    """Make modules be found as they are in the parent; return what its main module takes, or import it."""
    main_module = {name: preparation.pop(name) for name in _MAIN if name in preparation and not here}
    # What cannot be prepared is told by the task that needs it.
    with contextlib.suppress(Exception):
        spawn.prepare(preparation)
    return main_module


def _end_with_parent(wire: int) -> None:
    poll = select.poll()
    poll.register(wire, select.POLLRDHUP)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def adopt_orphans() -> None:
    """Stay the parent of what tasks leave behind, so that it is found and ended."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
