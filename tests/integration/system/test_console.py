"""The console in a real browser, on a real kernel."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.system.browsing import barriers, browsing, enter, visiting
from tests.integration.system.conftest import ROOT, Machine, call
from tests.integration.system.test_access import AGENT, ASKS, HELLO, Program, program

pytestmark = pytest.mark.integration
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
JUMPS = "[x](javascript:alert(4)) ![y](https://e.example/y.png) <a href=javascript:alert(5)>z</a>"
WRITTEN = f"""## Made

It is in `hello.txt`, as [told](https://e.example/{"long" * 30}):

### Lines

| {" | ".join(f"column {n}" for n in range(9))} |
|{"---|" * 9}
| {" | ".join("1,000" for _ in range(9))} |

> 1. hello
> 2. {"hello" * 30}

```text
{"hello " * 40}
{"hello" * 40}
```"""
PLACES = ("sessions", "models", "runs", "decisions", "ledger")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture
def console(machine: Machine, port: int) -> str:
    """The address of the console, which is on."""
    machine.env |= {"LLMASOS_SERVICE__CONSOLE": "true", "LLMASOS_SERVICE__DRAIN_SECONDS": "0"}
    return f"http://127.0.0.1:{port}/console"


def begin(agent: Program, machine: Machine, text: str = "") -> str:
    """Begin a session, and a turn where there is something to do; return where it is in the console."""
    status, session, _ = agent.send("POST", "/v1/sessions", {"folder": str(machine.folder)})
    assert status == 201
    if text:
        ask(agent, session["id"], text)
    return f"sessions/{session['id']}"


def ask(agent: Program, session: str, text: str) -> None:
    status, _, _ = agent.send("POST", f"/v1/sessions/{session}/turns", {"text": text})
    assert status == 202


def live(page: Page) -> None:
    """Wait until the page is told what happens."""
    expect(page.locator("body[data-live=true]")).to_be_attached()


def request_in(page: Page) -> Locator:
    return page.get_by_role("form", name="write_file asks for your approval")


def test_a_turn_is_followed_answered_written_and_proved(
    machine: Machine, port: int, console: str, browser: Browser, tmp_path: Path
) -> None:
    machine.endpoint.replies = [HELLO, ASKS, "Made <b>both</b>."]
    agent = program(machine, port, *AGENT)
    with visiting(browser) as page:
        enter(page, machine)
        assert "token" not in page.url
        session = begin(agent, machine).removeprefix("sessions/")
        # The list is followed, too.
        page.get_by_role("link", name=session).click()
        live(page)
        ask(agent, session, "make <i>hello.txt</i>")

        asked = request_in(page)
        expect(asked).to_be_visible()
        expect(page.get_by_role("status").get_by_text("write_file waits for your approval.")).to_be_visible()
        expect(page.get_by_role("heading", name="make <i>hello.txt</i>")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel the turn")).to_be_visible()
        expect(page.get_by_text("A turn runs. What it would change")).to_be_visible()
        expect(asked.locator("ins").first).to_have_text("+{}")
        asked.get_by_role("button", name="Allow", exact=True).click()

        expect(page.get_by_text("Made <b>both</b>.")).to_be_visible()
        changes = page.get_by_role("region", name="Changes that are offered")
        hello = changes.get_by_role("group", name="Diff of hello.txt")
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
        page.get_by_role("link", name="Ledger").click()
        page.get_by_role("button", name="Verify everything").click()
        expect(page.locator("[data-finding]")).to_contain_text("are as recorded")
    checked = machine.run("ledger", "check", str(proof))
    # It is sound, and waits for somebody to confirm the block's hash.
    assert checked.returncode == 3 and "write_file" in checked.stdout
    lines = machine.run("ledger", "log", "--session", session, "--json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    by = {record["kind"]: record["body"] for record in records}
    assert by["approval"]["by"].endswith("(console)")
    assert by["commit"]["asked_by"]["client"] == by["discard"]["asked_by"]["client"] == "console"


def test_a_turn_is_cancelled_and_output_is_seen_as_it_comes(
    machine: Machine, port: int, console: str, browser: Browser
) -> None:
    begun = call("run_shell", command="echo begun; sleep 600")
    machine.endpoint.replies = [begun, "Never."]
    agent = program(machine, port, *AGENT)
    with visiting(browser) as page:
        enter(page, machine)
        place = begin(agent, machine)
        page.goto(f"{console}/{place}")
        live(page)
        ask(agent, place.removeprefix("sessions/"), "wait")
        expect(page.get_by_role("group", name="Output")).to_have_text("begun\n")
        page.get_by_role("button", name="Cancel the turn").click()
        expect(page.get_by_text("No turn runs.")).to_be_visible()
        expect(page.get_by_role("group", name="run_shell cancelled")).to_be_visible()


def test_it_is_usable_with_keys_alone(machine: Machine, port: int, console: str, browser: Browser) -> None:
    machine.endpoint.replies = [ASKS, "Done."]
    agent = program(machine, port, *AGENT)
    place = begin(agent, machine, "write the settings")
    with visiting(browser) as page:
        enter(page, machine)

        def tab_to(target: Locator) -> None:
            for _ in range(60):
                page.keyboard.press("Tab")
                if target.evaluate("(one) => one === document.activeElement"):
                    outline = "(one) => getComputedStyle(one).outlineStyle"
                    assert target.evaluate(outline) != "none", "nobody sees where they are"
                    return
            raise AssertionError("it is not reached")

        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        tab_to(page.get_by_role("link", name="write the settings"))
        # What is drawn anew takes nobody's place away.
        other = begin(agent, machine)
        expect(page.get_by_role("link", name=other.removeprefix("sessions/"))).to_be_visible()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{place}")
        tab_to(page.get_by_label("Why (the model is told)"))
        page.keyboard.type("not now")
        page.keyboard.press("Shift+Tab")
        assert page.evaluate("document.activeElement.textContent") == "Deny"
        page.keyboard.press("Enter")
        expect(page.get_by_text("Why: not now")).to_be_visible()
        tab_to(page.get_by_role("button", name="Log out"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()


def test_without_scripts_every_page_works(
    machine: Machine, port: int, console: str, browser: Browser
) -> None:
    machine.endpoint.replies = [ASKS, HELLO, "Done."]
    agent = program(machine, port, *AGENT)
    with visiting(browser, java_script_enabled=False) as page:
        made = machine.run("console", "--print")
        page.goto(made.stdout.strip())
        page.get_by_role("button", name="Open the console").click()
        page.wait_for_url("**/console/sessions")
        place = begin(agent, machine, "write the settings")
        page.goto(f"{console}/{place}")
        while not request_in(page).is_visible():
            page.reload()
        request_in(page).get_by_role("button", name="Allow", exact=True).click()
        while not page.get_by_text("No turn runs.").is_visible():
            page.reload()
        page.get_by_role("button", name="Write to the folder").click()
        expect(page.get_by_text("Nothing is changed.")).to_be_visible()
    assert (machine.folder / "hello.txt").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anybodys_way(
    machine: Machine, port: int, console: str, browser: Browser, scheme: str
) -> None:
    machine.endpoint.replies = [HELLO, WRITTEN, ASKS, "Done."]
    agent = program(machine, port, *AGENT)
    place = begin(agent, machine, "make hello.txt")
    options = {"color_scheme": scheme, "viewport": {"width": 320, "height": 640}, "locale": "zh-CN"}
    with visiting(browser, **options) as page:
        page.goto(machine.run("console", "--print").stdout.strip().partition("?")[0])
        assert barriers(page) == []
        enter(page, machine)
        page.goto(f"{console}/{place}")
        expect(page.get_by_role("button", name="写入文件夹")).to_be_visible()
        expect(page.get_by_role("cell", name="1,000")).to_have_count(9)
        expect(page.get_by_role("heading", level=5, name="Lines")).to_be_visible()
        assert barriers(page) == []
        action = page.get_by_role("group", name="write_file").get_by_role("link").get_attribute("href")
        ask(agent, place.removeprefix("sessions/"), "write the settings")
        expect(page.get_by_role("button", name="允许", exact=True)).to_be_visible()
        assert barriers(page) == []
        for each in (*PLACES, "nothing", str(action).removeprefix("/console/")):
            # What is not there is complained of by the browser, too.
            if each != "nothing":
                page.goto(f"{console}/{each}")
                assert barriers(page) == [], each


def test_foreign_text_does_nothing(machine: Machine, port: int, console: str, browser: Browser) -> None:
    name = "<b onclick=alert(3)>.txt"
    machine.endpoint.replies = [
        call("write_file", path=name, content=f"{HOSTILE}\n"),
        call("run_shell", command=f"printf '%s' '{HOSTILE}'"),
        f"{HOSTILE}\n\n{JUMPS}",
    ]
    agent = program(machine, port, *AGENT)
    with visiting(browser) as page:
        enter(page, machine)
        place = begin(agent, machine)
        page.goto(f"{console}/{place}")
        live(page)
        ask(agent, place.removeprefix("sessions/"), HOSTILE)
        expect(page.get_by_role("button", name="Write to the folder")).to_be_visible()
        # As it is told, and as it is loaded.
        for _ in range(2):
            assert page.locator("main img, main script, main b, main a[href^=javascript]").count() == 0
            expect(page.get_by_text(JUMPS)).to_be_visible()
            assert page.get_by_text(HOSTILE).count() >= 4
            page.reload()
        page.get_by_role("button", name="Write to the folder").click()
        expect(page.get_by_text("Nothing is changed.")).to_be_visible()
    assert (machine.folder / name).read_text() == f"{HOSTILE}\n"


def test_a_training_is_followed_with_its_curves(
    machine: Machine, port: int, console: str, browser: Browser
) -> None:
    with visiting(browser) as page:
        enter(page, machine)
        page.get_by_role("link", name="Trainings").click()
        live(page)
        done = machine.run("federated", "run", "iris", "--clients", "2", "--rounds", "3", "--yes")
        assert done.returncode == 0, done.stderr
        expect(page.get_by_text("completed")).to_be_visible()
        page.get_by_role("row").nth(1).get_by_role("link").click()
        for title in ("Accuracy", "Loss"):
            curve = page.get_by_role("img", name=f"{title} over 3 rounds")
            expect(curve).to_be_visible()
            assert curve.locator("polyline.held").count() == 1
        expect(page.get_by_role("region", name="Rounds").get_by_role("row")).to_have_count(4)
        assert barriers(page) == []


def test_another_sites_page_can_do_nothing(
    machine: Machine, port: int, console: str, browser: Browser, tmp_path: Path
) -> None:
    machine.endpoint.replies = [HELLO, "Made."]
    place = begin(program(machine, port, *AGENT), machine, "make hello.txt")
    with browser.new_context() as context:
        page = context.new_page()
        enter(page, machine)
        other = tmp_path / "other.html"
        other.write_text(
            f'<form method="post" action="{console}/{place}/cancel"><button>Win</button></form>'
            f'<iframe src="{console}/{place}"></iframe>'
        )
        foreign = context.new_page()
        foreign.goto(other.as_uri())
        assert "make hello.txt" not in foreign.frames[1].content(), "nobody may show it in a frame"
        with foreign.expect_response(f"**/{place}/cancel") as answered:
            foreign.get_by_role("button", name="Win").click()
        # The cookie is not sent along.
        assert answered.value.status == 401
        expect(foreign.get_by_role("heading", name="You are not logged in")).to_be_visible()


def test_who_has_no_link_is_told_how_to_get_in(
    machine: Machine, port: int, console: str, browser: Browser
) -> None:
    key = program(machine, port, "--scope", "agent").key
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{console}/login?token=wrong")
        expect(page.get_by_text("This link was used before, or is too old.")).to_be_visible()
        expect(page.get_by_text("llmasos console", exact=True)).to_be_visible()
        page.get_by_label("A key of llmasos keys").fill(key)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("link", name="Trainings")).to_be_visible()
        expect(page.get_by_role("link", name="Ledger")).to_have_count(0)
        assert page.goto(f"{console}/ledger").status == 403  # type: ignore[union-attr]


def test_a_console_that_is_off_says_how_it_is_turned_on(machine: Machine, port: int) -> None:
    refused = machine.run("console")
    assert refused.returncode == 1 and "The console is off." in refused.stderr
    assert "llmasos serve --console" in refused.stderr
    with closing(Program(port).connect()) as connection:
        connection.request("GET", "/console/")
        answer = connection.getresponse()
        assert answer.status == 401 and b"A key is needed" in answer.read()


def test_it_is_turned_on_by_a_word_and_opens_where_there_is_a_desktop(
    machine: Machine, port: int, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    machine.env |= {"DISPLAY": ":0", "BROWSER": f"sh -c 'echo $0 > {opened}' %s"}
    with machine.popen("serve", "--console", "--port", str(port)) as serving:
        assert serving.stderr is not None
        assert any("The console is on" in line for line in serving.stderr)
        made = machine.run("console")
        machine.run("stop")
    link = made.stdout.strip()
    assert link.startswith(f"http://127.0.0.1:{port}/console/login?token=")
    # What programs are called with is seen by every user of the machine.
    file = Path(machine.env["LLMASOS_RUNTIME_DIR"]) / "console.html"
    assert opened.read_text() == f"{file.as_uri()}\n"
    assert link in file.read_text() and file.stat().st_mode & 0o077 == 0


def test_what_its_document_shows_works(machine: Machine, console: str) -> None:
    blocks = re.findall(
        r"```console\n(.*?)```", (ROOT / "docs" / "how-to" / "console.md").read_text(), re.DOTALL
    )
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        program_, *arguments = shlex.split(command)
        done = machine.run(*arguments)
        assert program_ == "llmasos" and done.returncode == 0, done.stderr
