"""`llmasos explain`, from the command line down to a kernel on fakes, and the lines of an explanation."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from llmasos.api.explaining import (
    ActionExplanation,
    ApprovalExplanation,
    DecisionCheck,
    Explanation,
    FolderDecision,
)
from llmasos.decisions import ArgumentOrigin, Decision, Source, Span
from llmasos.events import FileChange, ToolChoice
from llmasos.shell.explanations import explanation_lines
from tests.shell.conftest import Fakes, Run

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_last_turn_is_explained_and_each_action_by_its_id(run: Run, fakes: Fakes) -> None:
    told = run("explain")
    assert told.code == 0, told.err
    action = next(entry.action for entry in fakes.ledger.entries if entry.kind == "intent")
    for part in (
        action,
        '"read notes.txt"',
        'path "notes.txt"',
        "(intent)",
        f"llmasos ledger prove {action}",
    ):
        assert " ".join(part.split()) in " ".join(told.out.split())
    found = Explanation.model_validate_json(run("explain", action, "--json").out)
    assert [one.action for one in found.actions] == [action] and found.request == "read notes.txt"
    for id in (found.turn, found.session):
        assert json.loads(run("explain", id, "--json").out)["turn"] == found.turn
    with fakes.client() as client:
        assert client.explain(action) == found
        assert client.explain().turn == found.turn


def test_an_unknown_id_is_answered_with_those_there_are(run: Run, fakes: Fakes) -> None:
    with fakes.client() as client:
        turn = client.explain().turn
        empty = client.session(fakes.folder)
    for id in ("a-nothere", "a/../b?c#d", "x" * 5000, '"', "%"):
        told = run("explain", id)
        assert told.code == 1 and "There is no action" in told.err and turn in told.err
        assert len(told.err) < 1000
    assert "has no turn yet" in run("explain", empty.id).err


def test_every_part_has_its_line_and_foreign_text_stays_on_it() -> None:
    evil = "x\x1b[2J\n  approval     given by you\u202e"
    source = Source(kind="file", name=evil, action="a-0")
    action = ActionExplanation(
        action="a-1",
        tool=evil,
        said=evil,
        nested=("a-2",),
        arguments={evil: evil, "to": "a@b.c", "n": 1},
        origins=(
            ArgumentOrigin(
                argument="to.0",
                spans=(Span(text=evil, source=source, how="identifier", identifier="address"),),
            ),
            ArgumentOrigin(argument="n", given=True),
        ),
        choice=ToolChoice(logprob=-0.0101, alternatives={evil: -9.0}),
        decision=Decision(verdict="ask", rules=(evil,), reason=evil, facts={"sinks": [evil]}, policy="p1"),
        earlier=(Decision(verdict="deny", rules=("r",), reason=evil),),
        checks=(
            DecisionCheck(expected="ask", found="ask", holds=True),
            DecisionCheck(facts={"given": 1}, expected="allow", found="allow", holds=True),
            DecisionCheck(facts={"sinks": [evil]}, expected="allow", found=None, holds=False),
        ),
        today=Decision(verdict="deny", rules=("other",), reason="", policy="p2"),
        approvals=(ApprovalExplanation(approved=False, by=evil, answered=AT, why=evil),),
        status="failed",
        result=evil,
        changes=(evil,),
        problems=(evil,),
        absent={"proof": "the ledger holds nothing of it"},
    )
    change = FileChange(path=evil, kind="added", diff=f"+{evil}\n" * 60)
    found = Explanation(
        id="t-1",
        session="s-1",
        turn="t-1",
        request=evil,
        attachments=(evil,),
        actions=(action, ActionExplanation(action="a-2", tool="t", parent="a-1")),
        diff=(change,),
        decisions=(FolderDecision(what="commit", at=AT, commit="c-1", paths=(evil,)),),
        problems=(evil,),
    )
    lines = list(explanation_lines(found))
    text = "\n".join(lines)
    assert all(line.isprintable() for line in lines) and "\\x1b" in text and "\\u202e" in text
    assert sum(line.startswith("  approval  ") for line in lines) == 2
    for part in (
        "99.0 %",
        "under 0.1 %",
        "the address",
        "read by a-0",
        "you gave it",
        "made up by the model",
        "would be      allowed if you had named one of its values (checked)",
        "would be      allowed if where it acts came from “x\\x1b[2J\\n  approval",
        "does NOT hold: undecidable",
        "the policy is p2 by now",
        "model said (not evidence)",
        "refused by",
        "lines more",
        "commit c-1",
        "n/a: the ledger holds nothing of it",
        "a-2: no end, inside a-1",
    ):
        assert part in text, part


def test_of_many_origins_the_others_are_counted() -> None:
    spans = tuple(Span(text=f"t{number}", source=Source(kind="web", name="p")) for number in range(400))
    origins = tuple(
        ArgumentOrigin(argument=f"to.{number}", spans=(span,)) for number, span in enumerate(spans)
    )
    action = ActionExplanation(action="a-1", tool="send", arguments={"to": ["t"]}, origins=origins)
    found = Explanation(id="t-1", session="s-1", turn="t-1", request="x", actions=(action,))
    [line] = [line for line in explanation_lines(found) if "found in the web page" in line]
    assert line.count("found in the web page") == 12 and line.endswith("; 388 more]")
