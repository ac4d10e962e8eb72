"""`llmasos cluster` hands its words on to the process that knows nodes."""

import subprocess

import pytest
from typer.testing import CliRunner

from llmasos.shell.cli import app


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        (["up"], ["up", "--host", "127.0.0.1", "--port", "6379"]),
        (
            ["up", "--host", "10.0.0.1", "--port", "0", "--cpus", "2", "--has", "docker=2", "--has", "x"],
            ["up", "--host", "10.0.0.1", "--port", "0", "--cpus", "2", "--has", "docker=2", "--has", "x"],
        ),
        (
            ["join", "10.0.0.1:6379", "--token-file", "t"],
            ["join", "--token-file", "t", "--", "10.0.0.1:6379"],
        ),
        (["status", "--json"], ["status", "--json"]),
        (["down", "a", "b"], ["down", "--", "a", "b"]),
    ],
)
def test_words_are_handed_on(words: list[str], handed_on: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def call(command: list[str]) -> int:
        commands.append(command[4:])
        return 7

    monkeypatch.setattr(subprocess, "call", call)
    assert CliRunner().invoke(app, ["cluster", *words]).exit_code == 7
    assert commands == [handed_on]
