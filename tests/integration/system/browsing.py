"""A person at a browser: Debian's Chromium, driven by playwright, and axe, which finds barriers in pages."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.system.conftest import Machine

AXE = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# What is waited for may be a kernel that starts.
_MILLISECONDS = 60_000
# Conformance with WCAG 2.2 on level AA, and what is good practice beside.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_FOUND = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules});
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3)}`);
}"""


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run a browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this needs Chromium: apt-get install chromium"
    expect.set_options(timeout=_MILLISECONDS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, *refused: int, **options: Any) -> Iterator[Page]:
    """Open a window of a person of its own; whatever its pages complain of is an error.

    Args:
        browser: The browser.
        refused: The HTTP statuses of what the person does in vain, of which the browser complains.
        options: What the window is like.
    """
    complaints: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(_MILLISECONDS)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda shown: complaints.append(shown.message))
        yield page
        assert complaints == [
            f"Failed to load resource: the server responded with a status of {status} "
            f"({HTTPStatus(status).phrase})"
            for status in refused
        ]


def enter(page: Page, machine: Machine, *options: str) -> None:
    """Open the console with a link of `llmasos console`."""
    made = machine.run("console", "--print", *options)
    assert made.returncode == 0, made.stderr
    page.goto(made.stdout.strip())
    page.wait_for_url("**/console/*s")


def barriers(page: Page) -> list[str]:
    """Return what keeps people from using a page, as far as a program can find it."""
    # The page's own policy lets no script in but its own.
    page.evaluate(AXE.read_text())
    found: list[str] = page.evaluate(_FOUND, _RULES)
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]
