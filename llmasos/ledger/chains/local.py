"""A chain whose node is a process of ours, reached over a Unix socket."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from abc import abstractmethod
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.errors import LedgerError
from llmasos.ledger.chains.account import Account, account_in, account_of, replace_key
from llmasos.ledger.chains.evm import EvmChain
from llmasos.ledger.chains.fees import GWEI, above
from llmasos.ledger.chains.port import ChainError, Fees
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import UnixTransport
from llmasos.paths import private_dir

START_SECONDS, PROBE_SECONDS, STOP_SECONDS = 60.0, 10.0, 5.0
SOCKET_PATH_BYTES = 100
BATCH = 500
FEES = Fees(cap=10 * GWEI, tip=0)


class LocalChain(EvmChain):
    """A node that is started when it is needed, ends with this process, and serves one account that owns all.

    Args:
        folder: The folder for the key and for what the node keeps; only its user may enter it.
        name: The chain's name.
        chain_id: Its id.
    """

    def __init__(self, folder: Path, *, name: str, chain_id: int) -> None:
        self._folder = folder
        self.key_file = folder / "account.key"
        self._next_file = folder / "account.key.next"
        path = folder / "node.sock"
        # The path of a socket is limited to 108 bytes.
        self._short = None
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            self._short = Path(tempfile.gettempdir()) / f"llmasos-{secrets.token_hex(8)}"
            path = self._short / "node.sock"
        self.socket = path
        """The node's socket; JSON-RPC clients of the same user may use it too."""
        self._process: anyio.abc.Process | None = None
        super().__init__(
            RpcClient(UnixTransport(path), batch=BATCH),
            self._own_account,
            name=name,
            chain_id=chain_id,
            max_fee_gwei=FEES.cap / GWEI,
        )

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that starts the node; it says `ready` when its socket is being opened."""

    @abstractmethod
    async def _begin(self) -> None:
        """See that the node that was just started can be used.

        Raises:
            ChainError: It cannot.
        """

    @property
    def pid(self) -> int | None:
        """The node's process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def successor(self) -> str:
        """The address of the account that is to take over; empty when none is."""
        return account_in(self._next_file).address if self._next_file.exists() else ""

    async def prepare(self, key: str = "") -> str:
        """Store the key that is to take over, a new one if none is given, and return its address.

        Raises:
            LedgerError: The text is not a key, another key is to take over already, or it cannot be stored.
        """
        given = account_of(key).address if key else ""
        private_dir(self._folder)
        new = account_in(self._next_file, make=True, key=key).address
        if given not in ("", new):
            raise LedgerError(
                f"The account {new} is to take over already.",
                hint="Wait until it has; then hand everything to another key.",
            )
        return new

    async def adopt(self) -> None:
        """Sign with the key that was to take over from here on."""
        if self._next_file.exists():
            replace_key(self.key_file, self._next_file)
            self._signer = None

    async def connect(self) -> None:
        """Start the node, or start it again when it is gone or does not answer.

        Raises:
            ChainError: It does not start, or its chain belongs to another account.
        """
        if self._process is not None and await self._answers():
            return
        await self._stop()
        await anyio.to_thread.run_sync(self._account)
        await self._start()
        await self._recognise()
        await self._begin()

    async def close(self) -> None:
        """Stop the node."""
        with anyio.CancelScope(shield=True):
            await self._stop()

    async def fees(self, over: Fees | None = None) -> Fees:
        """Return what to offer: always the same, so that the same calls are the same bytes."""
        return FEES if over is None else above(over, FEES)

    def _own_account(self) -> Account:
        private_dir(self._folder)
        return account_in(self.key_file, make=True)

    async def _answers(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        try:
            with anyio.fail_after(PROBE_SECONDS):
                await self._recognise()
        except (ChainError, TimeoutError):
            return False
        return True

    async def _start(self) -> None:
        if self._short is not None:
            self._short.mkdir(mode=0o700, exist_ok=True)
        log = self._folder / "node.log"
        with log.open("wb") as errors:
            self._process = await anyio.open_process(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            with anyio.fail_after(START_SECONDS):
                await BufferedByteReceiveStream(self._process.stdout).receive_until(b"ready\n", 1000)
                await self._opened(self._process)
        except (anyio.IncompleteRead, TimeoutError) as error:
            await self._stop()
            said = log.read_text(errors="replace").strip().splitlines()
            raise ChainError(
                f"The {self.name} chain does not start: {said[-1] if said else 'no answer in time'}.",
                hint=f"Stop the other kernel that uses it, or read {log}.",
            ) from error

    async def _opened(self, process: anyio.abc.Process) -> None:
        """Wait until the node's socket is open.

        Raises:
            IncompleteRead: The node ended before.
        """

    async def _stop(self) -> None:
        await self._client.close()
        if self._process is not None:
            process, self._process = self._process, None
            if process.returncode is None:
                process.terminate()
                with anyio.move_on_after(STOP_SECONDS):
                    await process.wait()
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.aclose()
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
