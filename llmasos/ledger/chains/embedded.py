"""The embedded chain: a node process of our own, its account, and the way to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from llmasos.errors import LedgerError
from llmasos.ledger._contract import (
    Appended,
    SessionState,
    appended,
    appended_topic,
    session_state,
    sessions_call,
    transaction_hash,
)
from llmasos.ledger._digest import use_native_code
from llmasos.ledger.chains.port import ChainError, Receipt, Signed
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.node.evm import CHAIN_ID
from llmasos.paths import private_dir

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

NODE = "llmasos.ledger.node"
DEPLOY_GAS, CALL_GAS = 2_000_000, 300_000
MAX_FEE_WEI = 10 * 10**9
START_SECONDS = 60.0
PROBE_SECONDS = 10.0
STOP_SECONDS = 5.0
LOG_BLOCKS = 5_000
SOCKET_PATH_BYTES = 100


class EmbeddedChain:
    """A chain in a process of its own, with its file and its account's key under `data_dir/chain`.

    The key is made once, readable by this user only, and owns all funds of the chain. A chain whose
    file is lost, or older than the database, is filled again by the ledger with the same signed bytes.

    Args:
        data_dir: The folder for the chain's own folder.
    """

    name = "embedded"
    chain_id = CHAIN_ID

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "chain"
        self.database = self._folder / "chain.db"
        self.key_file = self._folder / "account.key"
        self._process: anyio.abc.Process | None = None
        self._client: RpcClient | None = None
        self._signer: LocalAccount | None = None
        self._short_folder: Path | None = None

    @property
    def account(self) -> str:
        """The account's address.

        Raises:
            LedgerError: The key cannot be read or made.
        """
        address: str = self._account().address
        return address.lower()

    @property
    def pid(self) -> int | None:
        """The node's process; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def socket(self) -> Path:
        """The node's socket; JSON-RPC clients of the same user may use it too."""
        path = self._folder / "node.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        if self._short_folder is None:
            self._short_folder = Path(tempfile.mkdtemp(prefix="llmasos-"))
        return self._short_folder / "node.sock"

    async def connect(self) -> None:
        """Start the node, or start it again when it is gone or does not answer.

        Raises:
            ChainError: It does not start, or its chain belongs to another account.
        """
        if self._client is not None and await self._answers():
            return
        await self._stop()
        await anyio.to_thread.run_sync(self._account)
        await self._start()
        self._client = RpcClient(self.socket)
        if int(await self._request("eth_getBalance", self.account, "latest"), 16) == 0:
            raise ChainError(
                f"The account of {self.key_file} owns nothing on the chain in {self.database}.",
                hint=f"Put the key file back, or move {self.database} away: all records are then sent again.",
            )

    async def close(self) -> None:
        """Stop the node."""
        with anyio.CancelScope(shield=True):
            await self._stop()
        if self._short_folder is not None:
            shutil.rmtree(self._short_folder, ignore_errors=True)
            self._short_folder = None

    def sign(self, nonce: int, to: str | None, data: bytes) -> Signed:
        """Sign a transaction; the same arguments give the same bytes (RFC 6979)."""
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "maxFeePerGas": MAX_FEE_WEI,
            "maxPriorityFeePerGas": 0,
            "gas": DEPLOY_GAS if to is None else CALL_GAS,
            "value": 0,
            "data": data,
        }
        if to is not None:
            fields["to"] = bytes.fromhex(to[2:])
        raw = bytes(self._account().sign_transaction(fields).raw_transaction)
        return Signed(raw, transaction_hash(raw))

    async def send(self, raw: bytes) -> None:
        """Send a signed transaction; it is mined when this returns."""
        await self._request("eth_sendRawTransaction", "0x" + raw.hex())

    async def nonce(self) -> int:
        """Return the account's number of mined transactions."""
        return int(await self._request("eth_getTransactionCount", self.account, "latest"), 16)

    async def receipt(self, tx_hash: str) -> Receipt | None:
        """Return what became of a transaction; None while it is not mined."""
        found = await self._request("eth_getTransactionReceipt", tx_hash)
        return None if found is None else Receipt(ok=found["status"] == "0x1")

    async def block_number(self) -> int:
        """Return the number of the newest block."""
        return int(await self._request("eth_blockNumber"), 16)

    async def has_code(self, address: str) -> bool:
        """Return whether a contract lies at an address."""
        return bool(await self._request("eth_getCode", address, "latest") != "0x")

    async def appended(self, contract: str, block: int) -> list[Appended]:
        """Return a contract's `Appended` events up to a block, oldest first."""
        found: list[Appended] = []
        for first in range(0, block + 1, LOG_BLOCKS):
            query = {
                "address": contract,
                "topics": [appended_topic()],
                "fromBlock": hex(first),
                "toBlock": hex(min(first + LOG_BLOCKS - 1, block)),
            }
            found += [appended(log) for log in await self._request("eth_getLogs", query)]
        return found

    async def session(self, contract: str, key: bytes, block: int) -> SessionState:
        """Return a session as the contract stores it after a block."""
        call = {"to": contract, "data": "0x" + sessions_call(key).hex()}
        output = await self._request("eth_call", call, hex(block))
        try:
            return session_state(bytes.fromhex(output[2:]))
        except ValueError as error:
            raise ChainError(f"There is no audit log at {contract}: {error}.") from error

    async def _request(self, method: str, *params: Any) -> Any:
        if self._client is None:
            raise ChainError("The embedded chain is not running.", hint="It is started by itself; try again.")
        return await self._client.request(method, *params)

    async def _answers(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        try:
            with anyio.fail_after(PROBE_SECONDS):
                await self._request("eth_chainId")
        except (ChainError, TimeoutError):
            return False
        return True

    def _account(self) -> LocalAccount:
        if self._signer is None:
            use_native_code()
            from eth_account import Account

            private_dir(self._folder)
            try:
                self._signer = Account.from_key(_key(self.key_file))
            except (OSError, ValueError) as error:
                # The text of a ValueError could hold the key.
                reason = error.strerror if isinstance(error, OSError) else "it is not a key"
                raise LedgerError(
                    f"The key of the ledger's account in {self.key_file} cannot be used: {reason}.",
                    hint="Put a copy of it back, or move the whole folder away to begin a new chain.",
                ) from None
        return self._signer

    async def _start(self) -> None:
        command = [sys.executable, "-m", NODE, "--database", self.database, "--socket", self.socket]
        command += ["--account", self.account, "--parent", str(os.getpid())]
        log = self._folder / "node.log"
        with log.open("wb") as errors:
            self._process = await anyio.open_process(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            with anyio.fail_after(START_SECONDS):
                await BufferedByteReceiveStream(self._process.stdout).receive_until(b"ready\n", 1000)
        except (anyio.IncompleteRead, TimeoutError) as error:
            await self._stop()
            said = log.read_text(errors="replace").strip().splitlines()
            raise ChainError(
                f"The embedded chain does not start: {said[-1] if said else 'no answer in time'}.",
                hint=f"Stop the other kernel that uses it, or read {log}.",
            ) from error

    async def _stop(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.returncode is None:
            process.terminate()
            with anyio.move_on_after(STOP_SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await process.wait()
        await process.aclose()


def _key(path: Path) -> bytes:
    """Return the private key in a file, making it on the first call."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return bytes.fromhex(path.read_text())
    with os.fdopen(descriptor, "w") as file:
        key = os.urandom(32)
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key
