"""Who asked for what is done: a user of the operating system, through a client."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from functools import cache

KERNEL = "kernel"
"""The client of what the kernel does by itself, such as recording its tools at the start."""


def current_user() -> str:
    """Return the name of the user whose process this is, or the number of one without a name."""
    return _name_of(os.getuid())


# Every record names its user, and each question to the system's user data base opens files.
@cache
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@dataclass(frozen=True)
class Asker:
    """Who asked.

    Args:
        client: What the request came through, as it says itself: `shell`, `headless`, `python`, `http`.
        user: The user of the operating system; nobody else can open the kernel's socket.
    """

    client: str = KERNEL
    user: str = field(default_factory=current_user)

    def fields(self) -> dict[str, str]:
        """Return it as a record holds it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.user} ({self.client})"


# What a request starts in the background inherits it, so that a turn's records know who asked for the turn.
_asker: ContextVar[Asker | None] = ContextVar("asker", default=None)


def asker() -> Asker:
    """Return who asked for what runs now."""
    return _asker.get() or Asker()


@contextmanager
def asked_through(client: str) -> Iterator[None]:
    """Name the client of everything that is done meanwhile."""
    token = _asker.set(Asker(client))
    try:
        yield
    finally:
        _asker.reset(token)
