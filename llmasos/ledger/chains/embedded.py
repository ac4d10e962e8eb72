"""The embedded chain: py-evm in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from llmasos.ledger.chains.local import LocalChain
from llmasos.ledger.chains.port import ChainError, ChainRefused
from llmasos.ledger.node.__main__ import DAMAGED
from llmasos.ledger.node.evm import CHAIN_ID

NODE = "llmasos.ledger.node"


class EmbeddedChain(LocalChain):
    """A chain in a process of its own, with its file and its account's key under `data_dir/chain`.

    The key is made once, readable by this user only, and owns all funds of the chain. A chain whose
    file is lost, or older than the database, is filled again by the ledger with the same signed bytes.

    Args:
        data_dir: The folder for the chain's own folder.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir / "chain", name="embedded", chain_id=CHAIN_ID)
        self.database = self._folder / "blocks.db"

    async def inspect(self) -> AsyncIterator[str | int]:
        """Check every block, receipt, state and log in the chain's file.

        Raises:
            ChainError: The node cannot be reached.
        """
        method, cursor = "llmasos_inspect", None
        while True:
            page = await self._client.request(method, cursor)
            with self._client.reading(method):
                problems, cursor, percent = list(page["problems"]), page["cursor"], int(page["percent"])
            for problem in problems:
                yield str(problem)
            yield percent
            if cursor is None:
                return

    def _not_started(self, status: int | None, reason: str, log: Path) -> ChainError:
        if status != DAMAGED:
            return super()._not_started(status, reason, log)
        return ChainRefused(
            f"The embedded chain is damaged: {reason}.",
            hint=f"Move {self.database} away, where you can still find out what happened to it: "
            "all records are then sent to a new chain.",
        )

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", NODE, "--database", str(self.database), "--socket", str(self.socket)]
        return [*command, "--account", self.account, "--parent", str(os.getpid())]

    async def _begin(self) -> None:
        if await self.balance() == 0:
            raise ChainError(
                f"The account of {self.key_file} owns nothing on the chain in {self.database}.",
                hint=f"Put the key file back, or move {self.database} away: all records are then sent again.",
            )
