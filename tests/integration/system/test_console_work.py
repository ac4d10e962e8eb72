"""Work that is begun, steered, looked at and written in the console, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.system.browsing import barriers, enter, visiting
from tests.integration.system.conftest import Machine, call
from tests.integration.system.test_access import ASKS, HELLO
from tests.integration.system.test_console import browser, console, live, request_in

__all__ = ["browser", "console"]

# A picture of three pixels, a page and a drawing.
KEEPS = """
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = struct.pack(">IIBBBBB", 3, 1, 8, 2, 0, 0, 0)
rows = zlib.compress(b"\\0" + bytes([200, 30, 30] * 3))
picture = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
keep(picture, "Sales chart.png")
keep(b"<!doctype html><script>alert(1)</script>", "report.html")
keep(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(2)'></svg>", "drawing.svg")
"""
LINES = [f"line {number}" for number in range(1, 31)]


def focused(target: Locator) -> bool:
    found: bool = target.evaluate("(one) => one === document.activeElement")
    return found


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(target):
            return
    raise AssertionError("it is not reached")


def begun(page: Page, machine: Machine) -> None:
    """Begin a session on the page that lists them."""
    page.get_by_label("Folder").fill(str(machine.folder))
    page.get_by_role("button", name="Begin", exact=True).click()
    page.wait_for_url("**/console/sessions/s-*")
    live(page)


def test_a_session_is_begun_steered_and_stopped_with_keys(
    machine: Machine, console: str, browser: Browser
) -> None:
    machine.endpoint.replies = [HELLO, "Made it.", ASKS, "Never."]
    with visiting(browser, 409) as page:
        enter(page, machine)
        assert barriers(page) == []
        begun(page, machine)
        box = page.get_by_role("textbox", name="What is to be done")
        # Who has begun a session goes on by saying what is to be done.
        expect(box).to_be_focused()
        assert barriers(page) == []
        page.keyboard.type("make <i>hello.txt</i>")
        page.keyboard.press("Enter")
        page.keyboard.type("please")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_role("heading", name="make <i>hello.txt</i> please")).to_be_visible()
        expect(page.get_by_text("Made it.")).to_be_visible()
        expect(page.get_by_role("status").get_by_text("The turn has ended: done.")).to_be_visible()
        expect(box).to_be_focused()
        expect(box).to_have_value("")

        page.keyboard.type("   ")
        page.keyboard.press("Control+Enter")
        refused = page.get_by_role("alert")
        expect(refused).to_have_text("The request is empty. Say what you want done.")
        expect(box).to_be_focused()
        assert barriers(page) == []
        box.fill("write the settings")
        page.keyboard.press("Control+Enter")
        expect(request_in(page)).to_be_visible()
        expect(refused).to_be_empty()

        box = page.get_by_role("textbox", name="Say something to the running turn")
        expect(box).to_be_focused()
        expect(box).to_have_value("")
        page.keyboard.type("rather in tabs")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("You said: rather in tabs")).to_be_visible()
        expect(box).to_have_value("")
        assert barriers(page) == []
        # What is half written stays when the page changes around it.
        page.keyboard.type("and then")
        tab_to(page, page.get_by_role("button", name="Cancel the turn"))
        page.keyboard.press("Enter")
        expect(page.get_by_text("No turn runs.")).to_be_visible()
        box = page.get_by_role("textbox", name="What is to be done")
        expect(box).to_be_focused()
        expect(box).to_have_value("and then")


def test_two_windows_do_not_begin_two_turns(machine: Machine, console: str, browser: Browser) -> None:
    machine.endpoint.replies = [ASKS, "Done."]
    with visiting(browser) as page, visiting(browser, 409, java_script_enabled=False) as other:
        enter(page, machine)
        begun(page, machine)
        other.goto(machine.run("console", "--print").stdout.strip())
        other.get_by_role("button", name="Open the console").click()
        other.goto(page.url)
        page.keyboard.type("write the settings")
        page.keyboard.press("Control+Enter")
        expect(request_in(page)).to_be_visible()
        other.get_by_label("What is to be done").fill("write something else")
        other.get_by_role("button", name="Begin a turn").click()
        expect(other.get_by_role("alert")).to_contain_text("A turn is running in this session.")
        # It is not lost, and can be said to the turn that runs.
        expect(other.get_by_label("Say something to the running turn")).to_have_value("write something else")
        other.get_by_role("button", name="Say it").click()
        expect(page.get_by_text("You said: write something else")).to_be_visible()
        other.get_by_role("button", name="Cancel the turn").click()
        expect(other.get_by_text("No turn runs.")).to_be_visible()


def test_without_scripts_work_is_begun_and_refused_plainly(
    machine: Machine, console: str, browser: Browser, tmp_path: Path
) -> None:
    machine.endpoint.replies = [HELLO, "Made it."]
    with visiting(browser, 409, java_script_enabled=False) as page:
        page.goto(machine.run("console", "--print").stdout.strip())
        page.get_by_role("button", name="Open the console").click()
        page.get_by_label("Folder").fill(str(tmp_path / "nowhere"))
        page.get_by_role("button", name="Begin", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("nowhere")
        expect(page.get_by_label("Folder")).to_have_value(str(tmp_path / "nowhere"))
        page.get_by_label("Folder").fill(str(machine.folder))
        page.get_by_role("button", name="Begin", exact=True).click()
        box = page.get_by_label("What is to be done")
        expect(box).to_be_focused()
        box.fill("make hello.txt")
        page.get_by_role("button", name="Begin a turn").click()
        while not page.get_by_text("No turn runs.").is_visible():
            page.reload()
        expect(page.get_by_text("Made it.")).to_be_visible()
        page.get_by_role("button", name="Write to the folder").click()
        expect(page.get_by_role("region", name="Written to the folder (c-000001)")).to_be_focused()
    assert (machine.folder / "hello.txt").exists()


def test_pictures_are_shown_and_everything_else_is_only_downloaded(
    machine: Machine, console: str, browser: Browser, tmp_path: Path
) -> None:
    machine.endpoint.replies = [call("run_python", code=KEEPS), "Drawn."]
    with visiting(browser) as page:
        enter(page, machine)
        begun(page, machine)
        page.keyboard.type("draw it")
        page.keyboard.press("Control+Enter")
        # The turn is drawn anew when it ends, and with it the picture.
        expect(page.get_by_role("status").get_by_text("The turn has ended: done.")).to_be_visible()
        expect(page.get_by_text("Drawn.")).to_be_visible()
        # As it is told, and as it is loaded.
        for _ in range(2):
            picture = page.get_by_role("img", name="Picture sales-chart-1.png, handed out by run_python")
            picture.scroll_into_view_if_needed()
            picture.evaluate("(one) => one.decode()")
            assert picture.evaluate("(one) => one.naturalWidth") == 3
            assert page.locator("main img").count() == 1 and barriers(page) == []
            page.reload()
        for name, begins in (
            ("sales-chart-1.png", b"\x89PNG"),
            ("report-2.html", b"<!doc"),
            ("drawing-3.svg", b"<svg"),
        ):
            with page.expect_download() as download:
                page.get_by_role("link", name=f"Download {name}").click()
            assert download.value.suggested_filename == name
            download.value.save_as(tmp_path / name)
            assert (tmp_path / name).read_bytes().startswith(begins)
        # Not even its address opens it.
        address = page.get_by_role("link", name="Download report-2.html").get_attribute("href")
        with page.expect_download():
            page.evaluate("(address) => { location.href = address; }", address)


def test_hunks_are_chosen_with_keys(machine: Machine, console: str, browser: Browser) -> None:
    (machine.folder / "long.txt").write_text("\n".join([*LINES, ""]))
    after = ["other" if number in (2, 15, 28) else line for number, line in enumerate(LINES, 1)]
    machine.endpoint.replies = [
        call("write_file", path="long.txt", content="\n".join([*after, ""])),
        HELLO,
        "Changed.",
    ]
    options = {"viewport": {"width": 320, "height": 640}}
    with visiting(browser, **options) as page:
        enter(page, machine)
        begun(page, machine)
        page.keyboard.type("change it")
        page.keyboard.press("Control+Enter")
        hunks = page.get_by_role("group", name="Hunks of long.txt")
        expect(hunks.get_by_role("checkbox")).to_have_count(3)
        assert barriers(page) == []
        file = page.get_by_role("checkbox", name="changed long.txt")
        second = hunks.get_by_role("checkbox", name="Hunk 2 of 3: lines added 1, removed 1")
        tab_to(page, file)
        page.keyboard.press("Space")
        assert not second.is_checked()
        page.keyboard.press("Space")
        tab_to(page, second)
        page.keyboard.press("Space")
        expect(page.get_by_role("status").get_by_text("Chosen: 3 of 4")).to_be_visible()
        assert file.is_checked() and file.evaluate("(one) => one.indeterminate")
        tab_to(page, page.get_by_role("button", name="Write to the folder"))
        page.keyboard.press("Enter")
        summary = page.get_by_role("region", name="Written to the folder (c-000001)")
        expect(summary).to_be_focused()
        expect(summary.get_by_role("listitem").first).to_have_text("hello.txt")
        expect(summary).to_contain_text("long.txt hunks 1, 3 of 3")
        expect(summary).to_contain_text("Still offered, and not in the folder:")
        expect(summary).to_contain_text("long.txt 1 of its 3 hunks")
        assert barriers(page) == []
        after[14] = LINES[14]
        assert (machine.folder / "long.txt").read_text() == "\n".join([*after, ""])
        # What stayed is one change, which is dropped as a whole.
        page.get_by_role("button", name="Drop").click()
        expect(page.get_by_role("region", name="Dropped")).to_contain_text("Nothing else is offered.")
