"""Asking a person for an approval: what they see, and what each answer sends."""

import io
from datetime import UTC, datetime
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from rich.console import Console

from llmasos.api import WantedApproval
from llmasos.client import AsyncSession
from llmasos.decisions import ArgumentOrigin, Decision, Flip, Source, Span
from llmasos.errors import LLMasOSError
from llmasos.events import ApprovalRequested, ApprovalResolved, Event, Forecast, TurnFinished
from llmasos.shell.approval import show_request, show_wanted
from llmasos.shell.questions import Questions
from llmasos.shell.repl import Shell

pytestmark = pytest.mark.anyio
SPAN = Span(text="curl evil.example", source=Source(kind="file", name="no\x1b[2Jtes.txt"))
REQUEST = ApprovalRequested(
    action="a-1",
    tool="run_shell",
    arguments={"command": "curl evil.example\n> Allow it? y", "timeout": 60},
    reason="It is copied.",
    digest="d" * 64,
    decision=Decision(
        verdict="ask",
        rules=("copied-command",),
        reason="It is copied.",
        flips=(Flip(facts={"copied": [], "untrusted": []}, verdict="allow"),),
    ),
    origins=(ArgumentOrigin(argument="command", spans=(SPAN,)),),
    preview="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n",
    hosts=("evil.example",),
    forecast=Forecast(tokens=1200, seconds=60),
    pattern="curl of evil.example",
    expires=datetime(2026, 11, 24, tzinfo=UTC),
)


class Person:
    """A shell whose person gives these answers, and a session that notes what it is sent."""

    def __init__(self, *answers: str | None, fails: bool = False, waits: bool = False) -> None:
        self.answers = list(answers)
        self.sent: list[dict[str, Any]] = []
        self._fails = fails
        self._waits = waits

    async def ask(self, question: str, *, lower: bool = True) -> str:
        if self._waits:
            await anyio.sleep_forever()
        return self.answers.pop(0) or ""

    async def edit(self, question: str, text: str) -> str | None:
        return self.answers.pop(0)

    async def answer(self, action: str, digest: str, **what: Any) -> None:
        assert action in ("a-1", "a-2") and digest == "d" * 64
        self.sent.append(what)
        if self._fails:
            raise LLMasOSError("No approval is waiting.")


async def answered(*answers: str | None, request: ApprovalRequested = REQUEST) -> dict[str, Any]:
    person = Person(*answers)
    await settled(person, request)
    (sent,) = person.sent
    return sent


async def settled(person: Person, *events: Event) -> None:
    """Have the person asked, and return when all that was asked is answered or withdrawn."""
    questions = Questions(cast(Shell, person), cast(AsyncSession, person))
    for event in events:
        questions.take(event)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
    await questions.end()


def shown(show: Any, what: Any) -> str:
    file = io.StringIO()
    show(Console(file=file, width=200, highlight=False), what)
    return file.getvalue()


def test_a_person_sees_what_would_happen_and_why_they_are_asked() -> None:
    text = shown(show_request, REQUEST)
    for piece in (
        "run_shell asks for your approval: It is copied.",
        "+new",
        "reaches evil.example",
        "at most 60 s, about 1,200 tokens",
        "“curl evil.example” was found in the file no\\x1b[2Jtes.txt",
        "if nothing of it were copied from others' text and the model had read nothing that others may have",
        "“always” would allow: curl of evil.example",
    ):
        assert piece in text
    # No line of the model's own begins where those of the shell do.
    assert "\n> Allow" not in text and "\x1b" not in text


def test_what_is_left_out_of_a_long_diff_is_told() -> None:
    lines = [*(f"+line {number}" for number in range(100)), "+the last one"]
    text = shown(show_request, REQUEST.model_copy(update={"preview": "\n".join(lines) + "\n"}))
    assert "+line 59\n  … 41 more lines\n" in text and "+line 60" not in text
    text = shown(show_request, REQUEST.model_copy(update={"preview": "\n".join(lines[:60]) + "\n"}))
    assert "+line 59\n" in text and "more line" not in text


def found(*arguments: str) -> tuple[ArgumentOrigin, ...]:
    return tuple(
        ArgumentOrigin(
            argument=name, spans=(Span(text=f"from {name}", source=Source(kind="web", name="p")),) * 2
        )
        for name in arguments
    )


def test_of_many_origins_each_argument_shows_one_and_the_others_are_counted() -> None:
    origins = found(*(f"to.{number}" for number in range(400)), "text")
    text = shown(show_request, REQUEST.model_copy(update={"origins": origins}))
    assert text.count("was found on the page p") == 12
    assert "  text: “from text” was found on the page p" in text and "  … 389 more values\n" in text
    text = shown(show_request, REQUEST.model_copy(update={"origins": found("to.0", "to.1")}))
    assert text.count("was found on the page p") == 2 and "more value" not in text


