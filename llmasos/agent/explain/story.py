"""What is known of the actions of a turn, read from its log; what is not known is said to be so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmasos.agent.explain.compare import compare
from llmasos.agent.explain.log import Log
from llmasos.agent.explain.recheck import Policies, recheck
from llmasos.api import RecordInfo
from llmasos.api.explaining import (
    ActionExplanation,
    ApprovalExplanation,
    Explanation,
    FolderDecision,
    ProofExplanation,
)
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    AssistantText,
    CallDecided,
    DiffOffered,
    Event,
    TurnFinished,
    TurnStarted,
)

_ENDED_BEFORE = ("invalid", "denied")
_OLD = "the log is from a time before this was stored"


@dataclass
class _Action:
    """The events and records of one action."""

    id: str
    said: str = ""
    events: list[Event] = field(default_factory=list)
    records: list[RecordInfo] = field(default_factory=list)
    decided: list[CallDecided] = field(default_factory=list)
    requested: ApprovalRequested | None = None
    resolved: ApprovalResolved | None = None
    started: ActionStarted | None = None
    finished: ActionFinished | None = None

    def add(self, event: Event) -> None:
        """Take the next event of the action."""
        self.events.append(event)
        match event:
            case CallDecided():
                self.decided.append(event)
            case ApprovalRequested():
                self.requested, self.resolved = event, None
            case ApprovalResolved():
                self.resolved = event
            case ActionStarted():
                self.started = event
            case ActionFinished():
                self.finished = event

    @property
    def tool(self) -> str:
        """The tool's name."""
        named = (
            event.tool for event in (self.started, self.finished, self.requested, *self.decided) if event
        )
        return next(named, next((record.tool for record in self.records), ""))

    @property
    def parent(self) -> str:
        """The action whose code made the call."""
        told = (event.parent for event in (*self.decided, self.started) if event and event.parent)
        recorded = (str((record.body or {}).get("parent", "")) for record in self.records)
        return next(told, "") or next(filter(None, recorded), "")


def explain_turn(log: Log, policies: Policies | None = None, *, what: str = "") -> Explanation:
    """Return why a turn was done, or the action that is meant, from its log.

    Args:
        log: What is stored.
        policies: What decisions are made again by; None leaves the checks out.
        what: What was asked about.
    """
    actions = _actions(log)
    started = next((event for event in log.events if isinstance(event, TurnStarted)), None)
    ended = next((event for event in reversed(log.events) if isinstance(event, TurnFinished)), None)
    offered = next((event for event in reversed(log.events) if isinstance(event, DiffOffered)), None)
    diff = offered.changes if offered is not None else () if ended is not None else None
    paths = (
        None
        if diff is None
        else tuple(path for change in diff for path in (change.path, change.source) if path)
    )
    chosen = _chosen(actions, log.place.action)
    absent = {}
    if started is None:
        absent["request"] = "the event that holds it is not there"
    if ended is None:
        absent["status"] = "no end is stored: the turn runs still, or the kernel has stopped"
    if diff is None:
        absent["diff"] = "the turn has no end yet"
    return Explanation(
        id=what or log.place.action or log.place.turn,
        session=log.place.session,
        turn=log.place.turn,
        at=started.at if started else None,
        request=started.text if started else None,
        attachments=started.attachments if started else (),
        model=started.model if started else "",
        sandbox=started.sandbox if started else "",
        dry_run=started.dry_run if started else False,
        in_place=started.in_place if started else False,
        status=ended.status if ended else None,
        error=ended.error if ended else "",
        actions=tuple(
            _explained(action, actions, paths, policies, log.proved.get(action.id)) for action in chosen
        ),
        diff=diff,
        omitted=offered.omitted if offered else 0,
        decisions=tuple(_decisions(log, paths or ())),
        policy=policies.today.version if policies is not None and policies.today is not None else "",
        problems=tuple(log.problems),
        absent=absent,
    )


def _actions(log: Log) -> dict[str, _Action]:
    """Return the actions of a turn, in the order in which they are first heard of."""
    actions: dict[str, _Action] = {}
    text = ""
    for event in log.events:
        id = getattr(event, "action", "")
        if isinstance(event, AssistantText):
            text = event.text
        elif id:
            action = actions.setdefault(id, _Action(id))
            if not action.events and not action.said:
                action.said = text
            action.add(event)
            if isinstance(event, ActionFinished) and not action.parent:
                text = ""
    for record in log.records:
        actions.setdefault(record.action, _Action(record.action)).records.append(record)
    if log.place.action:
        actions.setdefault(log.place.action, _Action(log.place.action))
    return actions


