"""The port to the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from llmasos.ledger._types import AnchoredRange, Entry, Filter, LedgerStatus, Progress, Record, Verdict
from llmasos.secrets import Redactor

EVERYTHING = Filter()


class Ledger(Protocol):
    """Where every action is recorded before and after it runs.

    Attributes:
        redactor: Takes the secrets out of what is recorded.
    """

    redactor: Redactor

    async def record(self, entry: Entry) -> Record:
        """Record an entry; it is on the disk when this returns.

        Raises:
            LedgerError: It cannot be written, so the action must not run.
        """

    async def status(self) -> LedgerStatus:
        """Return how the ledger is doing."""

    async def records(
        self, which: Filter = EVERYTHING, limit: int = 1000, *, bodies: bool = False
    ) -> list[Record]:
        """Return the newest records, oldest first; the first ones after `which.after` where that is given."""

    async def wait(self, after: int) -> None:
        """Return when there is a record with a higher number."""

    async def recorded(self, actions: Sequence[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Return what was recorded of actions, by action and `intent` or `outcome`; None for what was erased.

        A cancelled action's end counts as its outcome.
        """

    async def verify(self, progress: Callable[[Progress], None] | None = None) -> Verdict:
        """Check everything, after waiting a while for records on their way."""

    async def flush(self, timeout: float) -> bool:
        """Wait until all records made so far are confirmed, and return whether they are."""

    async def prove(self, numbers: Sequence[int], *, up_to: int | None = None) -> dict[str, Any]:
        """Return a document that proves records to somebody who knows one block's hash.

        Args:
            up_to: A later block whose hash it should be checked against.

        Raises:
            LedgerError: A record is unknown, or not on the chain yet.
        """

    def export(self, which: Filter = EVERYTHING, *, html: bool) -> AsyncIterator[str]:
        """Return records with their proofs piece by piece: one page, or JSON lines."""

    async def anchor(self, target: str = "") -> list[AnchoredRange]:
        """Put a statement about all confirmed records outside, at one target or at all.

        Raises:
            LedgerError: There is no such target, or it cannot be reached.
        """

    async def erase(self, which: Filter, reason: str, by: str) -> int:
        """Erase the bodies of records, which stay provable, and return how many there were."""

    async def rotate(self, key: str = "") -> str:
        """Hand everything to another key, a new one where the chain is ours, and return its address."""
