"""Plugins from nothing to use, as the page for authors has it, on a user's machine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.system.conftest import ROOT, Machine, call

pytestmark = pytest.mark.integration

PAGE = (ROOT / "docs" / "how-to" / "plugins.md").read_text()
FILE = re.compile(r"`((?:src|tests)/[^`]+)`:\n\n```python\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```console\n(.*?)```", re.DOTALL)


class Author:
    """Somebody who writes a plugin: a folder, and an environment of their own."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.place = machine.base / "author"
        self.place.mkdir()
        self.site = machine.base / "site"
        path = machine.env["PYTHONPATH"]
        # Of these, tools see neither the folder nor the variable.
        self.env = {**machine.env, "PYTHONPATH": f"{self.site}:{path}"}
        machine.env["PYTHONPATH"] = self.env["PYTHONPATH"]

    def run(self, line: str) -> str:
        """Run a line of the page, and return what it prints."""
        program, *arguments = shlex.split(line)
        if program == "cd":
            self.place /= arguments[0]
            return ""
        if program == "llmasos":
            where = self.machine.folder if arguments[0] == "run" else self.place
            done = self.machine.run(*arguments, cwd=where)
        else:
            done = self._python(program, arguments)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def _python(self, program: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        extra: list[str] = []
        env = dict(self.env)
        if program == "pip":
            extra = ["--no-build-isolation", "--no-deps", "--quiet"]
            extra += ["--target", str(self.site)] if arguments[0] == "install" else []
            del env["PYTHONPATH"]
        else:
            env["PYTHONPATH"] = f"{self.place / 'src'}:{env['PYTHONPATH']}"
            extra = ["-p", "no:cacheprovider"]
        return subprocess.run(
            [sys.executable, "-m", program, *arguments, *extra],
            cwd=self.place,
            env=env,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def author(machine: Machine) -> Iterator[Author]:
    yield Author(machine)


def test_the_page_leads_to_a_published_plugin(author: Author) -> None:
    (author.machine.folder / "notes.txt").write_text("word " * 480)
    author.machine.endpoint.replies = [call("reading_time", path="notes.txt"), "Two minutes."]
    said: dict[str, str] = {}
    files = FILE.findall(PAGE)
    assert [path for path, _ in files] == ["src/reading/tools.py", "tests/test_tools.py"]
    for line in (line for block in COMMANDS.findall(PAGE) for line in block.splitlines()):
        said[line] = author.run(line.removeprefix("$ "))
        if line == "$ cd reading":
            for path, content in files:
                (author.place / path).write_text(content)
    assert "5 passed" in said["$ pytest -q"]
    assert "All is well." in said["$ llmasos tools test"]
    assert "reads:path, confined" in said["$ llmasos tools show reading"]
    assert "Two minutes." in said['$ llmasos run "how long does it take to read notes.txt?"']
    requests = json.dumps(author.machine.endpoint.requests).replace("\\", "")
    assert '{"words": 480, "minutes": 2.0}' in requests
    (wheel,) = (author.place / "dist").glob("reading-0.1.0-*.whl")
    assert wheel.stat().st_size


def test_a_plugin_as_it_is_written_passes_its_tests(author: Author) -> None:
    author.run("llmasos tools new word_counts")
    author.run("cd word_counts")
    assert "5 passed" in author.run("pytest -q")
    assert "All is well." in author.run("llmasos tools test .")
    assert author.machine.run("tools", "new", "word_counts", cwd=author.place.parent).returncode == 1


def test_its_life_is_recorded_and_a_change_asks_again(author: Author) -> None:
    machine = author.machine
    author.run("llmasos tools new word_counts")
    author.run("cd word_counts")
    author.run("pip install .")
    assert "word_counts 0.1.0: new" in author.run("llmasos tools list")
    refused = machine.run("tools", "enable", "word_counts")
    assert refused.returncode == 1 and "--yes" in refused.stderr
    author.run("llmasos tools enable word_counts --yes")
    assert "longest_words" in author.run("llmasos tools")
    assert "(plugin:word_counts)" in author.run("llmasos tools list")

    machine.endpoint.replies = [call("longest_words", path="notes.txt", count=1), "Done."]
    code, result = machine.ask("which is the longest word in notes.txt?")
    (action,) = result["actions"]
    assert code == 0 and action["status"] == "ok" and action["backend"] == "bubblewrap"

    tools = author.site / "word_counts" / "tools.py"
    tools.write_text(tools.read_text() + "\n")
    machine.endpoint.replies = ["Nothing."]
    done = machine.run("run", "hello")
    assert "word_counts has changed since you enabled it" in done.stdout + done.stderr
    offered = [tool["function"]["name"] for tool in machine.endpoint.requests[-1]["tools"]]
    assert "longest_words" not in offered and "read_file" in offered
    assert "changed since you enabled it" in author.run("llmasos tools list")
    author.run("llmasos tools enable word_counts --yes")
    author.run("llmasos tools disable word_counts")
    assert "word_counts 0.1.0: disabled" in author.run("llmasos tools list")
    log = author.run("llmasos ledger log --kind plugin --json")
    bodies = [json.loads(line).get("body") or {} for line in log.splitlines()]
    changes = [body["change"] for body in bodies if body.get("plugin") == "word_counts"]
    assert sorted(changes) == ["disabled", "enabled", "enabled"]
    assert "on the chain" in author.run("llmasos ledger verify")
    shutil.rmtree(author.site)
    assert "not installed any more" in author.run("llmasos tools list")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nothing"], "There is no plugin named 'nothing'"),
        (["enable", "nothing"], "There is no plugin named 'nothing'"),
        (["disable", "nothing"], "is not enabled"),
        (["new", "Bad-Name"], "cannot be the name of a plugin"),
        (["test", "nowhere"], "There is no plugin and no folder named 'nowhere'"),
        (["test", "."], "has no pyproject.toml"),
    ],
)
def test_what_cannot_be_done_is_said(machine: Machine, arguments: list[str], said: str) -> None:
    done = machine.run("tools", *arguments)
    assert done.returncode == 1 and said in done.stderr and not done.stdout


def test_an_example_that_fails_is_named(author: Author) -> None:
    author.run("llmasos tools new word_counts")
    author.run("cd word_counts")
    tools = author.place / "src" / "word_counts" / "tools.py"
    tools.write_text(tools.read_text().replace('longest_words(path="notes.txt")', 'longest_words(path="x")'))
    done = author.machine.run("tools", "test", cwd=author.place)
    assert done.returncode == 1 and "FAILED: " in done.stdout and "1 of the calls failed." in done.stdout
    tools.write_text("raise ValueError('no')")
    broken = author.machine.run("tools", "test", cwd=author.place)
    assert broken.returncode == 1 and "ValueError: no" in broken.stderr


def test_nothing_is_enabled_where_approvals_are_damaged(author: Author) -> None:
    author.run("llmasos tools new word_counts")
    author.run("cd word_counts")
    author.run("pip install .")
    author.run("llmasos tools enable word_counts --yes")
    file: Path = author.machine.base / "data" / "plugins.json"
    file.write_text(file.read_text()[:-20])
    author.machine.endpoint.replies = ["Hello."]
    done = author.machine.run("run", "hello")
    assert done.returncode == 0 and "none of its tools is offered" in done.stdout + done.stderr
    listed = author.machine.run("tools", "list")
    assert listed.returncode == 1 and "plugins.json cannot be read" in listed.stderr
