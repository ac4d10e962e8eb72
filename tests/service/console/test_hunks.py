"""Changes that are chosen hunk by hunk, and what is said of what was written and what stayed."""

from __future__ import annotations

import re

import pytest

from llmasos.agent import Session
from llmasos.service.console.diffs import MOST_LINES
from llmasos.service.console.hunks import hunks_of
from llmasos.service.console.outcomes import Outcome, Outcomes
from tests.service.console.conftest import HELLO, Browser, Console, texts
from tests.service.console.test_scopes import given

pytestmark = pytest.mark.anyio
LINES = [f"line {number}\n" for number in range(1, 31)]


def changed(*numbers: int) -> str:
    return "".join("other\n" if number in numbers else line for number, line in enumerate(LINES, 1))


async def offering(console: Console) -> tuple[Session, str]:
    """Return a session that offers a file with three hunks and a new one, and where its page is."""
    (console.folder / "long.txt").write_text("".join(LINES))
    writes = f'write_file(path="long.txt")\n```\n{changed(2, 15, 28)}```'
    session = await console.session(writes, HELLO, "Answer: done.", text="change both")
    return session, f"/console/sessions/{session.id}"


def fields(page: str) -> dict[str, str | list[str]]:
    """Return the fields of the form with the changes, everything ticked."""
    form = page.partition('id="changes"')[2].partition("</form>")[0]
    given = re.findall(r'name="([^"]*)" value="([^"]*)"', form)
    names = {name for name, _ in given if name != "csrf"}
    return {name: [value for other, value in given if other == name] for name in names}


async def decided(browser: Browser, place: str, what: str, **form: str | list[str]) -> str:
    """Return what the page that follows a decision says of it."""
    sent = await browser.send(f"{place}/{what}", **form)
    assert sent.status_code == 303, sent.text
    where, _, part = sent.headers["location"].partition("#")
    assert where.startswith(f"{place}?done=") and part == "done"
    page = await browser.page(where)
    assert 'id="done" class="good" tabindex="-1"' in page
    part = page.partition('id="done"')[2].partition("</section>")[0]
    return texts(f"<main>{part}").partition("> ")[2].partition("> ")[2]


async def test_each_hunk_is_offered(console: Console) -> None:
    own = await console.own()
    _, place = await offering(console)
    page = await own.page(place)
    form = fields(page)
    # What has one hunk is taken or left as a whole.
    assert form["file"] == ["hello.txt", "long.txt"] and "hunk-1" not in form
    assert form["hunk-2"] == ["1", "2", "3"]
    assert "<legend>Hunks of long.txt</legend>" in page
    assert '<label for="hunk-2-3">Hunk 3 of 3: lines added 1, removed 1</label>' in page


async def test_only_chosen_hunks_are_written_and_the_page_says_so(console: Console) -> None:
    own = await console.own()
    _, place = await offering(console)
    form = fields(await own.page(place))
    told = await decided(own, place, "commit", **form | {"file": "long.txt", "hunk-2": ["1", "3"]})
    assert told == (
        "Written to the folder (c-000001) long.txt hunks 1, 3 of 3 "
        "Still offered, and not in the folder: hello.txt long.txt 1 of its 3 hunks"
    )
    assert (console.folder / "long.txt").read_text() == changed(2, 28)
    assert not (console.folder / "hello.txt").exists()
    form = fields(await own.page(place))
    assert "hunk-2" not in form
    told = await decided(own, place, "commit", **form)
    assert told == "Written to the folder (c-000002) hello.txt long.txt Nothing else is offered."
    assert (console.folder / "long.txt").read_text() == changed(2, 15, 28)


async def test_only_chosen_hunks_are_dropped(console: Console) -> None:
    own = await console.own()
    session, place = await offering(console)
    form = fields(await own.page(place))
    told = await decided(own, place, "discard", **form | {"hunk-2": "2"})
    assert told == (
        "Dropped hello.txt long.txt hunks 2 of 3 "
        "Still offered, and not in the folder: long.txt 2 of its 3 hunks"
    )
    assert (await session.workbench.workspace.hunks("long.txt"))[-1].number == 2
    await decided(own, place, "commit", **fields(await own.page(place)))
    assert (console.folder / "long.txt").read_text() == changed(2, 28)


async def test_a_file_without_its_hunks_is_not_chosen(console: Console) -> None:
    own = await console.own()
    _, place = await offering(console)
    form = fields(await own.page(place))
    del form["hunk-2"]
    told = await decided(own, place, "commit", **form)
    assert told.startswith("Written to the folder (c-000001) hello.txt Still offered")
    for some in ({"file": "long.txt"}, {"hunk-2": ["1"]}, {"file": "long.txt", "hunk-2": ["7", "x"]}):
        seen = fields(await own.page(place))["seen"]
        none = await own.send(f"{place}/commit", seen=seen, **some)
        assert none.status_code == 400 and "Nothing is chosen" in texts(none.text)
    assert (console.folder / "long.txt").read_text() == "".join(LINES)


async def test_hunks_count_against_what_was_seen(console: Console) -> None:
    own = await console.own()
    _, place = await offering(console)
    form = fields(await own.page(place)) | {"file": "long.txt", "hunk-2": ["2"]}
    (console.folder / "long.txt").write_text(changed(2))
    stale = await own.send(f"{place}/commit", **form)
    assert stale.status_code == 409 and "others than those that you saw" in texts(stale.text)
    assert (console.folder / "long.txt").read_text() == changed(2)


async def test_who_may_not_write_may_drop_hunks(console: Console) -> None:
    browser = await console.key("agent")
    session, place = await offering(console)
    await given(console, session)
    form = fields(await browser.page(place)) | {"hunk-2": ["1"]}
    assert (await browser.send(f"{place}/commit", **form)).status_code == 403
    assert "long.txt hunks 1 of 3" in await decided(browser, place, "discard", **form)


async def test_what_is_told_is_told_of_its_session_only(console: Console) -> None:
    own = await console.own()
    _, place = await offering(console)
    sent = await own.send(f"{place}/discard", **fields(await own.page(place)))
    token = sent.headers["location"].partition("=")[2]
    other = await console.session()
    for where in (f"/console/sessions/{other.id}?done={token}", f"{place}?done=x"):
        assert 'id="done"' not in await own.page(where)


def test_the_oldest_outcomes_are_forgotten() -> None:
    outcomes, found = Outcomes(), Outcome("discard", "", (), ())
    first, *_, last = [outcomes.keep("s-1", found) for _ in range(201)]
    assert outcomes.find("s-1", first) is None and outcomes.find("s-1", last) is found
    assert outcomes.find("s-2", last) is None


def test_hunks_of_a_diff() -> None:
    head = "--- a/x\n+++ b/x\n"
    one, two = hunks_of(
        f"{head}@@ -1 +1,2 @@\n-@@ a\n+b\n+--- c\n@@ -9 +10 @@\n-x\n\\ No newline at end of file\n+y\n"
    )
    assert one == (1, "@@ -1 +1,2 @@\n-@@ a\n+b\n+--- c", 2, 1) and two.added == two.removed == 1
    assert two.number == 2 and two.text.endswith("+y")
    assert hunks_of("") == ()
    # Of what is not shown whole nothing can be chosen.
    assert hunks_of(f"{head}@@ -1 +1 @@\n+a\n\n[the rest of this diff is left out]\n") == ()
    assert hunks_of(f"{head}@@ -1 +1 @@\n" + "+a\n" * MOST_LINES) == ()
