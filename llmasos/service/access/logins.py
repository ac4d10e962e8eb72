"""Logins: browsers that were let in to the console, each as a key or as the machine's own user."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from llmasos.service.access.account import Account
from llmasos.service.access.keys import Keys

LINK_SECONDS = 300.0
"""How long a link that opens the console may wait to be used."""

IDLE_SECONDS = 12 * 3600.0
"""How long a browser may do nothing before it has to log in again."""

_SECRET_BYTES = 32
_MOST = 100
_ANSWER_SECONDS = 1.0


@dataclass
class Login:
    """One browser that was let in.

    Args:
        account: The key as which it acts; None for the machine's own user, who may do everything.
        used: When it was last seen, by the clock of `Logins`.
        csrf: What its forms carry, so that no other page can send them.
        running: Its requests that are under way.
    """

    account: Account | None
    used: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(_SECRET_BYTES))
    running: set[anyio.CancelScope] = field(default_factory=set)


class Logins:
    """The browsers that were let in, and the links that wait to be used; none outlives the kernel.

    Secrets are 256 random bits, and only their hashes are held.

    Args:
        keys: The keys, with which one may log in, too.
        port: Where the console is; browsers keep one cookie of a name for all ports of a machine.
        clock: A monotonic clock in seconds.

    Attributes:
        cookie: The name of the cookie that holds a browser's secret.
    """

    def __init__(self, keys: Keys, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.cookie = f"llmasos_console_{port}"
        self._keys = keys
        self._clock = clock
        self._links: OrderedDict[str, tuple[Account | None, float]] = OrderedDict()
        self._logins: OrderedDict[str, Login] = OrderedDict()

    def link(self, account: Account | None) -> str:
        """Return the token of a new link, which lets one browser in, once, as a key or as the own user."""
        token = secrets.token_urlsafe(_SECRET_BYTES)
        self._links[_digest(token)] = (account, self._clock() + LINK_SECONDS)
        if len(self._links) > _MOST:
            self._links.popitem(last=False)
        return token

    def enter(self, token: str) -> str | None:
        """Use a link up, and return the secret of the browser that is let in; None when it is not valid."""
        account, until = self._links.pop(_digest(token), (None, 0.0))
        return self._entered(account) if self._clock() < until else None

    async def enter_with_key(self, key: str) -> str | None:
        """Let a browser in as a key, and return its secret; None when the key is not valid."""
        account = await self._keys.find(key)
        return self._entered(account) if account is not None and not account.ended else None

    def find(self, secret: str) -> Login | None:
        """Return the login of a browser's secret; None when there is none, or its key has ended."""
        digest = _digest(secret)
        login = self._logins.get(digest)
        if login is None:
            return None
        idle = self._clock() - login.used
        if idle > IDLE_SECONDS or (login.account is not None and login.account.ended):
            del self._logins[digest]
            return None
        login.used = self._clock()
        self._logins.move_to_end(digest)
        return login

    def leave(self, secret: str) -> None:
        """End a login, with what runs for it beside the request that asks."""
        login = self._logins.pop(_digest(secret), None)
        if login is not None:
            for scope in login.running:
                # What follows a page would go on to tell; the request that leaves is answered first.
                scope.deadline = anyio.current_time() + _ANSWER_SECONDS

    def _entered(self, account: Account | None) -> str:
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._logins[_digest(secret)] = Login(account, self._clock())
        if len(self._logins) > _MOST:
            self._logins.popitem(last=False)
        return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
