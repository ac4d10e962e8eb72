"""Every command and script that the documents show is run."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.integration.system.conftest import ROOT, Machine, call

pytestmark = pytest.mark.integration

# These are a story of their own, and other tests play them.
ELSEWHERE = {"docs/how-to/plugins.md", "docs/reference/proofs.md", "docs/reference/recipes.md"}
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for file in FILES if (page := str(file.relative_to(ROOT))) not in ELSEWHERE]
HELLO = call("write_file", path="hello.txt", content="hello\n")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


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


def test_the_settings_are_up_to_date() -> None:
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "settings.py"), "--check"],
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
