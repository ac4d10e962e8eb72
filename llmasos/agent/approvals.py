"""Approvals: a call that the policy asks about waits here for a person."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import anyio
import rfc8785

from llmasos.agent.values import well_formed
from llmasos.errors import SessionError
from llmasos.events import NOBODY

Mode = Literal["ask", "deny", "all"]
_TICK = 30.0  # seconds between two looks at the clock on the wall


@dataclass(frozen=True)
class Approval:
    """The answer to an approval request.

    Args:
        approved: Whether the call may run.
        by: Who gave the answer.
        always: Whether calls of the same pattern may run from now on.
        arguments: What the call is run with instead; None leaves its arguments.
        why: What the model is told when the call may not run.
    """

    approved: bool
    by: str
    always: bool = False
    arguments: Mapping[str, Any] | None = None
    why: str = ""


@dataclass
class _Waiting:
    digest: str
    until: float
    answered: anyio.Event = field(default_factory=anyio.Event)
    answer: Approval | None = None


class Approvals:
    """The approval requests of one session that are open, and what was approved beforehand.

    Args:
        mode: `ask` waits for a person, `deny` refuses because nobody is there, `all` was approved beforehand.
        seconds: How long a request stays open.
        clock: Returns the time of day in seconds.
    """

    def __init__(self, mode: Mode, seconds: float = 3600.0, clock: Callable[[], float] = time.time) -> None:
        self.mode = mode
        self.seconds = seconds
        self._clock = clock
        self._beforehand: dict[str, str] = {}
        self._refused: set[str] = set()
        self._waiting: dict[str, _Waiting] = {}

    def begin(self, mode: Mode, approved: Iterable[str], by: str) -> None:
        """Begin a turn: nothing of the last one counts any more.

        Args:
            mode: What happens to a request.
            approved: Digests of calls that were approved beforehand, each once.
            by: Who approved them.
        """
        self.mode = mode
        self._beforehand = dict.fromkeys(approved, by)
        self._refused = set()

    @property
    def beforehand(self) -> bool:
        """Whether calls are approved that were not made yet."""
        return self.mode == "all" or bool(self._beforehand)

    @property
    def expires(self) -> datetime:
        """When a request that is made now is refused by itself."""
        return datetime.fromtimestamp(self._clock(), UTC) + timedelta(seconds=self.seconds)

    def known(self, digest: str) -> Approval | None:
        """Return the answer to a call for which nobody is asked; None when a person has to be.

        What was approved beforehand counts once. Who has refused a call in this turn is not asked again.
        """
        if by := self._beforehand.pop(digest, ""):
            return Approval(approved=True, by=f"{by}, beforehand")
        if self.mode == "all":
            return Approval(approved=True, by="approved beforehand")
        if digest in self._refused:
            return Approval(approved=False, by="refused before in this turn")
        if self.mode == "deny":
            return Approval(approved=False, by=NOBODY)
        return None

    async def wait(self, action: str, digest: str) -> Approval:
        """Wait for the answer to a request; one that nobody answers in time is refused.

        The time counts by a clock that cannot be set and by the one on the wall, whichever is first, so that
        neither a sleeping machine nor a clock that is put back keeps a request open.
        """
        waiting = self._waiting[action] = _Waiting(digest, self._clock() + self.seconds)
        try:
            with anyio.move_on_after(self.seconds):
                while not waiting.answered.is_set() and self._clock() < waiting.until:
                    with anyio.move_on_after(_TICK):
                        await waiting.answered.wait()
        finally:
            del self._waiting[action]
        answer = waiting.answer or Approval(approved=False, by="nobody answered in time")
        # Of two like calls that waited, the newest answer counts.
        (self._refused.discard if answer.approved else self._refused.add)(digest)
        return answer

    def answer(self, action: str, digest: str, answer: Approval) -> None:
        """Answer a request; the answer counts once, and only for the call it was asked about.

        Raises:
            SessionError: Nothing waits under this id, or the digest is of another call.
        """
        waiting = self._waiting.get(action)
        if waiting is None or waiting.answer is not None:
            raise SessionError(
                f"No approval is waiting for the action {action!r}.",
                hint="It was answered, or has expired; `llmasos explain` says what became of it.",
            )
        if self._clock() >= waiting.until:
            # A machine that slept has not looked at the clock yet.
            raise SessionError(
                f"The time to approve the action {action!r} is over.", hint="Ask for it again."
            )
        if waiting.digest != digest:
            raise SessionError(
                f"The approval is for another call than {action!r} makes now.",
                hint="Look at the request again.",
            )
        waiting.answer = answer
        waiting.answered.set()


def call_digest(
    tool: str,
    arguments: Mapping[str, Any],
    policy: str,
    *,
    origin: str = "",
    folder: str = "",
    scripts: Mapping[str, str] | None = None,
) -> str:
    """Return the SHA-256 that an approval binds to.

    Args:
        tool: The tool's name.
        arguments: Its arguments.
        policy: The policy's version.
        origin: The plugin or server that the tool comes from; empty for ours.
        folder: The person's folder.
        scripts: The hashes of the files there that it runs, by their paths.
    """
    call = {"tool": tool, "arguments": dict(arguments), "policy": policy, "origin": origin, "folder": folder}
    return sha256_json({**call, "scripts": dict(scripts)} if scripts else call)


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a JSON value in its canonical form (RFC 8785), in hex."""
    return hashlib.sha256(rfc8785.dumps(encodable(value))).hexdigest()


def encodable(value: Any) -> Any:
    """Return a value as canonical JSON can hold it, without lone surrogates and very large integers."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed(str(key)): encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
