"""Canaries: false secrets that nobody needs, so that whoever takes one out gives themselves away."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from llmasos.secrets.redact import CANARY, Redactor

VARIABLE = "BACKUP_API_TOKEN"
"""The variable under which code in a sandbox finds its session's canary."""


class Canaries:
    """The canaries of a kernel's sessions, one each.

    Args:
        redactor: Finds them in whatever is kept, shown, or read by a model.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._planted: dict[str, str] = {}
        self._found: dict[str, Callable[[], None]] = {}
        redactor.on_canary = self._tell

    def plant(self, session: str, found: Callable[[], None]) -> dict[str, str]:
        """Return the variables to show to a session's code.

        Args:
            session: The session.
            found: Called once for each canary, when it shows up where it should not.
        """
        canary = self._planted.get(session)
        if canary is None:
            canary = self._planted[session] = f"bk-{secrets.token_hex(20)}"
            self.redactor.learn([canary], CANARY)
            self._found[canary] = found
        return {VARIABLE: canary}

    def _tell(self, canary: str) -> None:
        if (found := self._found.pop(canary, None)) is not None:
            found()
