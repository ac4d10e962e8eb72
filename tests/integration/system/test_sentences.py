"""One sentence for each tool that people come for, on the embedded model and on real files."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmasos import paths
from tests.integration.system.conftest import Machine
from tests.integration.system.terminal import PROMPT, Terminal

pytestmark = pytest.mark.integration

GUIDE = "# The gate\n\nEvery call passes the gate before it runs.\n\n```bash\nmake shell\n```\n"
SALES = "region,amount\nnorth,120\neast,300\nsouth,150\neast,510\nnorth,200\n"
HANDBOOK = "# Handbook\n\n## Holidays\n\nEvery employee has 28 days of paid holiday a year.\n"
# What comes first needs no approval: nothing that others may have written has been read.
IN_THE_SHELL = (
    (
        "write triple.py with a function triple(n) that returns three times n, with tests",
        "write_code",
        r"\+def triple\(",
        "triple.py",
    ),
    (
        "write a short email that invites my team to lunch on Friday, save it as lunch.md",
        "compose",
        "Friday",
        "lunch.md",
    ),
    ("which region sold most in sales.csv?", "analyze_data", r"│.*east", ""),
    ("according to handbook.md, how many days of holiday do I get?", "ask_documents", r"│ .*28.*\[1\]", ""),
    ("translate guide.md into French and save it as guide.fr.md", "translate", r"\+.*porte", "guide.fr.md"),
)
REVIEWS = {"a": "I love this lamp, it looks great.", "b": "Broken after two days. A waste of money."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    (place / "reviews").mkdir(parents=True)
    for name, text in (("guide.md", GUIDE), ("sales.csv", SALES), ("handbook.md", HANDBOOK)):
        (place / name).write_text(text)
    for name, text in REVIEWS.items():
        (place / "reviews" / f"{name}.txt").write_text(text)
    return place


def test_a_sentence_is_enough(machine: Machine, folder: Path) -> None:
    machine.env["LLMASOS_MODEL_URL"] = ""
    # What a small model says in near ties depends on how many threads compute it.
    machine.env["LLMASOS_MODEL_THREADS"] = "2"
    machine.env["LLMASOS_CACHE_DIR"] = str(paths.cache_dir())

    def ask(request: str, tool: str) -> tuple[dict[str, Any], dict[str, str]]:
        code, result = machine.ask(request, "-C", str(folder))
        assert code == 0 and result["actions"] and result["actions"][0]["tool"] == tool, result
        return result, {each["path"]: each["diff"] for each in result["changes"]}

    _, written = ask("translate guide.md into Chinese and save it as guide.zh.md", "translate")
    assert "+```bash\n+make shell\n+```" in written["guide.zh.md"] and "+# " in written["guide.zh.md"]
    assert any("一" <= letter <= "鿿" for letter in written["guide.zh.md"])

    result, written = ask("which region sold most in sales.csv?", "analyze_data")
    assert "east" in result["actions"][0]["outcome"] and "Rests on" in result["actions"][0]["outcome"]
    assert not written

    result, _ = ask("according to handbook.md, how many days of holiday do I get?", "ask_documents")
    assert (
        "28" in result["actions"][0]["outcome"]
        and "[1] handbook.md, line 5" in result["actions"][0]["outcome"]
    )
    result, _ = ask("who is the CEO, according to handbook.md?", "ask_documents")
    assert result["actions"][0]["outcome"] == "Not in the documents."

    _, written = ask(
        "write double.py with a function double(n) that returns twice n, with tests", "write_code"
    )
    assert "+def double(" in written["double.py"] and "def test_" in written["test_double.py"]

    _, written = ask(
        "write a short email that invites my team to lunch on Friday, save it as lunch.md", "compose"
    )
    assert "lunch" in written["lunch.md"].lower() and "Friday" in written["lunch.md"]

    with closing(Terminal(machine, columns=140, seconds=180)) as shell:
        for sentence, tool, answer, file in IN_THE_SHELL:
            shell.enter(sentence)
            shown = shell.wait_for(f"● {tool}(", f"✓ {tool} ")
            if file:
                shell.wait_for_line("Write these changes to the folder?")
                shown = shell.text()
                shell.type("y\r")
            shell.wait_for_line(PROMPT)
            assert re.search(answer, shown), shown
            assert not file or (folder / file).exists()

    said = machine.run(
        "map", "Is the mood good or bad? Answer with one word.", "reviews", "-C", str(folder), "--json"
    )
    assert said.returncode == 0 and "Good" in said.stdout.title() and "Bad" in said.stdout.title(), said
