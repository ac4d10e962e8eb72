"""The rules of a session: those of its folder and its person, read anew for each turn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio.to_thread

from llmasos.agent.explain.archive import PolicyArchive
from llmasos.agent.policy import Policy, Rule, add_rule, load_policy, user_file
from llmasos.agent.recording import record
from llmasos.config import Settings
from llmasos.ledger import Ledger


def policy_for(settings: Settings, folder: Path | None = None) -> Policy:
    """Return the rules in force, in a folder that may have some of its own."""
    return load_policy(folder, administrator=settings.policy.administrator)


def _kept(archive: PolicyArchive, settings: Settings, folder: Path) -> Policy:
    """Return the rules in force, after they were kept for those who explain what they decided."""
    policy = policy_for(settings, folder)
    archive.keep(policy)
    return policy


class Rulebook:
    """The policy of one session, as its files say it now.

    Args:
        settings: Say where the administrator's rules lie.
        folder: The person's folder, which may have rules of its own.
        ledger: Where a change of the rules is recorded.
        session: The session.
    """

    def __init__(self, settings: Settings, folder: Path, ledger: Ledger, session: str) -> None:
        self.folder = folder
        self._load = partial(_kept, PolicyArchive(settings.data_dir), settings, folder)
        self._ledger = ledger
        self._session = session
        self._told: set[str] = set()
        self.policy: Policy = self._load()

    async def refresh(self) -> tuple[str, ...]:
        """Read the files again, and return what is wrong with them that was not told before."""
        self.policy = await anyio.to_thread.run_sync(self._load)
        new = tuple(notice for notice in self.policy.notices if notice not in self._told)
        self._told = set(self.policy.notices)
        return new

    async def remember(self, rule: Rule) -> None:
        """Add a rule to the person's file, recorded beforehand; it counts from the next call on.

        Raises:
            LedgerError: It cannot be recorded.
            ConfigError: The file cannot be written.
        """
        added = rule.model_dump(mode="json", exclude_defaults=True)
        await record(self._ledger, self._session, "policy", added=added, policy=self.policy.version)
        await anyio.to_thread.run_sync(add_rule, user_file(), rule)
        self.policy = await anyio.to_thread.run_sync(self._load)
