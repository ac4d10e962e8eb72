"""Sessions and turns that are begun in the console, and what is said to those that run."""

from __future__ import annotations

import re

import pytest

from llmasos.api import KeyRequest
from llmasos.events import ApprovalRequested, TurnSteered
from llmasos.service.access import Owners
from tests.service.console.conftest import ASKS, HELLO, ORIGIN, Browser, Console, texts
from tests.service.console.test_decisions import until
from tests.service.console.test_scopes import given

pytestmark = pytest.mark.anyio


def box(page: str) -> str:
    """Return what stands in the field where a person says something."""
    found = re.search(r'<textarea id="say"[^>]*>\n([^<]*)</textarea>', page)
    assert found is not None
    return found[1]


def refusal(page: str) -> str:
    """Return why something was refused, as the page says it."""
    found = re.search(r'<div id="refused" role="alert">(.*?)</div>', page, re.DOTALL)
    assert found is not None
    return texts(f"<main>{found[1]}").removeprefix("> ")


async def test_a_turn_is_begun(console: Console) -> None:
    own = await console.own()
    session = await console.session()
    place = f"/console/sessions/{session.id}"
    page = await own.page(place)
    assert "What is to be done" in page and f'action="{place}/turns"' in page and box(page) == ""
    console.engine.script([HELLO, "Answer: done."])
    sent = await own.send(f"{place}/turns", text="write\r\nhello.txt")
    assert sent.status_code == 303 and sent.headers["location"] == f"{place}#say"
    await session.wait()
    started, *_ = await session.stream.read(types=("turn_started",))
    assert getattr(started, "text", "") == "write\nhello.txt"
    assert "done." in texts(await own.page(place))


async def test_what_is_said_reaches_the_running_turn(console: Console) -> None:
    own = await console.own()
    session = await console.session(ASKS, "Answer: done.", text="write settings", approve="ask")
    await until(session, ApprovalRequested)
    place = f"/console/sessions/{session.id}"
    page = await own.page(place)
    assert "Say something to the running turn" in page and f'action="{place}/steer"' in page
    sent = await own.send(f"{place}/steer", text="rather in tabs")
    assert sent.status_code == 303
    steered = await until(session, TurnSteered)
    assert getattr(steered, "text", "") == "rather in tabs"
    cancelled = await own.send(f"{place}/cancel")
    assert cancelled.headers["location"] == f"{place}#say"
    assert "You said: rather in tabs" in texts(await own.page(place))


async def test_a_second_turn_is_refused_on_the_page_and_the_text_stays(console: Console) -> None:
    own = await console.own()
    session = await console.session(ASKS, "Answer: done.", text="write settings", approve="ask")
    await until(session, ApprovalRequested)
    place = f"/console/sessions/{session.id}"
    answer = await own.send(f"{place}/turns", text="and <another>")
    assert answer.status_code == 409
    assert refusal(answer.text) == "A turn is running in this session. Wait for it, or cancel it."
    # What can be done now is what the page offers.
    assert box(answer.text) == "and &lt;another&gt;" and f'action="{place}/steer"' in answer.text
    assert f'data-follow="{place}/events?after=' in answer.text
    await session.cancel()
    late = await own.send(f"{place}/steer", text="too late")
    assert late.status_code == 409 and "No turn is running in this session." in refusal(late.text)
    assert box(late.text) == "too late" and f'action="{place}/turns"' in late.text


async def test_nothing_is_no_request(console: Console) -> None:
    own = await console.own()
    session = await console.session()
    place = f"/console/sessions/{session.id}"
    for text in ("", " \r\n "):
        answer = await own.send(f"{place}/turns", text=text)
        assert answer.status_code == 409
        assert refusal(answer.text) == "The request is empty. Say what you want done."
    assert await session.stream.read() == []


async def test_a_session_is_begun(console: Console) -> None:
    own = await console.own()
    page = await own.page("/console/sessions")
    assert "Begin one above" in texts(page) and 'value=""></p>' in page
    sent = await own.send("/console/sessions", folder=f" {console.folder} ", model="")
    found = re.fullmatch(r"(/console/sessions/(s-[0-9a-f]+))#say", sent.headers["location"])
    assert sent.status_code == 303 and found is not None
    info = await (await console.kernel.sessions.get(found[2])).info()
    assert info.folder == str(console.folder) and not info.in_place
    assert "Nothing was asked for yet." in texts(await own.page(found[1]))
    # Where one worked last is where one goes on.
    assert f'value="{console.folder}"></p>' in await own.page("/console/sessions")
    known = console.kernel.models.status()[0].name
    named = await own.send("/console/sessions", folder=str(console.folder), model=known)
    session = await console.kernel.sessions.get(named.headers["location"].split("/")[-1].partition("#")[0])
    assert (await session.info()).model == known


@pytest.mark.parametrize(
    ("folder", "model", "said", "status"),
    [
        ("", "", "No folder is named.", 400),
        ("/nowhere/<at all>", "", "/nowhere/<at all>", 409),
        ("~nobody-of-this-name/x", "", "is nobody's", 400),
        ("here", "no-such-model", "no-such-model", 422),
    ],
)
async def test_a_session_that_cannot_begin_says_why(
    console: Console, folder: str, model: str, said: str, status: int
) -> None:
    own = await console.own()
    folder = str(console.folder) if folder == "here" else folder
    answer = await own.send("/console/sessions", folder=folder, model=model)
    assert answer.status_code == status and said in refusal(answer.text)
    assert f'value="{folder}"'.replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert await console.kernel.sessions.list() == []


