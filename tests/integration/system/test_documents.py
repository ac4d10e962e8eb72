"""Every command and script that the documents show is run."""

import json
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from tests.integration.system.conftest import ROOT, Machine, call

pytestmark = pytest.mark.integration

# These are stories of their own, each played by a test beside what it tells of.
ELSEWHERE = {
    "docs/how-to/console.md": "tests/integration/system/test_console.py",
    "docs/how-to/plugins.md": "tests/integration/system/test_plugins.py",
    "docs/reference/proofs.md": "tests/integration/ledger/test_proofs_document.py",
    "docs/reference/recipes.md": "tests/federated/recipes/test_page.py",
}
SHELL = {"docs/how-to/http.md": "tests/integration/system/test_access.py"}
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL = [str(file.relative_to(ROOT)) for file in FILES]
PAGES = [page for page in ALL if page not in ELSEWHERE]
HELLO = call("write_file", path="hello.txt", content="hello\n")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ALL)
def test_every_block_says_what_it_is(page: str) -> None:
    """`console` and `python` run; `sh` is played by a test of its own; `text` is what cannot be run."""
    text = (ROOT / page).read_text()
    kinds = re.findall(r"^[ \t]*```(.*)$", text, re.MULTILINE)
    assert set(kinds[::2]) <= {"console", "python", "sh", "toml", "json", "text"} and set(kinds[1::2]) <= {""}
    if blocks(page, "sh"):
        assert page in SHELL
    for block in blocks(page, "toml"):
        tomllib.loads(block)
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize(("page", "test"), [*ELSEWHERE.items(), *SHELL.items()])
def test_stories_are_played(page: str, test: str) -> None:
    assert f'"{page.rpartition("/")[2]}"' in (ROOT / test).read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")])
def test_the_commands_work(machine: Machine, page: str) -> None:
    commands = [
        line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")
    ]
    assert commands
    # Pages look back at what was done.
    machine.endpoint.replies = [HELLO, "Done."]
    machine.run("run", "make a file hello.txt that says hello", "--dry-run")
    for line in commands:
        machine.endpoint.replies = [HELLO, "Done."] if "hello.txt" in line else ["Done."]
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert program == "llmasos"
        done = machine.run(*arguments)
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_scripts_work(machine: Machine, page: str) -> None:
    for script in blocks(page, "python"):
        machine.endpoint.replies = [HELLO, "Done."]
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=machine.env,
            cwd=machine.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "hello.txt" in done.stdout
        assert not (machine.folder / "hello.txt").exists()


def test_the_example_works(machine: Machine) -> None:
    machine.endpoint.replies = ["There is one.", HELLO, "Made it."]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "longest_file.py"), str(machine.folder)],
        env=machine.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote hello.txt" in done.stdout and "on the chain" in done.stdout
    assert (machine.folder / "hello.txt").read_text() == "hello\n"
