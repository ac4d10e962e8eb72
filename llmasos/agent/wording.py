"""The ledger's own types in the words of the API, and the other way round."""

from __future__ import annotations

from datetime import UTC, datetime

from llmasos.api import AnchorInfo, RecordFilter, RecordInfo, VerifyReport
from llmasos.errors import ConfigError
from llmasos.ledger import KINDS, AnchoredRange, Filter, Record, Verdict


def as_filter(query: RecordFilter) -> Filter:
    """Return the ledger's filter of a query.

    Raises:
        ConfigError: There is no such kind, or a moment is out of range.
    """
    if unknown := [kind for kind in query.kinds if kind not in KINDS]:
        raise ConfigError(f"There is no kind {unknown[0]!r}.", hint=f"The kinds are: {', '.join(KINDS)}.")
    return Filter(
        session=query.session,
        action=query.action,
        kinds=query.kinds,
        tool=query.tool,
        since=_moment(query.since),
        until=_moment(query.until),
        after=query.after,
    )


def _moment(at: datetime | None) -> str:
    """Return a moment as records hold it, so that text can be compared."""
    try:
        return at.astimezone(UTC).isoformat(timespec="microseconds") if at else ""
    except OverflowError:
        raise ConfigError(f"{at} is no moment of UTC.", hint="Name one within the years 1 to 9999.") from None


def as_info(record: Record) -> RecordInfo:
    """Return a record as clients see it."""
    return RecordInfo(
        number=record.number,
        session=record.session,
        seq=record.seq,
        kind=record.kind,
        action=record.action,
        tool=record.tool,
        digest=record.digest,
        at=datetime.fromisoformat(record.at),
        state=record.state,
        tx_hash=record.tx_hash or "",
        block=record.block,
        body=record.body,
        erased=record.erased,
    )


def as_anchor(made: AnchoredRange) -> AnchorInfo:
    """Return what a place outside vouches for as clients see it."""
    at = datetime.fromisoformat(made.at) if made.at else None
    return AnchorInfo(target=made.target, last=made.last, at=at, note=made.note, block=made.block)


def as_report(verdict: Verdict) -> VerifyReport:
    """Return what a verification found as clients see it."""
    return VerifyReport(
        ok=verdict.ok,
        message=verdict.message,
        finding=verdict.finding,
        sessions=verdict.sessions,
        checked=verdict.checked,
        confirmed=verdict.confirmed,
        pending=verdict.pending,
        erased=verdict.erased,
        anchored=tuple(map(as_anchor, verdict.anchored)),
        unanchored=verdict.unanchored,
        problems=verdict.problems,
    )
