"""The ledger in lines: records, what is known of one, how it stands, and what a verification found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmasos.display import display
from llmasos.shell.words import count

if TYPE_CHECKING:
    from llmasos.api import AnchorInfo, LedgerInfo, RecordInfo, VerifyReport

_COIN = 10**18
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"))


def record_line(record: RecordInfo) -> str:
    """Return a record in a line: number, time, place in its session, kind, tool, action, state, facts."""
    place = f"{display(record.session)}#{record.seq}"
    said = "(erased)" if record.erased else _said(record.kind, record.body or {})
    return (
        f"{record.number:>6}  {_local(record.at)}  {place:<17}  {record.kind:<8}  "
        f"{display(record.tool) or '-':<12}  {display(record.action) or '-':<14}  {record.state:<9}  {said}"
    ).rstrip()


def record_lines(records: Sequence[RecordInfo]) -> Iterator[str]:
    """Yield everything that is known of records, and the next step."""
    for record in records:
        place = f"record {record.seq} of session {display(record.session)}"
        about = " ".join(filter(None, (display(record.tool), display(record.action))))
        yield f"#{record.number} {record.kind}{f' of {about}' if about else ''}, {place}"
        yield f"  at               {record.at.astimezone().isoformat(sep=' ')}"
        yield f"  state            {_state(record)}"
        if record.tx_hash:
            yield f"  transaction      {record.tx_hash}"
        yield f"  digest           {record.digest}"
        if record.erasure is not None:
            by, reason = display(record.erasure.by), display(record.erasure.reason)
            yield f"  erased           on {_local(record.erasure.at)} by {by} because: {reason}"
        elif record.erased:
            yield "  erased           and no record says why; `llmasos ledger verify` finds such bodies"
        for name, value in sorted((record.body or {}).items()):
            yield f"  {display(name):<16} {_value(value)}"
        yield ""
    first = records[0]
    what = first.action if first.action and len(records) > 1 else str(first.number)
    if all(record.state == "confirmed" for record in records):
        yield f"Prove it to others: llmasos ledger prove {display(what)}"
    else:
        yield "It can be proved when it is on the chain: llmasos ledger status"


def status_lines(info: LedgerInfo, now: datetime | None = None) -> Iterator[str]:
    """Yield where the ledger stands."""
    block = "not reached" if info.head_block is None else f"block {info.head_block}"
    yield f"chain     {info.backend}, id {info.chain_id}, {block}"
    yield f"account   {info.account or 'none yet'}"
    yield f"contract  {info.contract or 'not deployed yet'}"
    yield f"mode      {info.mode}"
    refused = f", {info.failed} refused" if info.failed else ""
    way = f"{info.confirmed} on the chain and {info.pending} under way"
    yield f"records   {info.records}, of which {way}{refused}"
    if info.backlog:
        yield f"backlog   {info.pending:,} of {info.backlog:,} that may wait before actions are refused"
    if info.spent:
        yield f"spent     {info.spent / _COIN:.9f} coins"
    for made in info.anchors:
        yield f"anchor    {anchor_line(made, info.records, now)}"
    if not info.anchors:
        yield "anchors   none; LLMASOS_LEDGER__ANCHORS names places outside that vouch for the ledger"
    if info.anchor_error:
        yield f"          {display(info.anchor_error)}"
    if info.error:
        yield f"error     {display(info.error)}"
    if info.hint:
        yield f"          {display(info.hint)}"


def anchor_line(made: AnchorInfo, records: int, now: datetime | None = None) -> str:
    """Return what a place outside vouches for, in a line."""
    if made.at is None:
        return f"{display(made.target)}: nothing yet; `llmasos ledger anchor` tells it"
    of = f" of {records}" if records else ""
    note = f" ({display(made.note)})" if made.note else ""
    return f"{display(made.target)}: records 1 to {made.last}{of}, {_age(made.at, now)} ago{note}"


def report_lines(report: VerifyReport) -> Iterator[str]:
    """Yield what a verification found, what is wrong first."""
    yield display(report.message)
    problems = [problem for problem in report.problems if problem not in report.message]
    for problem in problems:
        yield f"  {display(problem)}"
    if report.erased:
        bodies = count(report.erased, "record")
        yield f"The bodies of {bodies} were erased; the records themselves are checked."
    for made in report.anchored:
        when = f", {_local(made.at)}" if made.at else ""
        note = f" ({display(made.note)})" if made.note else ""
        yield f"Anchored: records 1 to {made.last} by {display(made.target)}{when}{note}."
    if report.unanchored is not None and report.checked:
        one = report.unanchored == report.checked
        which = f"record {report.checked}" if one else f"records {report.unanchored} to {report.checked}"
        it = "it" if one else "them"
        yield f"Not anchored: {which}. Nothing outside the ledger's own chain vouches for {it}."


def _said(kind: str, body: dict[str, Any]) -> str:
    """Return the one fact of a record that a list should show."""
    match kind:
        case "outcome" | "cancel":
            took = f", {body['milliseconds']} ms" if "milliseconds" in body else ""
            return display(f"{body.get('status', '')}{took}")
        case "intent":
            return display(f"allowed by {body.get('rule', '?')}")
        case "approval":
            answer = "approved" if body.get("approved") else "refused"
            return display(f"{answer} by {body.get('by', '?')}")
        case "model" if body.get("status") == "refused":
            return display(f"{body.get('calls', 1)} refused: {body.get('error', '?')}")
        case "model":
            return display(f"{body.get('model', '?')}, {body.get('output_tokens', 0)} tokens")
        case "round":
            return display(_round(body))
        case "erase":
            return display(f"because: {body.get('reason', '?')}")
    return ""


def _round(body: dict[str, Any]) -> str:
    match body.get("event"):
        case "started":
            return f"began after {body.get('after', 0)} rounds"
        case "ended":
            return f"{body.get('state', '?')} after {body.get('rounds', '?')} rounds"
    accuracy = body.get("accuracy")
    reached = f", accuracy {accuracy:.4f}" if isinstance(accuracy, float) else ""
    return f"round {body.get('round', '?')}, {len(body.get('participants', ()))} updates{reached}"


def _state(record: RecordInfo) -> str:
    return f"{record.state} in block {record.block}" if record.block is not None else record.state


def _value(value: object) -> str:
    if isinstance(value, dict):
        return display(", ".join(f"{name} {item}" for name, item in sorted(value.items())))
    if isinstance(value, list):
        return display(", ".join(map(str, value))) or "none"
    return display(str(value))


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _age(at: datetime, now: datetime | None) -> str:
    seconds = max(0.0, ((now or datetime.now().astimezone()) - at).total_seconds())
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"
