"""A development chain: Foundry's anvil in a process of its own."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc

from llmasos.ledger.chains.local import LocalChain
from llmasos.ledger.chains.port import ChainError
from llmasos.ledger.node.evm import CHAIN_ID as EMBEDDED_ID

CHAIN_ID = EMBEDDED_ID + 1
FORK = "prague"
FUNDS_WEI = 10**30
GAS_LIMIT = 10**10
KEPT_STATES = 256
MINE_ATTEMPTS = 10
POLL_SECONDS = 0.02
TETHER = "llmasos.ledger.chains.tether"


class AnvilChain(LocalChain):
    """A chain that lives in memory and is as fast as a chain can be, for development and tests.

    It begins empty at every start, and the ledger fills it again with the same signed bytes. Every program on
    this machine can reach it and change it at will, so it proves nothing by itself; anchors do.

    Args:
        data_dir: The folder for the chain's own folder, which holds the account's key.
        fork: The rules of the chain, by the name of Ethereum's fork.
    """

    def __init__(self, data_dir: Path, fork: str = FORK) -> None:
        super().__init__(data_dir / "anvil", name="anvil", chain_id=CHAIN_ID)
        self._fork = fork

    async def send(self, transactions: Sequence[bytes]) -> None:
        """Send signed transactions and mine them, all in one block; sending one twice is harmless."""
        await super().send(transactions)
        # Mining by itself stalls under many transactions.
        for _ in range(MINE_ATTEMPTS):
            await self._client.request("evm_mine")
            waiting = await self._client.request("txpool_status")
            with self._client.reading("txpool_status"):
                if int(waiting["pending"], 16) == 0:
                    return

    def _command(self) -> list[str]:
        tether = [
            sys.executable,
            "-m",
            TETHER,
            str(os.getpid()),
            str(self._folder / "lock"),
            str(self.socket),
        ]
        options = ["--silent", "--no-mining", "--host", "127.0.0.1", "--port", "0", "--ipc", str(self.socket)]
        options += ["--chain-id", str(CHAIN_ID), "--hardfork", self._fork, "--accounts", "0"]
        # States on the disk would take 160 MB for 1,000 blocks.
        options += ["--prune-history", str(KEPT_STATES), "--gas-limit", str(GAS_LIMIT)]
        return [*tether, str(_program()), *options]

    async def _opened(self, process: anyio.abc.Process) -> None:
        while True:
            if process.returncode is not None:
                raise anyio.IncompleteRead
            try:
                stream = await anyio.connect_unix(self.socket)
            except OSError:
                await anyio.sleep(POLL_SECONDS)
            else:
                await stream.aclose()
                return

    async def _begin(self) -> None:
        await self._client.request("anvil_setBalance", self.account, hex(FUNDS_WEI))


def _program() -> Path:
    """Return anvil itself, past the script by which npm starts it: a script dies without its child.

    Raises:
        ChainError: It is not installed.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("anvil", path=os.pathsep.join([os.environ.get("PATH", ""), beside]))
    if found is not None:
        path = Path(found).resolve()
        inside, near = "node_modules/@foundry-rs/anvil-linux-*/bin/anvil", "anvil-linux-*/bin/anvil"
        for candidate in (path, *path.parent.glob(inside), *path.parent.parent.glob(near)):
            with candidate.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    return candidate
    machine = "arm64" if platform.machine() == "aarch64" else "amd64"
    raise ChainError(
        "The development chain needs the program `anvil`, which is not on the PATH.",
        hint=f"Install it with `npm i -g @foundry-rs/anvil-linux-{machine}`, or use the embedded chain.",
    )
