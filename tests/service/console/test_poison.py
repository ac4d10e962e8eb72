"""Whatever text stands wherever a page has one, it neither acts nor hides, in any language."""

from __future__ import annotations

from typing import Any

import pytest
from markupsafe import Markup
from starlette.requests import Request

from llmasos import events
from llmasos.agent.decided import Decided
from llmasos.api import (
    Diff,
    ErrorBody,
    LedgerInfo,
    ModelInfo,
    RecordInfo,
    SessionInfo,
    SessionRequest,
    VerifyReport,
)
from llmasos.api.explaining import Explanation
from llmasos.api.federated import RunInfo
from llmasos.api.models import ModelsTop
from llmasos.federated.events import RoundEnded
from llmasos.service.access import Login
from llmasos.service.console.hunks import OfferedFile, OfferedHunk
from llmasos.service.console.outcomes import Outcome, Piece
from llmasos.service.console.rendering import Renderer
from llmasos.story import Story
from tests.service.console.conftest import harmless
from tests.shell import poison
from tests.shell.poison import MARK, poisoned

MARKUP = "\"'><img src=x onerror=alert(1)><script>alert(2)</script><b>{{ 7 * 7 }}{0}{x}&lt;"
POISON = f"{MARK}{MARKUP}\x1b[2J\u202e\u2066\u200b\x07\n{MARKUP}"


@pytest.fixture(autouse=True)
def worse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poison, "POISON", POISON)


def request(language: str) -> Request:
    headers = [(b"accept-language", language.encode())]
    found = Request(
        {"type": "http", "method": "GET", "path": "/console/x", "headers": headers, "query_string": b""}
    )
    found.state.login, found.state.access = Login(None, 0.0), None
    return found


def record() -> RecordInfo:
    made: RecordInfo = poisoned(RecordInfo)
    return made.model_copy(update={"state": "confirmed"})


def story() -> Story:
    """Return a turn with one event of each kind, in an order that lets each be seen."""
    kinds = (
        *(
            events.TurnStarted,
            events.Notice,
            events.TurnSteered,
            events.CallDecided,
            events.ApprovalRequested,
        ),
        *(events.ActionStarted, events.ArtifactKept, events.AssistantText, events.DiffOffered),
        *(events.WorkspaceChanged, events.CallDecided),
    )
    made = [
        poisoned(kind).model_copy(update={"seq": seq, "turn": POISON}) for seq, kind in enumerate(kinds, 1)
    ]
    made[-1] = made[-1].model_copy(update={"action": "a-2"})
    ended = poisoned(events.ActionFinished).model_copy(
        update={"seq": len(made) + 1, "turn": POISON, "action": "a-2"}
    )
    return Story([*made, ended])


def explanation() -> Explanation:
    made: Explanation = poisoned(Explanation)
    proofs = [
        action.proof.model_copy(update={"records": (record(),)}) for action in made.actions if action.proof
    ]
    actions = tuple(
        action.model_copy(update={"proof": proof}) for action, proof in zip(made.actions, proofs, strict=True)
    )
    return made.model_copy(update={"actions": actions})


def values(name: str) -> dict[str, Any]:
    told = story() if name == "session" else Story()
    change = poisoned(events.FileChange)
    known: dict[str, dict[str, Any]] = {
        "sessions": {
            **{"sessions": [poisoned(SessionInfo).model_copy(update={"running": True})]},
            **{"folders": [POISON], "models_here": [POISON], "given": SessionRequest(folder=POISON)},
            "refused": poisoned(ErrorBody),
        },
        "models": {"models": [poisoned(ModelInfo)], "top": poisoned(ModelsTop)},
        "runs": {"runs": [poisoned(RunInfo)]},
        "run": {"run": poisoned(RunInfo), "rounds": [poisoned(RoundEnded)], "curves": Markup("")},
        "decisions": {
            "decisions": [Decided(poisoned(events.CallDecided), poisoned(events.ApprovalResolved))]
        },
        "ledger": {"ledger": poisoned(LedgerInfo), "records": [record()]},
        "session": {
            **{"info": poisoned(SessionInfo), "story": told, "turns": list(told.turns.values()), "count": 9},
            **{
                "session": POISON,
                "running": False,
                "waiting": told.waiting,
                "seen": "",
                "gone": None,
                "diff": poisoned(Diff),
            },
            **{"files": [OfferedFile(change, POISON, "x", (OfferedHunk(1, f"@@\n+{POISON}", 1, 0),))]},
            **{"refused": poisoned(ErrorBody), "text": POISON},
            **{"model": POISON, "models_here": [POISON, "other"]},
            "outcome": Outcome("commit", POISON, (Piece(POISON, (1,), 2),), (Piece(POISON),), 1),
        },
        "action": {"found": explanation()} if name == "action" else {},
        "error": {"error": poisoned(ErrorBody)},
        "verified": {"report": poisoned(VerifyReport)},
        "login": {"token": POISON, "wrong": ""},
    }
    return known[name]


JUMPS = '<a rel="noopener noreferrer nofollow" href="javascript:x">'
BOARDS = ("sessions", "models", "runs", "run", "decisions", "ledger")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", [*BOARDS, "session", "action", "error", "verified", "login"])
def test_no_text_acts_on_any_page(name: str, language: str) -> None:
    given = values(name)
    template = "board.html" if name in BOARDS else f"{name}.html"
    more: dict[str, Any] = {"board": name} if name in BOARDS else {}
    page = Renderer().page(request(language), template, **given, **more)
    text = bytes(page.body).decode()
    assert harmless(text) and MARK in text
    assert "{{ 7 * 7 }}{0}{x}" in text, "what looks like a template is text, too"


def test_no_text_of_an_error_acts_in_the_place_of_a_form() -> None:
    given = {**values("session"), "gone": poisoned(ErrorBody)}
    text = bytes(Renderer().page(request("en"), "session.html", **given).body).decode()
    assert harmless(text) and "<textarea" not in text and MARK in text


def test_the_poison_would_act() -> None:
    script = '<script src="/console/static/console.js"></script>'
    assert harmless(script)
    for piece in (POISON, "<p onclick=x>", '<a href="https://elsewhere">', JUMPS, "<p style=x>", "\u202e"):
        assert not harmless(f"{script}{piece}")