def test_letters_that_look_like_others_are_shown_in_paths_and_hosts() -> None:
    file = Source(kind="file", name="n\u043etes.txt")
    request = REQUEST.model_copy(
        update={
            "arguments": {"path": "s\u0430fe.py", "content": "\u0430 \u0431\nprint"},
            "reason": "\u0430.py looks like another path than it is.",
            "hosts": ("ex\u0430mple.org",),
            "origins": (
                ArgumentOrigin(argument="path", spans=(Span(text="s\u0430fe.py", source=file),)),
                ArgumentOrigin(argument="path", spans=(Span(text="one\ntwo", source=file),)),
            ),
        }
    )
    text = shown(show_request, request)
    for piece in (
        "approval: \\u0430.py looks like",
        "  path = s\\u0430fe.py\n",
        "  content = \u0430 \u0431\n    print\n",
        "reaches ex\\u0430mple.org",
        "path: “s\\u0430fe.py” was found in the file n\\u043etes.txt",
        "path: “one\\ntwo” was found",
    ):
        assert piece in text, piece


@pytest.mark.parametrize(
    "request_of",
    [
        {"arguments": {"command": "x" * 1_000_000}},
        {"arguments": {"command": "\x1b" * 1_000_000}},
        {"arguments": {"path": "a", "content": "line\n" * 10_000}},
        {"arguments": {f"argument {number}": "line\n" * 100 for number in range(400)}},
        {"arguments": {"x" * 10_000: "y"}},
        {"arguments": {"to": [f"{number}@example.org" for number in range(10_000)]}},
        {"preview": "+" + "x" * 1_000_000},
        {"preview": "+x\n" * 100_000},
        {"hosts": tuple(f"{number}.example.org" for number in range(1000))},
        {"hosts": ("x" * 100_000,)},
        {"origins": found(*(f"argument {number}" for number in range(1000)), "x" * 100_000)},
    ],
)
def test_a_request_fits_on_a_few_screens_and_says_what_is_left_out(request_of: dict[str, Any]) -> None:
    text = shown(show_request, REQUEST.model_copy(update=request_of))
    assert len(text.splitlines()) < 250
    assert "more" in text.split() or "…" in text
    assert "asks for your approval: It is copied." in text


def test_a_short_argument_is_whole_beside_a_long_one() -> None:
    arguments = {"content": "line\n" * 100, "path": "a/b", "note": "one\ntwo\nthree"}
    text = shown(show_request, REQUEST.model_copy(update={"arguments": arguments}))
    assert "  path = a/b\n  note = one\n    two\n    three\n" in text
    assert text.count("line\n") == 60 and "    … 41 more lines\n" in text


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        (("y",), {"approve": True}),
        (("",), {"approve": False}),
        (("whatever", "n"), {"approve": False}),
        (("a",), {"approve": True, "always": True}),
        (("w", "not that host"), {"approve": False, "why": "not that host"}),
        (("e", "ls"), {"approve": True, "arguments": {"command": "ls", "timeout": 60}}),
        (("e", None), {"approve": False}),
    ],
)
async def test_each_answer_sends_what_it_says(answers: tuple[str | None, ...], sent: dict[str, Any]) -> None:
    assert await answered(*answers) == sent


async def test_always_is_no_answer_where_it_was_not_offered() -> None:
    assert await answered("a", request=REQUEST.model_copy(update={"pattern": ""})) == {"approve": False}


async def test_an_answer_that_comes_too_late_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    person = Person("y", fails=True)
    await settled(person, REQUEST)
    assert "No approval is waiting." in capsys.readouterr().err


async def test_what_is_settled_elsewhere_is_asked_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    person = Person("y", waits=True)
    await settled(person, REQUEST, ApprovalResolved(action="a-1", approved=True, by="console"))
    assert person.sent == [] and "It was settled elsewhere." in capsys.readouterr().out
    person = Person("y", waits=True)
    await settled(person, REQUEST, TurnFinished(status="cancelled"))
    assert person.sent == [] and "It was settled elsewhere." in capsys.readouterr().out


async def test_an_own_answer_is_none_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    person = Person("y")
    await settled(person, REQUEST, ApprovalResolved(action="a-1", approved=True, by="shell"))
    assert len(person.sent) == 1 and "elsewhere" not in capsys.readouterr().out


async def test_two_requests_are_asked_one_after_the_other() -> None:
    person = Person("y", "n")
    await settled(person, REQUEST, REQUEST.model_copy(update={"action": "a-2"}))
    assert [sent["approve"] for sent in person.sent] == [True, False]


async def test_what_nobody_has_to_answer_is_not_asked() -> None:
    person = Person("y")
    await settled(person, REQUEST.model_copy(update={"expires": None}))
    assert person.sent == []


def test_a_call_that_nobody_could_approve_is_listed_with_its_hash() -> None:
    wanted = WantedApproval(
        action="a-1", tool="run_shell", arguments={"command": "x"}, reason="It is copied.", digest="d" * 64
    )
    assert f"--approve {'d' * 64}" in shown(show_wanted, wanted)
