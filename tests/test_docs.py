"""The documentation is a site without broken links, and the reference is what the code says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BESIDE = ["README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
MENTION = re.compile(r"(?<![\w/])docs/[\w/.-]+\.(?:md|json|svg)\b")
LOADED = re.compile(r'<(?:script|img|iframe)[^>]*\bsrc="(?:https?:)?//|<link[^>]*\bhref="(?:https?:)?//')
PAGES = [*BESIDE, *(str(file.relative_to(ROOT)) for file in sorted((ROOT / "docs").rglob("*.md")))]
ANOTHERS = {"docs/gguf.md"}


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )


def test_the_site_builds_and_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]*\bsrc="(?:https?:)?//|<link[^>]*//', page.read_text()
        )
        assert not loaded, page


@pytest.mark.parametrize(
    ("page", "text", "said"),
    [
        ("concepts/orphan.md", "# Not in the nav\n", "concepts/orphan.md"),
        ("quickstart.md", "[there](nowhere.md)\n", "nowhere.md"),
        ("quickstart.md", "[there](how-to/shell.md#nowhere)\n", "#nowhere"),
    ],
)
def test_the_build_finds_what_is_broken(tmp_path: Path, page: str, text: str, said: str) -> None:
    for name in ("docs", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / page).open("a") as file:
        file.write(text)
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0 and said in done.stdout + done.stderr


def test_a_pipe_in_the_code_of_a_table_is_shown_alone(tmp_path: Path) -> None:
    assert build(ROOT, tmp_path).returncode == 0
    page = (tmp_path / "how-to" / "shell.html").read_text()
    assert "<code>/state save|restore NAME</code>" in page


def anchors(file: Path) -> Iterator[str]:
    """Yield the anchors of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "name", [*BESIDE, *(str(file.relative_to(ROOT)) for file in ROOT.glob("docs/**/*.md"))]
)
def test_links_lead_somewhere_on_github(name: str) -> None:
    page = ROOT / name
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text):
        link = "".join(target)
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_what_names_a_page_names_one_that_is_there() -> None:
    folders = ("llmasos", "scripts", "docs")
    files = [
        file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".md")
    ]
    files += [ROOT / "Makefile", *(ROOT / name for name in BESIDE)]
    named = {mention for file in files for mention in MENTION.findall(file.read_text())}
    assert "docs/reference/proofs.md" in named
    assert not {name for name in named - ANOTHERS if not (ROOT / name).exists()}


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.reference", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
