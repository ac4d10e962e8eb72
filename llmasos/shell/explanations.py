"""Explanations in lines: why something was done, and what is not known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmasos.events import display
from llmasos.flips import otherwise
from llmasos.language import translated
from llmasos.shell.words import count, pad

if TYPE_CHECKING:
    from llmasos.api.explaining import ActionExplanation, ApprovalExplanation, DecisionCheck, Explanation
    from llmasos.decisions import ArgumentOrigin, Source, Span
    from llmasos.events import FileChange

_WIDTH = 13
_LONGEST = 200
_MOST_DIFF_LINES = 40
_MOST_PATHS = 12
_MOST_ORIGINS = 12
_SOURCES = {
    "person": "you",
    "model": "the model",
    "system": "LLMasOS",
    "listing": "the names of files",
    "file": "the file",
    "output": "the output of",
    "web": "the web page",
    "mcp": "the MCP server's",
    "tool": "the tool's",
    "attachment": "what was attached as",
    "unknown": "somewhere unknown:",
}


def explanation_lines(found: Explanation) -> Iterator[str]:
    """Yield an explanation, every part of it, and what is not known as such."""
    when = f", {found.at.astimezone():%Y-%m-%d %H:%M}" if found.at else ""
    yield f"Turn {display(found.turn)} of session {display(found.session)}{when}"
    yield from _part("wanted", _quoted(found.request), found.absent.get("request"))
    if found.attachments:
        yield from _part("attached", ", ".join(map(_short, found.attachments)))
    for text in found.steered:
        yield from _part("and then", _quoted(text))
    where = [word for word, on in (("in place", found.in_place), ("dry run", found.dry_run)) if on]
    by = ", ".join(filter(None, (display(found.model), display(found.sandbox), *where)))
    yield from _part("by", by or None, "not stored")
    ended = found.status and (f"{found.status}: {_short(found.error)}" if found.error else found.status)
    yield from _part("ended", ended, found.absent.get("status"))
    if not found.actions:
        yield from _part("actions", "none")
    for number, action in enumerate(found.actions, 1):
        yield ""
        yield from _action_lines(number, action)
    yield ""
    yield from _diff_lines(found)
    for problem in found.problems:
        yield from _part("PROBLEM", display(problem))


def _action_lines(number: int, found: ActionExplanation) -> Iterator[str]:
    status = found.status or "no end"
    inside = f", inside {display(found.parent)}" if found.parent else ""
    yield f"{number}. {display(found.tool) or 'unknown tool'} {display(found.action)}: {status}{inside}"
    yield from _part("chosen", _choice(found), found.absent.get("choice"))
    yield from _arguments(found)
    yield from _decision(found)
    for approval in found.approvals or ():
        yield from _part("approval", _approval(approval))
    if found.approvals is None:
        yield from _part("approval", None, found.absent.get("approvals"))
    yield from _part("outcome", _outcome(found), found.absent.get("outcome"))
    yield from _part("changed", _paths(found.changes), found.absent.get("changes"))
    if found.nested:
        yield from _part("called", ", ".join(map(display, found.nested)))
    yield from _proof(found)
    yield from _part("model said", _quoted(found.said), found.absent.get("said"), note="not evidence")
    for problem in found.problems:
        yield from _part("PROBLEM", display(problem))


def _choice(found: ActionExplanation) -> str | None:
    if found.choice is None:
        return None
    others = [f"{_short(name)} {_percent(odds)}" for name, odds in found.choice.alternatives.items()]
    instead = f"; instead it might have written {', '.join(others)}" if others else ""
    return f"with probability {_percent(found.choice.logprob)}{instead}"


def _percent(logprob: float) -> str:
    share = 100 * math.exp(min(0.0, logprob))
    return f"{share:.1f} %" if share >= 0.1 else "under 0.1 %"


def _arguments(found: ActionExplanation) -> Iterator[str]:
    if found.arguments is None:
        yield from _part("arguments", None, found.absent.get("arguments"))
        return
    if not found.arguments:
        yield from _part("arguments", "none")
    origins = found.origins or ()
    for name, value in found.arguments.items():
        mine = [one for one in origins if one.argument.split(".")[0] == name]
        whence = "n/a" if found.origins is None else _origin(mine)
        yield from _part(f"  {display(name)}", f"{_value(value)}  [{translated(whence)}]")
    if found.origins is None:
        yield from _part("origins", None, found.absent.get("origins"))


def _origin(origins: list[ArgumentOrigin]) -> str:
    given, named = any(origin.given for origin in origins), any(origin.named for origin in origins)
    spans = [span for origin in origins for span in origin.spans]
    usual = bool(origins) and all(origin.default for origin in origins)
    said = ["you gave it"] if given else ["you named a part of it"] if named else []
    said += dict.fromkeys(map(_span, spans))
    more = [f"{len(said) - _MOST_ORIGINS} more"] if len(said) > _MOST_ORIGINS else []
    return "; ".join(map(translated, said[:_MOST_ORIGINS] + more)) or (
        "the tool's default" if usual else "made up by the model"
    )


def _span(span: Span) -> str:
    how = {
        "whole": "found in",
        "copied": f"{_quoted(span.text, 40)} found in",
        "decoded": f"{_quoted(span.text, 40)} found encoded in",
        "identifier": f"the {span.identifier or 'name'} {_quoted(span.text, 60)} found in",
    }[span.how]
    return f"{how} {_source(span.source)}"


def _source(source: Source) -> str:
    name = f" {_short(source.name, 80)}" if source.name else ""
    action = f", read by {display(source.action)}" if source.action else ""
    return f"{_SOURCES.get(source.kind, source.kind)}{name}{action}"


def _decision(found: ActionExplanation) -> Iterator[str]:
    if found.decision is None:
        yield from _part("decided", None, found.absent.get("decision"))
    else:
        said = found.decision
        for former in found.earlier:
            yield from _part(
                "at first", f"{former.verdict} by rule {display(former.rule)}: {_short(former.reason)}"
            )
        rules = ", ".join(map(display, said.rules)) or "none"
        yield from _part("decided", f"{said.verdict} by rule {rules}: {_short(said.reason)}")
        yield from _part("policy", display(said.policy) or None, "not stored")
        facts = ", ".join(f"{display(name)} = {_value(value)}" for name, value in said.facts.items())
        yield from _part("facts", facts or None, "its rules look at none")
    if found.checks is None:
        if found.decision is not None:
            for flip in found.decision.flips:
                yield from _part("would be", display(otherwise(flip.facts, flip.verdict, translated)))
        yield from _part("checked", None, found.absent.get("checks"))
    for check in found.checks or ():
        yield from _check(check)
    if found.today is not None:
        today = found.today
        changed = f"the policy is {display(today.policy)} by now, which says {today.verdict} by rule"
        yield from _part("today", f"{changed} {display(today.rule)}")


def _check(check: DecisionCheck) -> Iterator[str]:
    if not check.facts:
        verdict = (
            "decided again from the log: the same" if check.holds else f"decided again: {check.found}, not so"
        )
        yield from _part("checked", verdict)
        return
    checked = "checked" if check.holds else f"does NOT hold: {check.found or 'undecidable'}"
    yield from _part(
        "would be", f"{display(otherwise(check.facts, check.expected, translated))} ({translated(checked)})"
    )


def _approval(found: ApprovalExplanation) -> str:
    if found.approved is None:
        return f"asked, and never answered: {_short(found.reason)}"
    when = f", {found.answered.astimezone():%Y-%m-%d %H:%M:%S}" if found.answered else ""
    how = "for this pattern from now on" if found.always else "once"
    edited = ", with edited arguments" if found.arguments is not None else ""
    answer = f"given {how}{edited}" if found.approved else "refused"
    why = f"; said to the model: {_quoted(found.why)}" if found.why else ""
    pattern = f"; the pattern: {_short(found.pattern)}" if found.always and found.pattern else ""
    return f"{answer} by {_short(found.by)}{when}{pattern}{why}"


def _outcome(found: ActionExplanation) -> str | None:
    if found.status is None:
        return None
    took = f" after {found.seconds:.3f} s" if found.seconds else ""
    where = f" ({display(found.backend)})" if found.backend else ""
    return f"{found.status}{took}{where}: {_short(found.result or '')}".rstrip(": ")


def _paths(paths: tuple[str, ...] | None) -> str | None:
    if paths is None:
        return None
    more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
    return ", ".join(map(display, paths[:_MOST_PATHS])) + more or "nothing in the folder"


def _proof(found: ActionExplanation) -> Iterator[str]:
    if found.proof is None:
        yield from _part("proof", None, found.absent.get("proof"))
        return
    proof = found.proof
    numbers = ", ".join(f"{record.number} ({record.kind})" for record in proof.records)
    agrees = {True: "agrees with the session", False: "does NOT agree with the session", None: "was erased"}
    yield from _part("recorded", f"as {numbers}; what was recorded {agrees[proof.agrees]}")
    for transaction, block in dict.fromkeys((record.tx_hash, record.block) for record in proof.records):
        placed = f"in block {block}" if block is not None else "not in a block yet"
        yield from _part(
            "on the chain", f"transaction {display(transaction)} {placed}" if transaction else "not yet"
        )
    checked = {True: "made and checked", False: "does NOT hold", None: "not made yet"}
    yield from _part("proof", f"{checked[proof.verified]}; for a stranger: {display(proof.command)}")


def _diff_lines(found: Explanation) -> Iterator[str]:
    if found.diff is None:
        yield from _part("diff", None, found.absent.get("diff"))
        return
    if not found.diff:
        yield from _part("diff", "none: the turn changes nothing in the folder")
        return
    total = count(len(found.diff) + found.omitted, "path")
    yield from _part("diff", f"{total} at the end of the turn")
    for change in found.diff:
        yield from _change(change)
    for made in found.decisions:
        commit = f" {display(made.commit)}" if made.commit else ""
        yield from _part(
            "since then", f"{made.what}{commit}, {made.at.astimezone():%Y-%m-%d %H:%M}: {_paths(made.paths)}"
        )
    if not found.decisions:
        yield from _part(
            "since then", "nothing was written" if found.dry_run else "neither written nor dropped"
        )


def _change(change: FileChange) -> Iterator[str]:
    source = f"{display(change.source)} -> " if change.source else ""
    detail = f" ({_short(change.detail)})" if change.detail else ""
    yield f"    {change.kind} {source}{display(change.path)}{detail}"
    if change.runs:
        yield from _part("runs by itself", display(change.runs))
    lines = change.diff.splitlines()
    for line in lines[:_MOST_DIFF_LINES]:
        yield f"      {display(line)}"
    if len(lines) > _MOST_DIFF_LINES:
        yield f"      ({len(lines) - _MOST_DIFF_LINES} lines more)"


def _part(name: str, value: str | None, why: str | None = None, *, note: str = "") -> Iterator[str]:
    """Yield a part of the explanation; one that is not known says so, with why."""
    label = "  " + translated(name) + (f" ({translated(note)})" if note else "")
    said = f"n/a: {display(translated(why or 'not stored'))}" if value is None else translated(value)
    yield f"{pad(label, _WIDTH + 2)} {said}"


def _quoted(text: str | None, longest: int = _LONGEST) -> str | None:
    return None if text is None else f'"{_short(text, longest)}"'


def _value(value: object) -> str:
    return _short(json.dumps(value, ensure_ascii=False, default=str))


def _short(text: str, longest: int = _LONGEST) -> str:
    """Return text on one line, cut where it is long."""
    shown = display(" ".join(text.split()))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
