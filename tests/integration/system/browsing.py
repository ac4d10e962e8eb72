"""A person at a browser: Debian's Chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.system.conftest import Machine


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run a browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: apt-get install chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a window of a person of its own; whatever its pages complain of is an error."""
    complaints: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        assert not complaints


def enter(page: Page, machine: Machine, *options: str) -> None:
    """Open the console with a link of `llmasos console`."""
    made = machine.run("console", "--print", *options)
    assert made.returncode == 0, made.stderr
    page.goto(made.stdout.strip())
    page.wait_for_url("**/console/sessions")
