"""The catalogue of the console's texts: whole in every language, and nothing in it that is not used."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest

from llmasos.api.federated import RunState
from llmasos.decisions import SourceKind, Verdict
from llmasos.events import ActionStatus, FileChange, TurnStatus, WorkspaceChanged
from llmasos.ledger._types import State
from llmasos.service import console
from llmasos.service.console.rendering import PLACES
from llmasos.service.console.texts import CHINESE, ENGLISH, texts_for

HOME = Path(console.__file__).parent
MODELS = ("remote", "resident", "cached", "absent")


def named() -> set[str]:
    """Return the texts that templates and modules ask for."""
    sources = [*HOME.rglob("*.html"), *HOME.glob("*.py")]
    written = "\n".join(file.read_text() for file in sources if file.name != "texts.py")
    direct = set(re.findall(r"""\b(?:t|_texts)\(\s*"(\w+)"(?! ~)""", written))
    direct |= set(re.findall(r'\bt\("(\w+)" if [^)]* else "(\w+)"', written)[0])
    direct |= {"proof_pending", "proof_verified", "proof_refuted", "login_wrong", "login_wrong_key"}
    states = (
        *get_args(ActionStatus),
        *get_args(TurnStatus),
        *get_args(RunState),
        *get_args(Verdict),
        *get_args(State),
    )
    kinds = get_args(FileChange.model_fields["kind"].annotation)
    whats = get_args(WorkspaceChanged.model_fields["what"].annotation)
    return (
        direct
        | {f"status_{state}" for state in (*states, "waiting", "running")}
        | {f"source_{kind}" for kind in get_args(SourceKind)}
        | {f"{what}_done" for what in whats}
        | {place for place, _ in PLACES}
        | {"run", *kinds, *MODELS}
    )


def test_every_text_is_there_and_used() -> None:
    assert set(ENGLISH) == set(CHINESE)
    assert named() == set(ENGLISH)


def test_translations_name_the_same_things() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    assert [key for key in ENGLISH if fields(ENGLISH[key]) != fields(CHINESE[key])] == []
    assert [key for key in CHINESE if ENGLISH[key] == CHINESE[key]] == ["digest", "source_system"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh-Hant;q=0.5", "zh"),
        ("fr,de", "en"),
        ("zh;q=0", "en"),
        ("zh;q=x,en;q=0.1", "en"),
        ("*" * 100_000, "en"),
    ],
)
def test_the_language_is_the_one_that_is_liked_best(accepted: str, language: str) -> None:
    assert texts_for(accepted).language == language
