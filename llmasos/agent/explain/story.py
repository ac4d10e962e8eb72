"""What is known of the actions of a turn, read from its log; what is not known is said to be so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmasos.agent.explain.absent import (
    IN_PLACE,
    NO_END,
    UNRECORDED,
    why_no_arguments,
    why_no_changes,
    why_no_choice,
    why_not_asked,
    why_nothing_said,
    why_undecided,
)
from llmasos.agent.explain.action import Action, actions_of, chosen
from llmasos.agent.explain.compare import compare
from llmasos.agent.explain.log import Log
from llmasos.agent.explain.recheck import Policies, recheck
from llmasos.api.explaining import (
    ActionExplanation,
    ApprovalExplanation,
    Explanation,
    FolderDecision,
    ProofExplanation,
)
from llmasos.events import (
    ApprovalRequested,
    ApprovalResolved,
    DiffOffered,
    TurnFinished,
    TurnStarted,
    TurnSteered,
)
from llmasos.story import asked

_ENDED_BEFORE = ("invalid", "denied")


def explain_turn(log: Log, policies: Policies | None = None, *, what: str = "") -> Explanation:
    """Return why a turn was done, or the action that is meant, from its log.

    Args:
        log: What is stored.
        policies: What decisions are made again by; None leaves the checks out.
        what: What was asked about.
    """
    actions = actions_of(log)
    inside: dict[str, list[str]] = {action: [] for action in actions}
    for action in actions.values():
        if action.parent != action.id:
            inside.setdefault(action.parent, []).append(action.id)
    started = next((event for event in log.events if isinstance(event, TurnStarted)), None)
    ended = next((event for event in reversed(log.events) if isinstance(event, TurnFinished)), None)
    offered = next((event for event in reversed(log.events) if isinstance(event, DiffOffered)), None)
    in_place = started is not None and started.in_place
    diff = offered.changes if offered is not None else None if in_place or ended is None else ()
    paths = (
        None
        if diff is None
        else tuple(path for change in diff for path in (change.path, change.source) if path)
    )
    absent = {}
    if started is None:
        absent["request"] = "the event that holds it is not there"
    if ended is None:
        absent["status"] = "no end is stored: the turn runs still, or the kernel has stopped"
    if diff is None:
        absent["diff"] = IN_PLACE if in_place else "the turn has no end yet"
    return Explanation(
        id=what or log.place.action or log.place.turn,
        session=log.place.session,
        turn=log.place.turn,
        at=started.at if started else None,
        request=asked(started) if started else None,
        attachments=started.attachments if started else (),
        steered=tuple(event.text for event in log.events if isinstance(event, TurnSteered)),
        model=started.model if started else "",
        sandbox=started.sandbox if started else "",
        dry_run=started.dry_run if started else False,
        in_place=in_place,
        status=ended.status if ended else None,
        error=ended.error if ended else "",
        actions=tuple(
            _explained(
                action,
                tuple(inside[action.id]),
                paths,
                policies,
                log.proved.get(action.id),
                in_place=in_place,
            )
            for action in chosen(actions, log.place.action)
        ),
        diff=diff,
        omitted=offered.omitted if offered else 0,
        decisions=tuple(_decisions(log, paths or ())),
        policy=policies.today.version if policies is not None and policies.today is not None else "",
        problems=tuple(log.problems),
        absent=absent,
    )


def _explained(
    action: Action,
    nested: tuple[str, ...],
    paths: Sequence[str] | None,
    policies: Policies | None,
    proved: bool | None,
    *,
    in_place: bool,
) -> ActionExplanation:
    decided = action.decided[-1] if action.decided else None
    finished = action.finished
    absent: dict[str, str] = {}
    unlike = list(compare(action.id, action.events, action.records))
    problems = list(unlike)
    checks = today = None
    if decided is not None:
        again = recheck(decided, policies)
        checks, today = again.checks or None, again.today
        problems += again.problems
        if again.why:
            absent["checks"] = again.why
    else:
        absent["checks"] = "no decision is stored"
    if proved is False:
        problems.append("the proof of its records does not hold")
    said = None if action.parent else action.said or None
    changes = _changes(action, paths)
    approvals, proof = _approvals(action), _proof(action, unlike, proved)
    absent |= {
        name: why
        for name, value, why in (
            ("said", said, why_nothing_said(action)),
            ("arguments", action.arguments, why_no_arguments(action)),
            ("origins", decided, why_undecided(action)),
            ("choice", decided.choice if decided else None, why_no_choice(action)),
            ("decision", decided, why_undecided(action)),
            ("facts", (decided.facts or None) if decided else None, why_undecided(action)),
            ("approvals", approvals, why_not_asked(action)),
            ("outcome", finished, NO_END),
            ("changes", changes, why_no_changes(action, paths, in_place=in_place)),
            ("proof", proof, UNRECORDED),
        )
        if value is None
    }
    return ActionExplanation(
        action=action.id,
        tool=action.tool,
        parent=action.parent,
        nested=nested,
        at=action.events[0].at if action.events else next((record.at for record in action.records), None),
        said=said,
        arguments=action.arguments,
        origins=decided.origins if decided is not None else None,
        choice=decided.choice if decided is not None else None,
        decision=decided.decision if decided is not None else None,
        earlier=tuple(event.decision for event in action.decided[:-1]),
        facts=(decided.facts or None) if decided is not None else None,
        checks=checks,
        today=today,
        approvals=approvals,
        status=finished.status if finished is not None else None,
        result=finished.result if finished is not None else None,
        backend=finished.backend if finished is not None else "",
        seconds=finished.seconds if finished is not None else 0.0,
        changes=changes,
        proof=proof,
        problems=tuple(problems),
        absent=absent,
    )


def _approvals(action: Action) -> tuple[ApprovalExplanation, ...] | None:
    return tuple(_approval(*asked) for asked in action.asked) or None


def _approval(asked: ApprovalRequested | None, answer: ApprovalResolved | None) -> ApprovalExplanation:
    return ApprovalExplanation(
        reason=asked.reason if asked else "",
        digest=asked.digest if asked else "",
        pattern=asked.pattern if asked else "",
        asked=asked.at if asked else None,
        answered=answer.at if answer else None,
        approved=answer.approved if answer else None,
        by=answer.by if answer else "",
        always=answer.always if answer else False,
        arguments=answer.arguments if answer else None,
        why=answer.why if answer else "",
    )


def _proof(action: Action, unlike: Sequence[str], proved: bool | None) -> ProofExplanation | None:
    records = action.records
    if not records:
        return None
    states = {record.state for record in records}
    erased = all(record.erased for record in records)
    return ProofExplanation(
        records=tuple(records),
        state="failed" if "failed" in states else "confirmed" if states == {"confirmed"} else "pending",
        agrees=None if erased else not unlike,
        verified=proved,
        command=f"llmasos ledger prove {action.id}",
    )


def _changes(action: Action, paths: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the paths of the turn's diff that an action wrote; None where that cannot be told."""
    ended = action.finished.status if action.finished is not None else None
    if ended in _ENDED_BEFORE:
        return ()
    facts = action.decided[-1].facts if action.decided else {}
    effects = facts.get("effects")
    if paths is None or not isinstance(effects, list):
        return None
    if not {"writes", "deletes", "executes", "unknown"} & set(map(str, effects)):
        return ()
    written = [str(path) for path in facts.get("writes") or ()]
    if not written or ({"executes", "unknown"} & set(map(str, effects)) and facts.get("dynamic")):
        return None
    return tuple(path for path in dict.fromkeys(paths) if any(_within(path, folder) for folder in written))


def _within(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return folder in ("", ".") or path == folder or path.startswith(f"{folder}/")


def _decisions(log: Log, paths: Sequence[str]) -> Iterator[FolderDecision]:
    wanted = set(paths)
    for event in log.later:
        concerned = tuple(path for path in event.paths if path in wanted)
        if concerned:
            yield FolderDecision(what=event.what, at=event.at, commit=event.commit, paths=concerned)
