"""The rules of a session: those of its folder and its person, read anew for each turn."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from llmasos.agent.policy import Policy, Rule, add_rule, load_policy
from llmasos.agent.recording import record
from llmasos.config import Settings
from llmasos.ledger import Ledger


class Rulebook:
    """The policy of one session, as its files say it now.

    Args:
        settings: Say where the administrator's rules lie.
        folder: The person's folder, which may have rules of its own.
        ledger: Where a change of the rules is recorded.
        session: The session.
    """

    def __init__(self, settings: Settings, folder: Path, ledger: Ledger, session: str) -> None:
        self._settings = settings
        self._folder = folder
        self._ledger = ledger
        self._session = session
        self.policy = load_policy(settings, folder)

    async def refresh(self) -> tuple[str, ...]:
        """Read the files again, and return what is wrong with them that was not before."""
        before = self.policy.notices
        self.policy = await anyio.to_thread.run_sync(load_policy, self._settings, self._folder)
        return tuple(notice for notice in self.policy.notices if notice not in before)

    async def remember(self, rule: Rule) -> None:
        """Add a rule to the person's file, recorded beforehand; it counts from the next call on.

        Raises:
            LedgerError: It cannot be recorded.
            ConfigError: The file cannot be written.
        """
        await record(
            self._ledger,
            self._session,
            "policy",
            added=rule.model_dump(mode="json", exclude_defaults=True),
            policy=self.policy.version,
        )
        await anyio.to_thread.run_sync(add_rule, self._settings, rule)
        await self.refresh()
