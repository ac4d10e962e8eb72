"""The embedded chain's process: `python -m llmasos.ledger.node --database F --socket S --account A`.

It speaks JSON-RPC over a Unix socket that only its user can open, in the way web3's `IPCProvider` expects:
JSON values after each other, with or without newlines. It says `ready` on its output when the socket is open.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import anyio
import anyio.abc

if TYPE_CHECKING:
    from llmasos.ledger.node.methods import Methods

LOCKED = 75
"""The exit status when another node has the database (EX_TEMPFAIL)."""

REQUEST_BYTES = 16 * 2**20
PARENT_CHECK_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop or its parent goes away."""
    parser = argparse.ArgumentParser(prog="llmasos.ledger.node", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, help="the chain's SQLite file")
    parser.add_argument("--socket", type=Path, required=True, help="the Unix socket to listen on")
    parser.add_argument("--account", required=True, help="the address that a new chain's funds belong to")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process to end with")
    options = parser.parse_args(arguments)
    os.umask(0o177)
    with options.database.with_suffix(".lock").open("a") as lock:
        if not _locked(lock):
            print(f"{options.database} is in use by another node", file=sys.stderr)
            return LOCKED
        from llmasos.ledger.node.evm import Evm
        from llmasos.ledger.node.methods import Methods

        evm = Evm(options.database, bytes.fromhex(options.account.removeprefix("0x")))
        try:
            # The lock is held, so a socket that lies here belongs to a node that was killed.
            options.socket.unlink(missing_ok=True)
            anyio.run(_serve, Methods(evm), options.socket, options.parent)
        finally:
            options.socket.unlink(missing_ok=True)
            evm.close()
    return 0


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _serve(methods: Methods, path: Path, parent: int) -> None:
    async with (
        await anyio.create_unix_listener(path, mode=0o600) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope)
        tasks.start_soon(_stop_without_parent, tasks.cancel_scope, parent)
        print("ready", flush=True)
        await listener.serve(lambda stream: _converse(methods, stream), tasks)


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _stop_without_parent(scope: anyio.CancelScope, parent: int) -> None:
    while os.getppid() == parent:
        await anyio.sleep(PARENT_CHECK_SECONDS)
    scope.cancel()


async def _converse(methods: Methods, stream: anyio.abc.SocketStream) -> None:
    decoder, pending = json.JSONDecoder(), b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with stream:
            while len(pending) < REQUEST_BYTES:
                pending = (pending + await stream.receive()).lstrip()
                while pending:
                    try:
                        text = pending.decode()
                        request, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    pending = text[end:].lstrip().encode()
                    await stream.send(json.dumps(_respond(methods, request)).encode() + b"\n")


def _respond(methods: Methods, request: Any) -> Any:
    return (
        [methods.answer(item) for item in request] if isinstance(request, list) else methods.answer(request)
    )


if __name__ == "__main__":
    sys.exit(main())
