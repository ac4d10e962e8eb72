"""Keys: made, found, charged and revoked; of their secrets only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import anyio

from llmasos.agent import asked_through
from llmasos.agent.recording import record
from llmasos.api import KeyCreated, KeyInfo, KeyRequest
from llmasos.config import ModelSettings
from llmasos.errors import ConfigError, LedgerError, UnknownRecordError
from llmasos.ledger import SYSTEM, Ledger
from llmasos.service.access import _rows as rows
from llmasos.service.access.access import Access
from llmasos.service.access.account import Account, utc
from llmasos.service.access.charges import Charges
from llmasos.service.access.usage import Tally
from llmasos.store import Store

_SECRET = re.compile(r"sk-llmasos-([0-9a-f]{10})-[A-Za-z0-9_-]{43}")
_SECRET_BYTES = 32
_NOBODY = "0" * 64
_USED_SECONDS = 60.0
_MILLION = 1e6


class Keys:
    """The keys of one kernel, all of them in memory; what changes is written at once.

    Args:
        store: The database.
        ledger: Where making and revoking a key is recorded.
        prices: Price of a million tokens read and written, by model; see `prices_of`.
        clock: A monotonic clock in seconds.
        now: The time in UTC.

    Attributes:
        charges: Where what they used is written.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        prices: Mapping[str, tuple[float, float]],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._prices = prices
        self.charges = Charges(store)
        self._clock = clock
        self._now = now
        self._accounts: dict[str, Account] | None = None
        self._unwritten: set[str] = set()
        self._lock = anyio.Lock()

    async def create(self, wanted: KeyRequest) -> KeyCreated:
        """Make a key; its secret is in the answer, and nowhere else.

        Raises:
            ConfigError: A budget is wanted, and no prices are known.
            LedgerError: It cannot be recorded.
        """
        if wanted.budget is not None and not self._prices:
            raise ConfigError(
                "A budget needs prices, and none are set.",
                hint="""Set LLMASOS_MODELS__PRICES, such as '{"MODEL": [0.1, 0.4]}' for a million tokens.""",
            )
        accounts = await self._all()
        number = secrets.token_hex(5)
        secret = f"sk-llmasos-{number}-{secrets.token_urlsafe(_SECRET_BYTES)}"
        created = self._now()
        days = wanted.expires_days
        key = KeyInfo(
            id=f"k-{number}",
            created=created,
            expires=created + timedelta(days=days) if days is not None else None,
            **wanted.model_dump(exclude={"expires_days"}),
        )
        await self._record("created", key)
        await rows.insert(self._store, key, _digest(secret))
        accounts[key.id] = self._account(key, _digest(secret))
        return KeyCreated(key=key, secret=secret)

    async def list(self) -> list[KeyInfo]:
        """Return every key, oldest first, with what it has used."""
        infos = [account.info() for account in (await self._all()).values()]
        return sorted(infos, key=lambda info: info.created)

    async def get(self, key: str) -> KeyInfo:
        """Return one key.

        Raises:
            UnknownRecordError: There is none.
        """
        return (await self._known(key)).info()

    async def account(self, key: str) -> Account:
        """Return the account of a key that is valid.

        Raises:
            UnknownRecordError: There is none, or it has ended.
        """
        account = await self._known(key)
        if account.ended:
            raise UnknownRecordError(
                f"The key {key} {account.ended}.", hint="`llmasos keys list` lists those that are valid."
            )
        return account

    async def revoke(self, key: str) -> KeyInfo:
        """End a key at once; requests that are under way with it end, too.

        Raises:
            UnknownRecordError: There is none.
            LedgerError: It cannot be recorded; the key is not valid any more all the same.
        """
        account = await self._known(key)
        revoked = account.key.revoked or self._now()
        if not account.key.revoked:
            account.key = account.key.model_copy(update={"revoked": revoked})
            self._unwritten.add(key)
        for scope in list(account.running):
            scope.cancel()
        if key in self._unwritten:
            # Where this fails, whoever tries again must not be told that it was done.
            await rows.set_time(self._store, key, "revoked", revoked)
            await self._record("revoked", account.key)
            self._unwritten.discard(key)
        return account.info()

    async def find(self, secret: str) -> Account | None:
        """Return the account whose secret this is, or None; one that has ended is returned, too.

        The secret is 256 random bits, so that a fast hash is enough: there is no list of likely ones to try.
        Whether the id or the secret is wrong takes the same time.
        """
        accounts = await self._all()
        written = _SECRET.fullmatch(secret)
        account = accounts.get(f"k-{written[1]}") if written else None
        same = hmac.compare_digest(_digest(secret), account.digest if account else _NOBODY)
        return account if same else None

    async def used(self, account: Account) -> None:
        """Note that a key was used; it is written once a minute."""
        last, now = account.key.last_used, self._now()
        if last is None or (now - last).total_seconds() >= _USED_SECONDS:
            account.key = account.key.model_copy(update={"last_used": now})
            await rows.set_time(self._store, account.key.id, "last_used", now)

    def access(self, account: Account) -> Access:
        """Return one request's part of a key."""
        return Access(account, self._charge, self.refused)

    async def refused(self, account: Account, code: str) -> None:
        """Record that a call of a model was refused; each kind once a minute at most."""
        if count := account.refusals.add(code):
            await self._record_refusals(account, code, count)

    async def settle(self) -> None:
        """Record the refusals that are counted and not recorded yet."""
        for account in (self._accounts or {}).values():
            for code, count in account.refusals.rest():
                await self._record_refusals(account, code, count)

    async def _record_refusals(self, account: Account, code: str, count: int) -> None:
        through = f"api:{account.key.id}"
        with anyio.CancelScope(shield=True), asked_through(through):
            try:
                await record(self._ledger, through, "model", status="refused", error=code, calls=count)
            except LedgerError:
                # Nothing follows from a call that was refused, so it may go unrecorded.
                return

    async def _charge(self, account: Account, model: str, input_tokens: int, output_tokens: int) -> None:
        read, written = self._prices.get(model, (0.0, 0.0))
        cost = (input_tokens * read + output_tokens * written) / _MILLION
        tally = Tally(1, input_tokens, output_tokens, cost)
        day = account.usage.day
        account.usage.add(tally)
        if account.tokens is not None:
            account.tokens.take(tally.tokens)
        await self.charges.add(account.key.id, day, model, tally)

    async def _all(self) -> dict[str, Account]:
        async with self._lock:
            if self._accounts is None:
                accounts = {
                    key.id: self._account(key, digest) for key, digest in await rows.load(self._store)
                }
                for key_id, day, tally in await rows.load_usage(self._store):
                    accounts[key_id].usage.add(tally, day)
                self._accounts = accounts
            return self._accounts

    def _account(self, key: KeyInfo, digest: str) -> Account:
        dearest = max((price for pair in self._prices.values() for price in pair), default=0.0)
        return Account(key, digest, dearest=dearest, clock=self._clock, now=self._now)

    async def _known(self, key: str) -> Account:
        account = (await self._all()).get(key)
        if account is None:
            raise UnknownRecordError(f"There is no key {key[:40]!r}.", hint="`llmasos keys list` lists them.")
        return account

    async def _record(self, change: str, key: KeyInfo) -> None:
        facts = key.model_dump(mode="json", exclude={"id", "today", "month", "total", "last_used"})
        await record(self._ledger, SYSTEM, "key", change=change, key=key.id, **facts)


def prices_of(settings: ModelSettings) -> dict[str, tuple[float, float]]:
    """Return the prices by model; an adapter without a price of its own costs what its model costs."""
    adapted = {
        f"{model}:{adapter}": settings.prices[model]
        for model, adapters in settings.adapters.items()
        for adapter in adapters
        if model in settings.prices
    }
    return adapted | settings.prices


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
