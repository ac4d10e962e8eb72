"""A chain whose node is a process of ours, reached over a Unix socket."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.ledger.chains.evm import EvmChain
from llmasos.ledger.chains.fees import GWEI, above
from llmasos.ledger.chains.keys import KeyFile
from llmasos.ledger.chains.port import ChainError, Fees
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import UnixTransport
from llmasos.secrets import bare_environment

START_SECONDS, PROBE_SECONDS, STOP_SECONDS = 60.0, 10.0, 5.0
SOCKET_PATH_BYTES, SHORT_DIGITS = 100, 16
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
        path = folder / "node.sock"
        # The path of a socket is limited to 108 bytes. The short one is always the same, so that what a
        # killed process leaves behind is used again.
        self._short = None
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:SHORT_DIGITS]
            self._short = Path(tempfile.gettempdir()) / f"llmasos-{os.getuid()}-{name}"
            path = self._short / "node.sock"
        self.socket = path
        """The node's socket; JSON-RPC clients of the same user may use it too."""
        self._process: anyio.abc.Process | None = None
        self._served = False
        super().__init__(
            RpcClient(UnixTransport(path), batch=BATCH),
            KeyFile(self.key_file, make=True),
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

    async def connect(self) -> None:
        """Start the node, or start it again when it is gone or does not answer.

        Raises:
            ChainError: It does not start, or its chain belongs to another account.
        """
        if self._process is not None and await self._answers():
            return
        await self._stop()
        await anyio.to_thread.run_sync(self._keys.current)
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
            await anyio.to_thread.run_sync(_claim, self._short)
        log = self._folder / "node.log"
        with log.open("wb") as errors:
            self._process = await anyio.open_process(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=bare_environment("ETH_", "ECC_"),
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            with anyio.fail_after(START_SECONDS):
                await BufferedByteReceiveStream(self._process.stdout).receive_until(b"ready\n", 1000)
                await self._opened(self._process)
        except (anyio.IncompleteRead, TimeoutError) as error:
            process = self._process
            if isinstance(error, anyio.IncompleteRead):
                # To signal a process that has just ended would take its status from who waits for it.
                with anyio.move_on_after(STOP_SECONDS):
                    await process.wait()
            await self._stop()
            said = log.read_text(errors="replace").strip().splitlines()
            reason = said[-1].rstrip(".") if said else "no answer in time"
            raise self._not_started(process.returncode, reason, log) from error
        self._served = True

    def _not_started(self, status: int | None, reason: str, log: Path) -> ChainError:
        """Return what to raise when the node ended with a status before it was ready."""
        return ChainError(
            f"The {self.name} chain does not start: {reason}.",
            hint=f"Stop the other kernel that uses it, or read {log}.",
        )

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
            # What lies there while our node never served is another one's.
            if self._served:
                self._served = False
                self.socket.unlink(missing_ok=True)
            if self._short is not None:
                with suppress(OSError):
                    self._short.rmdir()


def _claim(folder: Path) -> None:
    """Make a folder for a socket, or take the one that is there, if it is only ours.

    Raises:
        ChainError: It is somebody else's, or others may enter it.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        reason = error.strerror or "it cannot be made"
    else:
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return
        reason = "it is another user's, or others may enter it"
    raise ChainError(
        f"The folder {folder} cannot be used for the chain's socket: {reason}.",
        hint="Remove it, or set TMPDIR or LLMASOS_DATA_DIR to other folders.",
    )
