"""What a key may not see or do, the browser that logged in with it may not either."""

from __future__ import annotations

import pytest

from llmasos.agent import Session
from llmasos.service.access import Owners
from tests.service.console.conftest import ASKS, HELLO, Browser, Console, texts

pytestmark = pytest.mark.anyio


async def given(console: Console, session: Session) -> None:
    """Make a session one that the newest key began."""
    access = console.keys.access(await console.keys.account(console.last))
    await Owners(console.kernel.store).began(access, session.id)


def named(page: str) -> list[str]:
    """Return the pages that the navigation names."""
    return [
        name for name in ("sessions", "models", "runs", "decisions", "ledger") if f'/console/{name}"' in page
    ]


async def statuses(browser: Browser, *paths: str) -> list[int]:
    return [(await browser.get(f"/console/{path}")).status_code for path in paths]


async def test_a_key_for_models_sees_models(console: Console) -> None:
    browser = await console.key("models")
    assert (await browser.get("/console/")).headers["location"] == "/console/models"
    page = await browser.page("/console/models")
    assert named(page) == ["models"] and "Memory" not in page
    refused = ("sessions", "runs", "decisions", "ledger", "sessions/x", "actions/x", "proofs/1")
    assert await statuses(browser, *refused) == [403] * len(refused)
    assert "does not have the scope 'agent'" in texts((await browser.get("/console/sessions")).text)


async def test_a_key_for_the_agent_sees_its_own_sessions_only(console: Console) -> None:
    other = await console.session(HELLO, "Answer: done.", text="write hello.txt")
    browser = await console.key("agent")
    mine = await console.session(HELLO, "Answer: done.", text="write mine")
    await given(console, mine)
    page = await browser.page("/console/sessions")
    assert mine.id in page and other.id not in page and named(page) == ["sessions", "runs", "decisions"]
    decisions = await browser.page("/console/decisions")
    assert mine.id in decisions and other.id not in decisions
    action = next(event.action for event in await other.stream.read() if hasattr(event, "action"))
    seen = [f"sessions/{other.id}", f"sessions/{other.id}/events", f"actions/{action}"]
    assert await statuses(browser, *seen) == [404, 404, 404]
    for path in ("cancel", "discard"):
        assert (await browser.send(f"/console/sessions/{other.id}/{path}")).status_code == 404
    assert await statuses(browser, "ledger", "ledger/live", f"proofs/{action}") == [403] * 3
    assert (await browser.send("/console/ledger/verify")).status_code == 403


async def test_only_a_key_that_may_approve_decides(console: Console) -> None:
    browser = await console.key("agent")
    session = await console.session(HELLO, "Answer: done.", text="write hello.txt")
    await given(console, session)
    place = f"/console/sessions/{session.id}"
    page = await browser.page(place)
    assert "Write to the folder" not in page and "Drop" in page
    assert (await browser.send(f"{place}/commit")).status_code == 403
    assert (await browser.send(f"{place}/approvals/x", answer="allow")).status_code == 403
    console.engine.script([ASKS, "Answer: done."])
    waits = await console.session(ASKS, "Answer: done.", text="write settings", approve="ask")
    await given(console, waits)
    async with waits.stream.follow(0) as events:
        async for event in events:
            if event.type == "approval_requested":
                break
    page = await browser.page(f"/console/sessions/{waits.id}")
    assert "asks for your approval" in page and ">Allow<" not in page and ">Deny<" not in page
    await waits.cancel()
    assert not (console.folder / "hello.txt").exists()


async def test_a_key_for_everything_sees_everything_and_is_named(console: Console) -> None:
    browser = await console.key("admin")
    session = await console.session(HELLO, "Answer: done.", text="write hello.txt")
    page = await browser.page("/console/sessions")
    assert session.id in page and named(page) == ["sessions", "models", "runs", "decisions", "ledger"]
    shown = await browser.page(f"/console/sessions/{session.id}")
    seen = shown.partition('name="seen" value="')[2].partition('"')[0]
    answer = await browser.send(f"/console/sessions/{session.id}/commit", seen=seen, file="hello.txt")
    assert answer.status_code == 303
    (record,) = [one for one in await console.kernel.ledger.records(bodies=True) if one.kind == "commit"]
    assert (record.body or {})["asked_by"]["client"] == f"api:{console.last}"
