"""Approvals: a call that the policy asks about waits here for a person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import rfc8785

from llmasos.agent import policy
from llmasos.errors import SessionError

Mode = Literal["ask", "deny", "all"]


@dataclass(frozen=True)
class Approval:
    """The answer to an approval request, and who gave it."""

    approved: bool
    by: str


@dataclass
class _Waiting:
    digest: str
    answered: anyio.Event = field(default_factory=anyio.Event)
    answer: Approval | None = None


class Approvals:
    """The approval requests of one session that are open.

    Args:
        mode: `ask` waits for a person, `deny` refuses because nobody is there, `all` was approved beforehand.
    """

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self._waiting: dict[str, _Waiting] = {}

    async def wait(self, action: str, digest: str) -> Approval:
        """Wait for the answer to a request."""
        if self.mode == "all":
            return Approval(approved=True, by="approved beforehand")
        if self.mode == "deny":
            return Approval(approved=False, by="nobody to ask")
        waiting = self._waiting[action] = _Waiting(digest)
        try:
            await waiting.answered.wait()
        finally:
            del self._waiting[action]
        assert waiting.answer is not None
        return waiting.answer

    def answer(self, action: str, digest: str, *, approved: bool, by: str) -> None:
        """Answer a request; the answer counts once, and only for the call it was asked about.

        Raises:
            SessionError: Nothing waits under this id, or the digest is of another call.
        """
        waiting = self._waiting.get(action)
        if waiting is None or waiting.answer is not None:
            raise SessionError(f"No approval is waiting for the action {action!r}.")
        if waiting.digest != digest:
            raise SessionError(
                f"The approval is for another call than {action!r} makes now.",
                hint="Look at the request again.",
            )
        waiting.answer = Approval(approved=approved, by=by)
        waiting.answered.set()


def call_digest(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return the SHA-256 over tool, arguments and policy version that an approval binds to."""
    return sha256_json({"tool": tool, "arguments": dict(arguments), "policy": policy.VERSION})


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a JSON value in its canonical form (RFC 8785), in hex."""
    return hashlib.sha256(rfc8785.dumps(encodable(value))).hexdigest()


def encodable(value: Any) -> Any:
    """Return a value as canonical JSON can hold it, without lone surrogates and very large integers."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
