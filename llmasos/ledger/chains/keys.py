"""Where an account's key is kept, and how another one takes over."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llmasos.errors import LedgerError
from llmasos.ledger.chains.account import Account, account_in, account_of, replace_key
from llmasos.paths import private_dir


class Keys(Protocol):
    """The key in force, and the one that is to take over."""

    def current(self) -> Account:
        """Return the account that signs.

        Raises:
            LedgerError: Its key cannot be read or made.
        """

    @property
    def successor(self) -> str:
        """The address of the account that is to take over; empty when none is."""

    def prepare(self, key: str) -> str:
        """Store the key that is to take over, a new one if it is empty, and return its address.

        Raises:
            LedgerError: The text is not a key, another key is to take over already, or it cannot be stored.
        """

    def adopt(self) -> None:
        """Let the key that was to take over be the one in force."""


class GivenKey:
    """A key that somebody else keeps.

    Args:
        account: Its account.
    """

    successor = ""

    def __init__(self, account: Account) -> None:
        self._account = account

    def current(self) -> Account:
        """Return the account that signs."""
        return self._account

    def prepare(self, key: str) -> str:
        """Refuse: there is no place to keep another key.

        Raises:
            LedgerError: Always.
        """
        raise LedgerError(
            "The key is given by LLMASOS_LEDGER__KEY, so another one cannot be stored in its place.",
            hint="Put it into a file, and name that with LLMASOS_LEDGER__KEY_FILE; then it can be changed.",
        )

    def adopt(self) -> None:
        """Do nothing: no account takes over."""


class KeyFile:
    """A key in a file that only its user may read; the one that is to take over lies beside it.

    Args:
        path: The file.
        make: Whether it is made when it is missing, with a key of its own, in a private folder.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self._path, self._make = path, make
        self._next = path.with_name(path.name + ".next")
        self._account: Account | None = None

    def current(self) -> Account:
        """Return the account that signs.

        Raises:
            LedgerError: Its key cannot be read or made.
        """
        if self._account is None:
            if self._make:
                private_dir(self._path.parent)
            self._account = account_in(self._path, make=self._make)
        return self._account

    @property
    def successor(self) -> str:
        """The address of the account that is to take over; empty when none is."""
        return account_in(self._next).address if self._next.exists() else ""

    def prepare(self, key: str) -> str:
        """Store the key that is to take over, a new one if it is empty, and return its address.

        Raises:
            LedgerError: The text is not a key, another key is to take over already, or it cannot be stored.
        """
        given = account_of(key).address if key else ""
        if given == self.current().address:
            raise LedgerError("This is the key in force already.", hint="Give another key, or none.")
        new = account_in(self._next, make=True, key=key).address
        if given not in ("", new):
            raise LedgerError(
                f"The account {new} is to take over already.",
                hint="Wait until it has; then hand everything to another key.",
            )
        return new

    def adopt(self) -> None:
        """Let the key that was to take over be the one in force, for good when this returns.

        Raises:
            LedgerError: The file cannot be replaced.
        """
        if self._next.exists():
            replace_key(self._path, self._next)
            self._account = None
