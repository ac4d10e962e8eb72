"""Access: what one request with a key may do, and what it is charged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import get_args

import anyio

from llmasos.api import KeyScope
from llmasos.models.scheduler.types import Band
from llmasos.service.access.account import Account
from llmasos.service.refusals import LimitReached, NotAllowed, QuotaReached, WrongKey

# What a call is taken to use while nobody has said how much it may.
_EXPECTED_TOKENS = 1000

Charge = Callable[[Account, str, int, int], Awaitable[None]]
Note = Callable[[Account, str], Awaitable[None]]


class Access:
    """One request's part of a key. A request on the kernel's own socket has none, and may do everything.

    Args:
        account: The key.
        charge: Charges a call to it.
        note: Records that a call was refused.
    """

    def __init__(self, account: Account, charge: Charge, note: Note) -> None:
        self._account = account
        self._charge = charge
        self._note = note
        self._held: list[int] = []

    @property
    def key_id(self) -> str:
        """The key's id."""
        return self._account.key.id

    @property
    def tenant(self) -> str:
        """Whom computed prompts are shared with: nobody but requests with the same key."""
        return self._account.key.id

    @property
    def scopes(self) -> tuple[KeyScope, ...]:
        """What the key opens; `admin` opens everything."""
        scopes = self._account.key.scopes
        return get_args(KeyScope) if "admin" in scopes else scopes

    @property
    def band(self) -> Band:
        """The highest priority that it may ask for."""
        return self._account.key.priority

    def may(self, scope: KeyScope) -> bool:
        """Return whether the key opens this."""
        return scope in self.scopes

    def require(self, scope: KeyScope) -> None:
        """Return when the key opens this.

        Raises:
            NotAllowed: It does not.
        """
        if not self.may(scope):
            raise NotAllowed(
                f"The key {self.key_id} does not have the scope {scope!r}.",
                hint=f"Make one that has: `llmasos keys create --scope {scope}`.",
            )

    def allows(self, model: str) -> bool:
        """Return whether the key may ask this model."""
        models = self._account.key.models
        return not models or any(fnmatchcase(model, each) for each in models)

    def require_model(self, model: str) -> None:
        """Return when the key may ask this model.

        Raises:
            NotAllowed: It may not.
        """
        if not self.allows(model):
            raise NotAllowed(
                f"The key {self.key_id} may not ask the model {model[:200]!r}.",
                hint=f"It may ask: {', '.join(self._account.key.models)}.",
            )

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold a part of the limits while a model is asked.

        Raises:
            LimitReached: The limits do not allow another call now.
        """
        self.reserve(_EXPECTED_TOKENS)
        try:
            yield
        finally:
            self._release()

    def reserve(self, tokens: int, calls: int = 1) -> None:
        """Hold so many tokens of the limits until they are charged, or the request ends.

        Args:
            tokens: Tokens that each call may use.
            calls: How many times this request asks a model, as for several choices.

        Raises:
            LimitReached: What is charged and held by others has reached a limit.
        """
        self._release()
        self._account.check_tokens()
        self._held = [tokens] * calls
        self._account.reserved += sum(self._held)

    async def admit(self) -> None:
        """Return when a turn may ask a model again; a minute's tokens are waited for.

        Raises:
            QuotaReached: The day's tokens or the month's money are used up.
            WrongKey: The key has ended since the turn began.
        """
        while True:
            if self._account.ended:
                raise WrongKey(f"The key {self.key_id} {self._account.ended}.")
            try:
                # The request that began the turn may still hold what its call was taken to use.
                self._account.check_tokens(own=sum(self._held))
                return
            except QuotaReached:
                raise
            except LimitReached as limit:
                await anyio.sleep(limit.retry_after or 1.0)

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Charge what a model has read and written for this request."""
        if self._held:
            self._account.reserved -= self._held.pop()
        await self._charge(self._account, model, input_tokens, output_tokens)

    async def refused(self, code: str) -> None:
        """Have it recorded that a call of a model was refused, and why."""
        await self._note(self._account, code)

    def _release(self) -> None:
        self._account.reserved -= sum(self._held)
        self._held = []
