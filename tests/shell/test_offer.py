"""What becomes of a turn's changes: only what was shown is written or dropped by an answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from llmasos.api import CommitInfo, Diff
from llmasos.client import AsyncSession
from llmasos.events import DiffOffered, FileChange
from llmasos.shell.repl import SessionOptions, Shell
from llmasos.shell.screen.fake import FakeScreen
from llmasos.shell.turn import _offer

pytestmark = pytest.mark.anyio
FIRST = FileChange(path="first.txt", kind="added", diff="+first\n")
SECOND = FileChange(path="second.txt", kind="added", diff="+second\n")
GONE = FileChange(path="gone.txt", kind="deleted", diff="-gone\n")


class Session:
    """A session whose changes are others each time one looks."""

    def __init__(self, looks: Sequence[Sequence[FileChange]]) -> None:
        self._looks = [Diff(changes=tuple(changes)) for changes in looks]
        self.done: list[str] = []

    async def diff(self) -> Diff:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    async def commit(self, chosen: object = None, *, merge: bool = False) -> CommitInfo:
        self.done.append("commit")
        return CommitInfo(id="c-1", paths=("first.txt",))

    async def discard(self, chosen: object = None) -> None:
        self.done.append("discard")


async def offered(
    monkeypatch: pytest.MonkeyPatch, session: Session, answers: Sequence[str], *changes: FileChange
) -> Shell:
    async def begun(shell: Shell) -> AsyncSession:
        return cast(AsyncSession, session)

    monkeypatch.setattr(Shell, "session", begun)
    shell = Shell(Path(), SessionOptions(), FakeScreen(answers=answers))
    await _offer(shell, DiffOffered(turn="t-1", changes=changes), decides=True)
    return shell


@pytest.mark.parametrize(("answer", "done"), [("y", "commit"), ("n", "discard")])
async def test_what_was_shown_is_written_or_dropped(
    monkeypatch: pytest.MonkeyPatch, answer: str, done: str
) -> None:
    session = Session([[FIRST]])
    await offered(monkeypatch, session, [answer], FIRST)
    assert session.done == [done]


@pytest.mark.parametrize(("answer", "done"), [("y", "commit"), ("n", "discard")])
async def test_what_came_meanwhile_is_shown_and_asked_about_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, done: str
) -> None:
    session = Session([[FIRST], [FIRST, SECOND]])
    shell = await offered(monkeypatch, session, [answer, answer], FIRST)
    _, shown = capsys.readouterr().out.split("They are others by now:\n")
    assert "+first" in shown and "+second" in shown
    assert session.done == [done] and len(cast(FakeScreen, shell.screen).questions) == 2


async def test_what_came_before_the_question_is_shown_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session([[FIRST.model_copy(update={"diff": "+other\n"})]])
    await offered(monkeypatch, session, ["y"], FIRST)
    _, shown = capsys.readouterr().out.split("They are others by now:\n")
    assert "+other" in shown and session.done == ["commit"]


async def test_a_secret_that_events_do_not_name_is_no_other_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = FIRST.model_copy(update={"diff": "+[redacted:github-token:3f9a2c]\n"})
    await offered(monkeypatch, Session([[FIRST]]), ["y"], told)
    assert "others by now" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("+a = '[redacted:x:1]'\n+b = '[redacted:x:2]'\n", "+a = 'one'\n+b = 'two'\n"),
        ("+[redacted:x:1][redacted:x:2]", "+onetwo"),
        ("+[redacted:x:1]" * 20_000, "+one" * 20_000),
    ],
)
async def test_secrets_beside_each_other_are_no_other_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, seen: str
) -> None:
    changed = FIRST.model_copy(update={"diff": seen})
    await offered(monkeypatch, Session([[changed]]), ["y"], FIRST.model_copy(update={"diff": told}))
    assert "others by now" not in capsys.readouterr().out


async def test_what_came_beside_a_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = FIRST.model_copy(update={"diff": "+key = [redacted:github-token:3f9a2c]\n"})
    for more in ("+key = abc\n+other\n", "+key = abc other\n", "+other\n+key = abc\n"):
        seen = FIRST.model_copy(update={"diff": more})
        await offered(monkeypatch, Session([[seen]]), ["y"], told)
        _, shown = capsys.readouterr().out.split("They are others by now:\n")
        assert "other" in shown


async def test_what_came_meanwhile_can_be_left_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session([[FIRST], [FIRST, SECOND]])
    await offered(monkeypatch, session, ["y", ""], FIRST)
    assert session.done == []


async def test_what_was_settled_elsewhere_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session([[FIRST], []])
    await offered(monkeypatch, session, ["n"], FIRST)
    assert session.done == [] and "written or dropped elsewhere" in capsys.readouterr().out


async def test_a_deleted_file_is_not_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = await offered(monkeypatch, Session([[FIRST, GONE]]), [""], FIRST, GONE)
    assert shell.changed == ("first.txt",)
