"""The embedded chain's process: `python -m llmasos.ledger.node --database F --socket S --account A`.

It says `ready` on its output when its socket is open, and ends with its parent.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import os
import signal
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio

from llmasos.errors import LedgerError

if TYPE_CHECKING:
    from llmasos.ledger.node.methods import Methods

LOCKED, UNUSABLE, DAMAGED = 75, 74, 65
"""The exit statuses when another node has the database (EX_TEMPFAIL), when it cannot be read or written
(EX_IOERR), and when it is damaged (EX_DATAERR)."""

COLLECT_AFTER = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop or its parent goes away."""
    parser = argparse.ArgumentParser(prog="llmasos.ledger.node", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="the chain's SQLite file")
    parser.add_argument("--socket", type=Path, required=True, help="the Unix socket to listen on")
    parser.add_argument("--account", required=True, help="the address that a new chain's funds belong to")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process to end with")
    options = parser.parse_args(arguments)
    os.umask(0o177)
    try:
        with options.database.with_suffix(".lock").open("a") as lock:
            if not _locked(lock):
                print(f"{options.database} is in use by another node", file=sys.stderr)
                return LOCKED
            _run(options)
    except (LedgerError, OSError) as error:
        said = error.message if isinstance(error, LedgerError) else f"{error}"
        print(said, file=sys.stderr)
        return DAMAGED if getattr(error, "damaged", False) else UNUSABLE
    return 0


def _run(options: argparse.Namespace) -> None:
    from llmasos.ledger.node.evm import Evm
    from llmasos.ledger.node.methods import Methods

    evm = Evm(options.database, bytes.fromhex(options.account.removeprefix("0x")))
    # What py-evm made at its import lives as long as the process, and is never garbage.
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    try:
        # The lock is held, so a socket that lies here belongs to a node that was killed.
        options.socket.unlink(missing_ok=True)
        anyio.run(_serve, Methods(evm), options.socket, options.parent)
    finally:
        options.socket.unlink(missing_ok=True)
        evm.close()


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _serve(methods: Methods, path: Path, parent: int) -> None:
    from llmasos.ledger.node.server import serve

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope)
        tasks.start_soon(_stop_without_parent, tasks.cancel_scope, parent)
        await serve(methods, path)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _stop_without_parent(scope: anyio.CancelScope, parent: int) -> None:
    try:
        descriptor = os.pidfd_open(parent)
    except ProcessLookupError:
        scope.cancel()
        return
    try:
        # A parent that had ended before, whose number another process has, is not ours any more.
        if os.getppid() == parent:
            await anyio.wait_readable(descriptor)
        scope.cancel()
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