async def test_a_key_begins_what_it_may(console: Console) -> None:
    await console.session()
    browser = await console.key("agent")
    page = await browser.page("/console/sessions")
    # Folders of others' sessions are nobody's business.
    assert str(console.folder) not in page
    sent = await browser.send("/console/sessions", folder=str(console.folder))
    place = sent.headers["location"].partition("#")[0]
    session = await console.kernel.sessions.get(place.rpartition("/")[2])
    assert await Owners(console.kernel.store).owner(session.id) == console.last
    console.engine.script(["Answer: yes."])
    assert (await browser.send(f"{place}/turns", text="go")).status_code == 303
    await session.wait()
    (turn,) = await session.stream.read(types=("turn_finished",))
    assert getattr(turn, "status", "") == "done"
    refused = await browser.send("/console/sessions", folder=str(console.folder), model="elsewhere")
    assert refused.status_code == 403 and "'elsewhere' is not here" in refusal(refused.text)


async def test_what_a_key_may_not_is_refused(console: Console) -> None:
    other = await console.session()
    browser = await console.key("agent")
    for path in ("turns", "steer"):
        answer = await browser.send(f"/console/sessions/{other.id}/{path}", text="go")
        assert answer.status_code == 404
    models = await console.key("models")
    for path in ("", f"/{other.id}/turns", f"/{other.id}/steer"):
        answer = await models.send(f"/console/sessions{path}", text="go", folder=str(console.folder))
        assert answer.status_code == 403
    assert await other.stream.read() == []


async def test_limits_of_a_key_count(console: Console) -> None:
    browser = await console.key("agent", requests_per_minute=4)
    session = await console.session()
    await given(console, session)
    statuses = [
        (await browser.send(f"/console/sessions/{session.id}/turns", text=" ")).status_code for _ in range(4)
    ]
    assert statuses[0] == 409 and statuses[-1] == 429


async def test_tokens_of_a_key_count(console: Console) -> None:
    browser = await console.key("agent", tokens_per_minute=1)
    session = await console.session()
    await given(console, session)
    (await console.keys.account(console.last)).reserved = 1000
    answer = await browser.send(f"/console/sessions/{session.id}/turns", text="go")
    assert answer.status_code == 429 and "retry-after" in answer.headers
    assert await session.stream.read() == []


async def test_a_kernel_that_stops_begins_no_turn(console: Console) -> None:
    own = await console.own()
    session = await console.session()
    console.drain.begin()
    answer = await own.send(f"/console/sessions/{session.id}/turns", text="go")
    assert answer.status_code == 503 and "about to stop" in refusal(answer.text)


@pytest.mark.parametrize("path", ["/turns", "/steer", ""])
async def test_forms_of_others_count_for_nothing(console: Console, path: str) -> None:
    own = await console.own()
    session = await console.session()
    place = f"/console/sessions/{session.id}{path}" if path else "/console/sessions"
    fields = {"text": "go", "folder": str(console.folder)}

    async def status(browser: Browser, csrf: str, origin: str) -> int:
        given = {"csrf": csrf, **fields}
        return (await browser.http.post(place, data=given, headers={"origin": origin})).status_code

    assert await status(own, "wrong", ORIGIN) == 403
    assert await status(own, own.csrf, "https://evil.example") == 403
    assert await status(console.stranger(), own.csrf, ORIGIN) == 401
    assert await session.stream.read() == [] and len(await console.kernel.sessions.list()) == 1


async def test_a_turn_is_begun_with_another_model_and_dry(console: Console) -> None:
    own = await console.own()
    session = await console.session()
    place = f"/console/sessions/{session.id}"
    usual, other, *_ = (model.name for model in console.kernel.models.status())
    page = await own.page(place)
    assert f"<option selected>{usual}</option>" in page and "Dry run: show the changes" in texts(page)
    console.engine.script([HELLO, "Answer: done."])
    await own.send(f"{place}/turns", text="write hello.txt", model=usual, dry_run="yes")
    await session.wait()
    started, *_ = await session.stream.read(types=("turn_started",))
    assert getattr(started, "dry_run", False) and (await session.info()).model == ""
    assert not (await session.workbench.diff()).changes
    refused = await own.send(f"{place}/turns", text="again", model="no-such-model")
    assert refused.status_code == 422 and "no-such-model" in refusal(refused.text)
    assert box(refused.text) == "again" and (await session.info()).model == ""
    await own.send(f"{place}/turns", text="again", model=other)
    await session.wait()
    assert (await session.info()).model == other
    assert f"<option selected>{other}</option>" in await own.page(place)


async def test_a_key_chooses_of_its_own_models(console: Console) -> None:
    session = await console.session()
    usual, other, *_ = (model.name for model in console.kernel.models.status())
    made = await console.keys.create(KeyRequest(name="a person", scopes=("agent",), models=(usual,)))
    console.last = made.key.id
    await given(console, session)
    browser = console.stranger()
    await browser.send("/console/login", key=made.secret)
    await browser.learn()
    place = f"/console/sessions/{session.id}"
    page = await browser.page(place)
    assert re.findall("<option[^>]*>([^<]*)", page) == [usual]
    refused = await browser.send(f"{place}/turns", text="x", model=other)
    assert refused.status_code == 403 and (await session.info()).model == ""