def _chosen(actions: dict[str, _Action], one: str) -> list[_Action]:
    """Return all actions, or one with those that its code called."""
    if not one:
        return list(actions.values())
    wanted, chosen = {one}, []
    for action in actions.values():
        if action.id in wanted or action.parent in wanted:
            wanted.add(action.id)
            chosen.append(action)
    return chosen


def _explained(
    action: _Action,
    actions: dict[str, _Action],
    paths: Sequence[str] | None,
    policies: Policies | None,
    proved: bool | None,
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
    asked = next((event for event in (action.started, decided, action.requested) if event is not None), None)
    said = None if action.parent else action.said or None
    changes = _changes(action, paths)
    approval, proof = _approval(action), _proof(action, unlike, proved)
    absent |= {
        name: why
        for name, value, why in (
            ("said", said, _why_nothing_said(action)),
            ("arguments", asked, _why_no_arguments(action)),
            ("origins", decided, _why_undecided(action)),
            ("choice", decided.choice if decided else None, _why_no_choice(action)),
            ("decision", decided, _why_undecided(action)),
            ("facts", (decided.facts or None) if decided else None, _why_undecided(action)),
            ("approval", approval, _why_not_asked(action)),
            ("outcome", finished, "no end is stored: it runs still, or the kernel has stopped"),
            ("changes", changes, _why_no_changes(action, paths)),
            ("proof", proof, "the ledger holds nothing of it"),
        )
        if value is None
    }
    return ActionExplanation(
        action=action.id,
        tool=action.tool,
        parent=action.parent,
        nested=tuple(
            other.id for other in actions.values() if other.parent == action.id and other is not action
        ),
        at=action.events[0].at if action.events else next((record.at for record in action.records), None),
        said=said,
        arguments=asked.arguments if asked is not None else None,
        origins=decided.origins if decided is not None else None,
        choice=decided.choice if decided is not None else None,
        decision=decided.decision if decided is not None else None,
        earlier=tuple(event.decision for event in action.decided[:-1]),
        facts=(decided.facts or None) if decided is not None else None,
        checks=checks,
        today=today,
        approval=approval,
        status=finished.status if finished is not None else None,
        result=finished.result if finished is not None else None,
        backend=finished.backend if finished is not None else "",
        seconds=finished.seconds if finished is not None else 0.0,
        changes=changes,
        proof=proof,
        problems=tuple(problems),
        absent=absent,
    )


def _approval(action: _Action) -> ApprovalExplanation | None:
    asked, answer = action.requested, action.resolved
    if asked is None and answer is None:
        return None
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


def _proof(action: _Action, unlike: Sequence[str], proved: bool | None) -> ProofExplanation | None:
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


def _changes(action: _Action, paths: Sequence[str] | None) -> tuple[str, ...] | None:
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


def _why_nothing_said(action: _Action) -> str:
    if action.parent:
        return f"the code of {action.parent} made the call"
    return "the model wrote nothing before the call"


def _why_no_arguments(action: _Action) -> str:
    if action.finished is not None and action.finished.status == "invalid":
        return "they were refused as they were; the ledger holds their SHA-256"
    return "no event that holds them is stored"


def _why_undecided(action: _Action) -> str:
    if action.decided:
        return "they were not stored"
    if action.finished is not None and action.finished.status == "invalid":
        return "the call was invalid, so the policy was not asked"
    for record in action.records:
        body = record.body or {}
        if rule := body.get("rule"):
            return f"{_OLD}; the ledger holds the rule {rule} of policy {body.get('policy', 'unknown')}"
    return _OLD if action.started is not None or action.requested is not None else "no decision is stored"


def _why_no_choice(action: _Action) -> str:
    if action.parent:
        return f"the code of {action.parent} made the call"
    if not action.decided:
        return "no decision is stored"
    return "the model's engine did not tell"


def _why_not_asked(action: _Action) -> str:
    if action.finished is not None and action.finished.status == "invalid":
        return "the call was invalid, so nobody was asked"
    if not action.decided:
        return "no request is stored"
    verdict = action.decided[-1].decision.verdict
    if verdict == "ask":
        return "the policy asks, and no request is stored: the kernel has stopped before"
    return "nobody was asked: the policy " + ("allows it" if verdict == "allow" else "denies it")


def _why_no_changes(action: _Action, paths: Sequence[str] | None) -> str:
    if paths is None:
        return "the turn has no end yet"
    if not action.decided:
        return "which of the turn's changes it made is not stored"
    return "which of the turn's changes code made cannot be told"
