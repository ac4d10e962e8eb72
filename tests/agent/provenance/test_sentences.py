"""What a sentence wants, forbids and asks."""

from __future__ import annotations

import pytest

from llmasos.agent.provenance.sentences import is_forbidden, is_question, is_removing, sentences


@pytest.mark.parametrize(
    ("text", "removing"),
    [
        ("delete the build folder", True),
        ("Deleting old logs would help", True),
        ("clean up", True),
        ("clear out tmp", True),
        ("rename a to b", True),
        ("Lösche die Logs", True),
        ("Bitte räum auf", True),
        ("supprime les journaux", True),
        ("limpia la carpeta", True),
        ("wis de logs", True),
        ("удали старые файлы", True),
        ("删除旧日志", True),
        ("I wish you could read notes.md", False),
        ("make it clear", False),
        ("the exclusive offer in a drop-down", False),
        ("a cheap and clean-cut solution", True),
        ("Please don't delete anything", False),
        ("Lösche nichts und nicht die Logs", False),
        ("sum the report up", False),
    ],
)
def test_words_of_removing(text: str, removing: bool) -> None:
    assert any(map(is_removing, sentences(text))) is removing


def test_a_contrary_clause_is_a_sentence_of_its_own() -> None:
    assert sentences("Don't mail ann@x.example but bob@y.example. Then stop; go") == [
        "Don't mail ann@x.example",
        "but bob@y.example.",
        "Then stop; go",
    ]


@pytest.mark.parametrize(
    ("text", "forbids"),
    [
        ("never pay", True),
        ("do not send it", True),
        ("Schick es nicht ab", True),
        ("ne paye pas", True),
        ("不要发送", True),
        ("don't forget to send it", False),
        ("it does not work", False),
        ("a knot and a notice", False),
    ],
)
def test_what_forbids(text: str, forbids: bool) -> None:
    assert is_forbidden(text) is forbids


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Is this ours?", True),
        ("Who is eve@x.example?", True),
        ("Can you send it to eve@x.example?", False),
        ("Send it, please?", False),
        ("Könntest du es schicken?", False),
        ("Send it.", False),
    ],
)
def test_what_only_asks(text: str, asks: bool) -> None:
    assert is_question(text) is asks
