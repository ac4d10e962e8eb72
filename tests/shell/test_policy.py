"""`llmasos policy` hands its words on to the process that knows the rules."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmasos.shell.cli import app


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def call(command: list[str]) -> int:
        commands.append(command[4:])
        return 7

    monkeypatch.setattr(subprocess, "call", call)
    return commands


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        (["show", "--json"], ["--folder", ".", "show", "--json"]),
        (["check", "--jsonl", "-C", "x"], ["--folder", "x", "check", "--jsonl"]),
        (["test", "--", "-f"], ["--folder", ".", "test", "--", "-f"]),
        (["explain", "-"], ["--folder", ".", "explain", "--", "-"]),
        (["suggest"], ["--folder", ".", "suggest"]),
    ],
)
def test_words_are_handed_on(started: list[list[str]], words: list[str], handed_on: list[str]) -> None:
    done = CliRunner().invoke(app, ["policy", *words])
    assert done.exit_code == 7
    assert started == [handed_on]


def test_a_call_is_explained(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", str(tmp_path))
    call = {"tool": "t", "facts": {"effects": ["reads"]}}
    assert CliRunner().invoke(app, ["policy", "explain", "--json", json.dumps(call)]).exit_code == 0
    assert json.loads(capfd.readouterr().out)["verdict"] == "allow"
