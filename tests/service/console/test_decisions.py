"""What a person decides in the console: approvals, and the changes that are written or dropped."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import Response

from llmasos.agent import Session
from llmasos.agent.decided import newest_decisions
from llmasos.api import TurnRequest
from llmasos.events import ApprovalRequested, ApprovalResolved, Event
from llmasos.service.console import boards
from tests.service.console.conftest import ASKS, HELLO, Browser, Console, texts

pytestmark = pytest.mark.anyio


async def waiting(console: Console, *replies: str) -> tuple[Session, ApprovalRequested]:
    """Return a session that waits for an answer."""
    session = await console.session(
        *(replies or (ASKS, "Answer: done.")), text="write settings", approve="ask"
    )
    event = await until(session, ApprovalRequested)
    assert isinstance(event, ApprovalRequested)
    return session, event


async def until(session: Session, kind: type[Event]) -> Event:
    """Return the first event of a kind, once it is there."""
    async with session.stream.follow(0) as events:
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError


async def answered(
    console: Console, browser: Browser, session: Session, request: ApprovalRequested, **form: str
) -> ApprovalResolved:
    place = f"/console/sessions/{session.id}/approvals/{request.action}"
    sent = await browser.send(place, digest=request.digest, **form)
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/console/sessions/{session.id}#{request.action}"
    await session.wait()
    event = await until(session, ApprovalResolved)
    assert isinstance(event, ApprovalResolved)
    return event


async def test_a_request_shows_what_a_person_needs_to_decide(console: Console) -> None:
    own = await console.own()
    session, request = await waiting(console)
    page = await own.page(f"/console/sessions/{session.id}")
    shown = texts(page)
    for said in (
        "write_file asks for your approval",
        ".vscode/settings.json is obeyed by your own programs, outside of the sandbox.",
        "What it would change",
        "+{}",
        "It takes at most",
        "It would be allowed if",
        "Refused by itself",
        "A turn runs. write_file waits for your approval.",
    ):
        assert said in shown
    assert request.digest in page and f'href="#{request.action}"' in page
    resolved = await answered(console, own, session, request, answer="allow")
    assert resolved.approved and not resolved.always and resolved.by.endswith("(console)")
    page = await own.page(f"/console/sessions/{session.id}")
    assert "asks for your approval" not in page and f"Allowed by {resolved.by}" in texts(page)
    assert f"Allowed by {resolved.by}" in texts(await own.page("/console/decisions"))


async def test_decisions_are_drawn_again_when_something_was_decided(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    newest = newest_decisions

    async def reading(*given: Any) -> Any:
        read.append(1)
        return await newest(*given)

    draws: list[Callable[[], Awaitable[str]]] = []

    def watched(draw: Callable[[], Awaitable[str]], *_given: object) -> Response:
        draws.append(draw)
        return Response()

    monkeypatch.setattr(boards, "newest_decisions", reading)
    monkeypatch.setattr(boards, "watched", watched)
    own = await console.own()
    await own.page("/console/decisions/live")
    [draw] = draws
    before = await draw()
    assert await draw() == before and len(read) == 1
    await console.session(HELLO, "Answer: done.", text="write hello.txt")
    after = await draw()
    assert "write_file" in after and after == await draw() and len(read) == 2


async def test_it_can_be_denied_with_a_reason(console: Console) -> None:
    own = await console.own()
    session, request = await waiting(console)
    resolved = await answered(console, own, session, request, answer="deny", why="not <here>")
    assert not resolved.approved and resolved.why == "not <here>"
    assert "Why: not <here>" in texts(await own.page(f"/console/sessions/{session.id}"))


async def test_its_arguments_can_be_changed_first(console: Console) -> None:
    own = await console.own()
    session, request = await waiting(console)
    page = await own.page(f"/console/sessions/{session.id}")
    assert re.findall(r'name="argument-(\d)"[^>]*>\n([^<]*)</textarea>', page) == [
        ("0", ".vscode/settings.json"),
        ("1", "{}\n"),
    ]
    place = f"/console/sessions/{session.id}/approvals/{request.action}"
    other = {"argument-0": ".vscode/settings.json", "argument-1": "[\r\n]\r\n"}
    both = await own.send(place, digest=request.digest, answer="always", **other)
    assert both.status_code == 400 and "once only" in texts(both.text)
    resolved = await answered(console, own, session, request, answer="allow", **other)
    assert resolved.arguments == {"path": ".vscode/settings.json", "content": "[\n]\n"}
    diff = await session.workbench.diff()
    assert "+[\n+]\n" in diff.unified()


async def test_what_is_not_changed_is_allowed_as_it_is(console: Console) -> None:
    own = await console.own()
    session, request = await waiting(console)
    same = {"argument-0": ".vscode/settings.json", "argument-1": "{}\r\n", "argument-7": "x"}
    resolved = await answered(console, own, session, request, answer="allow", **same)
    assert resolved.approved and resolved.arguments is None


async def test_an_answer_counts_once_and_for_its_call(console: Console) -> None:
    own = await console.own()
    session, request = await waiting(console)
    place = f"/console/sessions/{session.id}/approvals/{request.action}"
    assert (await own.send(place, digest=request.digest, answer="maybe")).status_code == 400
    wrong = await own.send(place, digest="0" * 64, answer="allow")
    assert wrong.status_code == 409 and "another call" in texts(wrong.text)
    await answered(console, own, session, request, answer="allow")
    late = await own.send(place, digest=request.digest, answer="allow")
    assert late.status_code == 409 and "No approval is waiting" in texts(late.text)


async def test_a_turn_is_cancelled(console: Console) -> None:
    own = await console.own()
    session, _ = await waiting(console)
    assert (await own.send(f"/console/sessions/{session.id}/cancel")).status_code == 303
    page = await own.page(f"/console/sessions/{session.id}")
    assert "No turn runs." in page and "asks for your approval" not in page and "cancelled" in page


def sent(page: str) -> dict[str, list[str]]:
    """Return the fields of the form with the changes, all files ticked."""
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', page) for name in ("seen", "file")}


async def test_only_what_was_seen_is_written(console: Console) -> None:
    own = await console.own()
    session = await console.session(HELLO, "Answer: done.", text="write hello.txt")
    place = f"/console/sessions/{session.id}"
    form = sent(await own.page(place))
    assert form["file"] == ["hello.txt"]
    none = await own.send(f"{place}/commit", seen=form["seen"])
    assert none.status_code == 400 and "Nothing is chosen" in texts(none.text)
    console.engine.script([HELLO.replace("hello\n", "other\n"), "Answer: done."])
    await _again(console, session)
    stale = await own.send(f"{place}/commit", **form)
    assert stale.status_code == 409 and "others than those that you saw" in texts(stale.text)
    assert not (console.folder / "hello.txt").exists()
    written = await own.send(f"{place}/commit", **sent(await own.page(place)))
    assert written.status_code == 303 and (console.folder / "hello.txt").read_text() == "other\n"
    assert "Written to the folder (c-000001): hello.txt" in texts(await own.page(place))


async def _again(console: Console, session: Session) -> None:
    await session.start(TurnRequest(text="again", approve="deny"))
    await session.wait()


async def test_one_file_is_written_and_the_rest_dropped(console: Console) -> None:
    own = await console.own()
    both = 'write_file(path="b.txt")\n```\nb\n```'
    session = await console.session(HELLO, both, "Answer: done.", text="write hello.txt and b.txt")
    place = f"/console/sessions/{session.id}"
    seen = sent(await own.page(place))["seen"]
    assert (await own.send(f"{place}/commit", seen=seen, file="hello.txt")).status_code == 303
    form = sent(await own.page(place))
    assert form["file"] == ["b.txt"]
    assert (await own.send(f"{place}/discard", **form)).status_code == 303
    shown = texts(await own.page(place))
    assert "Nothing is changed." in shown and "Dropped: b.txt" in shown
    assert (console.folder / "hello.txt").exists() and not (console.folder / "b.txt").exists()


async def test_a_file_that_changed_underneath_is_not_written_over(console: Console) -> None:
    own = await console.own()
    session = await console.session(HELLO, "Answer: done.", text="write hello.txt")
    place = f"/console/sessions/{session.id}"
    form = sent(await own.page(place))
    (console.folder / "hello.txt").write_text("mine\n")
    answer = await own.send(f"{place}/commit", **form)
    assert answer.status_code == 409 and (console.folder / "hello.txt").read_text() == "mine\n"


async def test_a_text_that_was_changed_in_the_folder_too_is_merged_where_that_is_ticked(
    console: Console,
) -> None:
    own = await console.own()
    file = console.folder / "list.txt"
    lines = [f"line {number};\n" for number in range(20)]
    file.write_text("".join(lines))
    edit = 'edit_file(path="list.txt", old="line 0;", new="line zero;")'
    session = await console.session(edit, "Answer: done.", text="change it")
    place = f"/console/sessions/{session.id}"
    file.write_text("".join([*lines, "line 20;\n"]))
    page = await own.page(place)
    assert "Merge texts that were changed in the folder, too" in texts(page)
    form = {**sent(page), "hunk-1": ["1", "2"]}
    refused = await own.send(f"{place}/commit", **form)
    assert refused.status_code == 409 and "list.txt" in texts(refused.text)
    assert file.read_text().startswith("line 0;")
    done = await own.send(f"{place}/commit", **form, merge="yes")
    assert done.status_code == 303
    assert file.read_text() == "".join(["line zero;\n", *lines[1:], "line 20;\n"])
