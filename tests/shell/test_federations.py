"""`llmasos federated init` and its kin become the process that knows federations."""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmasos.errors import LLMasOSError
from llmasos.shell import federations
from llmasos.shell.cli import app


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        (["init", "region"], ["init", "--port", "9092", "--", "region"]),
        (
            ["init", "region", "--host", "a", "--host", "b", "--port", "1", "--bind", "192.0.2.7"],
            ["init", "--host", "a", "--host", "b", "--port", "1", "--bind", "192.0.2.7", "--", "region"],
        ),
        (["invite", "region", "north", "-o", "x"], ["invite", "--out", "x", "--", "region", "north"]),
        (["invite", "region", "north"], ["invite", "--", "region", "north"]),
        (["dismiss", "region", "north"], ["dismiss", "--", "region", "north"]),
        (["renew", "region"], ["renew", "--", "region"]),
        (["nodes"], ["nodes", "--"]),
        (["nodes", "region", "--json"], ["nodes", "--json", "--", "region"]),
        (
            ["join", "file", "--data", "rows.csv", "--label", "sick", "--name", "north"],
            ["join", "--data", "rows.csv", "--label", "sick", "--name", "north", "--", "file"],
        ),
    ],
)
def test_words_are_handed_on(words: list[str], handed_on: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *given: commands.append(given))
    monkeypatch.setattr(federations, "find_spec", lambda name: object())
    assert CliRunner().invoke(app, ["federated", *words]).exit_code == 0
    command = [sys.executable, "-P", "-m", "llmasos.federated.deployment.commands", *handed_on]
    assert commands == [(sys.executable, command)]


def test_documents_are_offered_by_a_program_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *given: commands.append(given))
    monkeypatch.setattr(federations, "find_spec", lambda name: object())
    words = ["knowledge", "join", "file", "house", "--no-quotes", "--per-minute", "3"]
    assert CliRunner().invoke(app, words).exit_code == 0
    handed_on = ["--no-quotes", "--per-minute", "3", "--", "file", "house"]
    assert commands == [(sys.executable, [sys.executable, "-P", "-m", "llmasos.silo", *handed_on])]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federations, "find_spec", lambda name: None)
    with pytest.raises(LLMasOSError, match="not installed") as found:
        federations.join(Path("x"), "iris")
    assert "llmasos[federated]" in found.value.hint
