"""Explanations of logs with every kind of end: each part of each action is known, or said not to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.agent.approvals import sha256_json
from llmasos.agent.audit import sha256_result
from llmasos.agent.explain import Log, Place, Policies, explain_turn
from llmasos.agent.policy import Call, Facts, Policy, Rule, When, decide
from llmasos.api import RecordInfo
from llmasos.api.explaining import ActionExplanation, Explanation
from llmasos.decisions import ArgumentOrigin, Decision, Flip, Source, Span
from llmasos.errors import ConfigError
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    AssistantText,
    CallDecided,
    DiffOffered,
    Event,
    FileChange,
    ToolChoice,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = {
    "said": "said",
    "arguments": "arguments",
    "origins": "origins",
    "choice": "choice",
    "decision": "decision",
    "facts": "facts",
    "checks": "checks",
    "approvals": "approvals",
    "outcome": "status",
    "changes": "changes",
    "proof": "proof",
}


ORIGIN = (ArgumentOrigin(argument="path", given=True),)
RULES = (
    Rule(id="never", decision="deny", when=When(tool=("deny",))),
    Rule(id="copied", decision="ask", when=When(copied=True)),
    Rule(id="view", decision="allow", priority=10, when=When(dynamic=False)),
)
POLICY = Policy.of(RULES)
LATER = Policy.of(RULES[2:])


def kept(version: str) -> Policy:
    if version != POLICY.version:
        raise ConfigError(f"The policy {version} was not kept.")
    return POLICY


POLICIES = Policies(kept)


def log(*events: Event, records: Sequence[RecordInfo] = (), later: Sequence[WorkspaceChanged] = ()) -> Log:
    begun = TurnStarted(turn="t-1", text="do it", model="m", sandbox="fake")
    return Log(Place("s-1", "t-1"), (begun, *events), later, records)


def record(kind: str, action: str = "a-1", *, number: int = 1, **body: Any) -> RecordInfo:
    return RecordInfo(
        number=number,
        session="s-1",
        seq=number,
        kind=kind,
        action=action,
        tool="write",
        digest="00",
        at=AT,
        state="confirmed",
        tx_hash="0x01",
        block=7,
        body=body,
    )


def decided(action: str = "a-1", tool: str = "write", **facts: Any) -> CallDecided:
    known = Facts(effects=frozenset({"writes"}), writes=("src/a.txt",), origins=ORIGIN, **facts)
    return CallDecided(
        action=action,
        tool=tool,
        arguments={"path": "src/a.txt"},
        decision=decide(Call(tool=tool, arguments={"path": "src/a.txt"}), known, POLICY),
        origins=ORIGIN,
        choice=ToolChoice(logprob=-0.1, alternatives={"edit": -2.3}),
        facts=known.model_dump(mode="json"),
    )


def started(action: str = "a-1") -> ActionStarted:
    return ActionStarted(action=action, tool="write", arguments={"path": "src/a.txt"})


def ended(status: Any = "ok", action: str = "a-1") -> ActionFinished:
    return ActionFinished(action=action, tool="write", status=status, result=str(status))


def diff(*paths: str) -> DiffOffered:
    return DiffOffered(changes=tuple(FileChange(path=path, kind="added") for path in paths))


def complete(found: Explanation) -> None:
    for action in found.actions:
        for part, name in PARTS.items():
            assert (getattr(action, name) is None) == (part in action.absent), (part, action)
        assert all(action.absent.values())


def only(found: Explanation) -> ActionExplanation:
    complete(found)
    (action,) = found.actions
    return action


def test_an_action_that_ran_is_explained_in_every_part() -> None:
    result = ended()
    facts = decided().facts
    records = [
        record(
            "intent",
            arguments_sha256=sha256_json(started().arguments),
            facts_sha256=sha256_json(facts),
            policy=POLICY.version,
            rule="view",
        ),
        record("outcome", number=2, status="ok", result_sha256=sha256_result("ok")),
    ]
    later = WorkspaceChanged(what="commit", commit="c-1", paths=("src/a.txt", "other"))
    whole = log(
        AssistantText(text="I write it."),
        decided(),
        started(),
        result,
        diff("src/a.txt", "b.txt"),
        TurnFinished(status="done"),
        records=records,
        later=[later],
    )
    found = explain_turn(whole, POLICIES)
    assert (found.request, found.status, found.problems, found.absent) == ("do it", "done", (), {})
    action = only(found)
    assert (action.said, action.status, action.changes) == ("I write it.", "ok", ("src/a.txt",))
    assert action.choice is not None and action.choice.alternatives == {"edit": -2.3}
    assert action.checks is not None and all(check.holds for check in action.checks)
    assert {"ask"} == {check.found for check in action.checks[1:]}
    assert {"copied": ["web"]} in [check.facts for check in action.checks]
    assert action.proof is not None and (action.proof.agrees, action.proof.state) == (True, "confirmed")
    assert action.problems == () and list(action.absent) == ["approvals"]
    assert [made.paths for made in found.decisions] == [("src/a.txt",)]


@pytest.mark.parametrize(
    ("events", "status", "absent"),
    [
        ((ended("invalid"),), "invalid", "the call was invalid, so the policy was not asked"),
        ((decided(tool="deny"), ended("denied")), "denied", ""),
        ((decided(), started(), ended("cancelled")), "cancelled", ""),
        ((decided(), started(), ended("unknown")), "unknown", ""),
        ((decided(), started(), ended("failed")), "failed", ""),
        ((decided(), started()), None, ""),
        ((decided(),), None, ""),
        ((started(), ended()), "ok", "the log is from a time before this was stored"),
        ((ended(),), "ok", "no decision is stored"),
    ],
)
def test_every_end_is_explained(events: tuple[Event, ...], status: str | None, absent: str) -> None:
    action = only(explain_turn(log(*events), POLICIES))
    assert action.status == status and action.absent.get("decision", "") == absent
    if status in ("invalid", "denied"):
        assert action.changes == ()


def test_an_old_record_tells_the_rule() -> None:
    found = explain_turn(
        log(started(), ended(), records=[record("intent", rule="view", policy="1")]), POLICIES
    )
    assert only(found).absent["decision"].endswith("the ledger holds the rule view of policy 1")


def test_an_approval_is_told_with_who_and_how() -> None:
    asked = ApprovalRequested(
        action="a-1", tool="write", arguments={}, reason="Copied.", digest="d", pattern="p"
    )
    answer = ApprovalResolved(
        action="a-1", approved=True, by="ada", always=True, arguments={"path": "b.txt"}, why=""
    )
    edited = decided().model_copy(update={"arguments": {"path": "b.txt"}})
    action = only(
        explain_turn(log(decided(copied={"file"}), asked, answer, edited, started(), ended()), POLICIES)
    )
    assert action.approvals is not None
    (approval,) = action.approvals
    assert (approval.approved, approval.by, approval.always) == (True, "ada", True)
    assert action.earlier[0].verdict == "ask" and action.decision is not None
    assert action.decision.verdict == "allow"
    unanswered = only(explain_turn(log(decided(copied={"file"}), asked), POLICIES))
    assert unanswered.approvals is not None and unanswered.approvals[0].approved is None


def test_an_action_is_explained_with_what_its_code_called() -> None:
    inner = decided("a-2").model_copy(update={"parent": "a-1"})
    whole = log(
        AssistantText(text="I run code."),
        decided(),
        started(),
        inner,
        ended(action="a-2"),
        ended(),
        decided("a-3"),
        ended("denied", "a-3"),
    )
    found = explain_turn(Log(Place("s-1", "t-1", "a-1"), whole.events), POLICIES)
    complete(found)
    outer, nested = found.actions
    assert (outer.nested, nested.parent, nested.said) == (("a-2",), "a-1", None)
    assert nested.absent["said"] == "the code of a-1 made the call"
    last = explain_turn(whole, POLICIES).actions[-1]
    assert last.absent["said"] == "the model wrote nothing before the call"


def test_what_code_wrote_is_not_guessed() -> None:
    run = decided(dynamic=True)
    run = run.model_copy(update={"facts": run.facts | {"effects": ["executes"], "writes": []}})
    action = only(explain_turn(log(run, started(), ended(), diff("x")), POLICIES))
    assert action.changes is None and "cannot be told" in action.absent["changes"]


def test_a_log_that_was_altered_is_a_problem() -> None:
    records = [
        record("intent", policy=POLICY.version, rule="copied", facts_sha256="00", arguments_sha256="00"),
        record("approval", number=2, approved=False, by="eve", rule="never"),
        record("outcome", number=3, status="failed"),
        record("outcome", "a-9", number=4, status="ok", turn="t-1"),
    ]
    answer = ApprovalResolved(action="a-1", approved=True, by="ada")
    found = explain_turn(log(decided(), answer, started(), ended(), records=records), POLICIES)
    complete(found)
    altered, hidden = found.actions
    assert len(altered.problems) == 7 and altered.proof is not None and altered.proof.agrees is False
    assert hidden.problems == ("the ledger records the action a-9, and the session does not show it",)


def test_origins_that_are_not_those_of_the_facts_are_a_problem() -> None:
    forged = decided().model_copy(update={"origins": ()})
    assert only(explain_turn(log(decided()), POLICIES)).problems == ()
    (problem,) = only(explain_turn(log(forged), POLICIES)).problems
    assert problem == "the origins of a-1 (write) are not those among its facts"


def test_what_was_decided_otherwise_is_found_out() -> None:
    lie = Decision(verdict="deny", rules=("x",), reason="", flips=(Flip(facts={"copied": 7}, verdict="ask"),))
    events = decided().model_copy(update={"decision": lie.model_copy(update={"policy": POLICY.version})})
    action = only(explain_turn(log(events), POLICIES))
    assert action.checks is not None and [check.holds for check in action.checks] == [False, False]
    assert action.checks[1].found is None and len(action.problems) == 2


def test_a_policy_that_changed_since_is_told() -> None:
    policies = Policies(kept, LATER)
    action = only(explain_turn(log(decided(copied={"file"})), policies))
    assert action.today is not None and action.today.verdict == "allow"
    assert action.checks is not None and all(check.holds for check in action.checks)
    old = decided()
    old = old.model_copy(update={"decision": old.decision.model_copy(update={"policy": "gone"})})
    assert only(explain_turn(log(old), policies)).absent["checks"] == "The policy gone was not kept."


IDS = st.sampled_from(["a-1", "a-2", "a-3"])
NAMES = st.sampled_from(["write", "deny", "run", ""])
VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=3)
KINDS = st.frozensets(st.sampled_from(["file", "web", "tool"]))
FACTS = st.builds(
    Facts,
    effects=st.frozensets(st.sampled_from(["reads", "writes", "executes", "unknown"])),
    writes=st.lists(st.text(max_size=8), max_size=2).map(tuple),
    dynamic=st.booleans(),
    copied=KINDS,
)
SOURCES = st.builds(Source, kind=st.sampled_from(["file", "web", "model"]), name=st.text(max_size=5))
ORIGINS = st.lists(
    st.builds(
        ArgumentOrigin,
        argument=st.text(max_size=8),
        given=st.booleans(),
        spans=st.lists(st.builds(Span, text=st.text(), source=SOURCES), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)


@st.composite
def decisions(draw: st.DrawFn) -> CallDecided:
    tool, arguments, facts = draw(NAMES), draw(VALUES), draw(FACTS)
    return CallDecided(
        action=draw(IDS),
        tool=tool,
        arguments=arguments,
        parent=draw(st.sampled_from(["", "a-1", "a-2"])),
        decision=decide(Call(tool=tool, arguments=arguments), facts, POLICY),
        origins=draw(ORIGINS),
        facts=facts.model_dump(mode="json"),
    )


EVENTS = st.lists(
    st.one_of(
        decisions(),
        st.builds(AssistantText, text=st.text()),
        st.builds(
            ActionStarted, action=IDS, tool=NAMES, arguments=VALUES, parent=st.sampled_from(["", "a-1"])
        ),
        st.builds(
            ApprovalRequested, action=IDS, tool=NAMES, arguments=VALUES, reason=st.text(), digest=st.text()
        ),
        st.builds(ApprovalResolved, action=IDS, approved=st.booleans(), by=st.text()),
        st.builds(
            ActionFinished,
            action=IDS,
            tool=NAMES,
            status=st.sampled_from(["ok", "failed", "invalid", "denied", "cancelled", "unknown"]),
            result=st.text(),
        ),
        st.builds(lambda paths: diff(*paths), st.lists(st.text(max_size=8), max_size=3)),
        st.builds(TurnFinished, status=st.sampled_from(["done", "failed", "limit"])),
        st.builds(TurnStarted, text=st.text()),
    ),
    max_size=12,
)
RECORDS = st.lists(
    st.builds(
        lambda kind, action, body: record(kind, action).model_copy(
            update={"body": body, "erased": body is None}
        ),
        st.sampled_from(["intent", "approval", "outcome", "cancel"]),
        IDS,
        st.none()
        | st.dictionaries(st.sampled_from(["status", "rule", "parent", "by", "approved"]), st.text()),
    ),
    max_size=5,
)


@given(EVENTS, RECORDS)
def test_any_log_is_explained_completely_and_what_would_flip_holds(
    events: list[Event], records: list[RecordInfo]
) -> None:
    found = explain_turn(Log(Place("s-1", "t-1"), events, (), records), POLICIES)
    complete(found)
    told = {action for event in events if (action := getattr(event, "action", ""))}
    assert {action.action for action in found.actions} == told | {one.action for one in records}
    for action in found.actions:
        assert all(check.holds for check in action.checks or ())
        assert (action.checks is None) == (action.decision is None)
    assert Explanation.model_validate_json(found.model_dump_json()) == found


def test_what_was_said_to_the_running_turn_is_told() -> None:
    found = explain_turn(log(TurnSteered(turn="t-1", text="and quickly"), started(), ended()), POLICIES)
    assert (found.request, found.steered) == ("do it", ("and quickly",))
