"""The console in a real browser, on a real kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.system.browsing import browsing, enter, visiting
from tests.integration.system.conftest import Machine
from tests.integration.system.test_access import AGENT, ASKS, HELLO, Program, program

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture
def console(machine: Machine, port: int) -> str:
    """The address of the console, which is on."""
    machine.env["LLMASOS_SERVICE__CONSOLE"] = "true"
    return f"http://127.0.0.1:{port}/console"


def begin(agent: Program, machine: Machine) -> str:
    status, session, _ = agent.send("POST", "/v1/sessions", {"folder": str(machine.folder)})
    assert status == 201
    found: str = session["id"]
    return found


def test_a_turn_is_followed_answered_written_and_proved(
    machine: Machine, port: int, console: str, browser: Browser, tmp_path: Path
) -> None:
    machine.endpoint.replies = [HELLO, ASKS, "Made <b>both</b>."]
    agent = program(machine, port, *AGENT)
    with visiting(browser) as page:
        enter(page, machine)
        assert "token" not in page.url
        session = begin(agent, machine)
        # The list is followed, too.
        page.get_by_role("link", name=session).click()
        expect(page.locator("body[data-live=true]")).to_be_attached()
        agent.send("POST", f"/v1/sessions/{session}/turns", {"text": "make <i>hello.txt</i>"})

        ask = page.get_by_role("form", name="write_file asks for your approval")
        expect(ask).to_be_visible()
        expect(page.get_by_role("status").get_by_text("write_file waits for your approval.")).to_be_visible()
        expect(page.get_by_role("heading", name="make <i>hello.txt</i>")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel the turn")).to_be_visible()
        expect(page.get_by_text("A turn runs. What it would change")).to_be_visible()
        expect(ask.locator("ins").first).to_have_text("+{}")
        ask.get_by_role("button", name="Allow", exact=True).click()

        expect(page.get_by_text("Made <b>both</b>.")).to_be_visible()
        changes = page.get_by_role("region", name="Changes that are offered")
        hello = changes.get_by_role("region", name="Diff of hello.txt")
        expect(hello.locator("ins")).to_have_text("+hello")
        assert not (machine.folder / "hello.txt").exists()
        for box in changes.get_by_role("checkbox", name=".vscode").all():
            box.uncheck()
        changes.get_by_role("button", name="Write to the folder").click()
        expect(page.get_by_text("Written to the folder (c-000001): hello.txt")).to_be_visible()
        assert (machine.folder / "hello.txt").read_text() == "hello\n"
        assert not (machine.folder / ".vscode").exists()
        page.get_by_role("button", name="Drop").click()
        expect(page.get_by_text("Nothing is changed.")).to_be_visible()

        page.get_by_role("link", name="write_file").first.click()
        expect(page.get_by_text("A proof was made, and holds.")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the proof").click()
        proof = tmp_path / download.value.suggested_filename
        download.value.save_as(proof)
    checked = machine.run("ledger", "check", str(proof))
    # It is sound, and waits for somebody to confirm the block's hash.
    assert checked.returncode == 3 and "write_file" in checked.stdout
    records = machine.run("ledger", "log", "--session", session, "--json").stdout.splitlines()
    decided = [
        json.loads(line)["body"] for line in records if json.loads(line)["kind"] in ("approval", "commit")
    ]
    assert decided and any(
        "(console)" in str(body) or body["asked_by"]["client"] == "console" for body in decided
    )
