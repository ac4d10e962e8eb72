"""Moments as a person names them: `2h`, `yesterday`, `2026-11-24`, `2026-11-24T18:00`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from llmasos.errors import LLMasOSError

_AGO = re.compile(r"(\d{1,6}) ?([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}


def parse_time(text: str, now: datetime | None = None) -> datetime | None:
    """Return the moment that is named, in this machine's time zone where it names none; None for no text.

    Args:
        text: So long ago (`30s`, `5m`, `2h`, `3d`, `1w`), the start of `today` or `yesterday`, or ISO 8601.
        now: The moment from which it counts.

    Raises:
        LLMasOSError: It is none of these.
    """
    given = text.strip().lower()
    if not given:
        return None
    now = now or datetime.now().astimezone()
    try:
        if ago := _AGO.fullmatch(given):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if given in _DAYS:
            day = now.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
            return (day - timedelta(days=_DAYS[given])).astimezone()
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise LLMasOSError(
            f"{text!r} names no time.",
            hint="As in 2h, 3d, today, yesterday, 2026-11-24 or 2026-11-24T18:00.",
        ) from None
