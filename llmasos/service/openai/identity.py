"""Who calls: a key with its limits, or the user whose socket it is."""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass
from typing import Protocol, get_args

from starlette.requests import Request

from llmasos.models.scheduler.types import Band, Client
from llmasos.service.openai.errors import ApiError, invalid

LOCAL = "local"
"""The owner of what is asked over the user's own socket."""

PRIORITY, SESSION, DEADLINE = "llmasos-priority", "llmasos-session", "llmasos-deadline"

_BANDS: tuple[Band, ...] = get_args(Band)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_LONGEST_SECONDS = 86_400.0
# Between English and Chinese.
_CHARACTERS_PER_TOKEN = 2
_EXPECTED_TOKENS = 1000


class Access(Protocol):
    """What a key may do; the service finds it in `request.state.access`, None on the user's own socket."""

    @property
    def key_id(self) -> str:
        """The key's public name."""

    @property
    def tenant(self) -> str:
        """Computed prompts are shared only within it."""

    @property
    def band(self) -> Band:
        """The most urgent band that its calls may ask for."""

    def allows(self, model: str) -> bool:
        """Return whether it may ask this model."""

    def reserve(self, tokens: int, calls: int = 1) -> None:
        """Hold so many tokens of its limits for each of a request's calls.

        Raises:
            LimitReached: They do not allow it.
        """

    async def spent(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Count what a call used."""

    async def refused(self, code: str) -> None:
        """Have it recorded that a call was refused, and why."""


@dataclass(frozen=True)
class Asked:
    """How much a request asks of a model.

    Args:
        longest: Characters of the longest text that is read at once.
        reads: Characters that each call reads, where that is more.
        writes: Tokens that each call may write; None says nothing of it.
        calls: How often the model is asked.
    """

    longest: int
    reads: int = 0
    writes: int | None = None
    calls: int = 1

    def tokens(self, context: int | None) -> int:
        """Return the tokens that a call is taken to use, within the model's context where it has one."""
        writes = _EXPECTED_TOKENS if self.writes is None else self.writes
        most = writes if context is None else min(writes, context)
        return max(self.longest, self.reads) // _CHARACTERS_PER_TOKEN + most


@dataclass(frozen=True)
class Caller:
    """Who calls, and how urgently.

    Args:
        request_id: The call's name, in headers and in its records.
        owner: The key's public name, or `LOCAL`.
        named: The session that the caller named in a header, or empty.
        client: Who it is to the scheduler.
        access: The key's limits; None for the user.
    """

    request_id: str
    owner: str
    named: str
    client: Client
    access: Access | None

    @property
    def session(self) -> str:
        """The ledger's session of its records; one for each key, however many names callers think up."""
        return f"api:{self.owner}"


def request_id(request: Request) -> str:
    """Return the request's own id, or a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def caller(request: Request, name: str) -> Caller:
    """Return who calls.

    Args:
        request: The request.
        name: Its id.

    Raises:
        ApiError: A header has a wrong value.
    """
    access: Access | None = getattr(request.state, "access", None)
    owner = access.key_id if access is not None else LOCAL
    named = request.headers.get(SESSION, "")
    if named and not _NAME.fullmatch(named):
        raise _wrong(SESSION, "it must be a short name of letters, digits and `._:-`")
    client = Client(
        # A name means something within its key only: nobody takes another one's share by its name.
        session=f"api:{owner}:{named}" if named else f"api:{owner}",
        band=_band(request.headers.get(PRIORITY, "normal"), access),
        seconds=_seconds(request.headers.get(DEADLINE)),
        tenant=access.tenant if access is not None else "",
    )
    return Caller(name, owner, named, client, access)


def _band(text: str, access: Access | None) -> Band:
    wanted = next((band for band in _BANDS if band == text), None)
    if wanted is None:
        raise _wrong(PRIORITY, f"it must be one of {', '.join(_BANDS)}")
    most = access.band if access is not None else "interactive"
    return max(wanted, most, key=_BANDS.index)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise _wrong(DEADLINE, f"it must be seconds above 0, at most {_LONGEST_SECONDS:.0f}")
    return seconds


def _wrong(header: str, rule: str) -> ApiError:
    return invalid(f"The header {header} has a wrong value: {rule}.", header, code="invalid_header")
