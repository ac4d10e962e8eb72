"""What a sentence wants, forbids and asks."""

from __future__ import annotations

import pytest

from llmasos.agent.provenance.sentences import is_forbidden, is_question, is_reading, is_removing, sentences


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
        ("empty log.txt", True),
        ("Please empty the log", True),
        ("make log.txt empty", True),
        ("clear log.txt", True),
        ("truncate log.txt", True),
        ("leere die Datei log.txt", True),
        ("vide le fichier", True),
        ("清空 log.txt", True),
        ("log.txt を空にして", True),
        ("find the empty files", False),
        ("is the folder empty?", False),
        ("list empty lines", False),
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


@pytest.mark.parametrize(
    "text",
    [
        "Read notes.md and tell me about the report",
        "What does report.txt say?",
        "Count the rows of data.csv after reading notes.md",
        "Tell me what is in a.txt and b.txt.",
        "Please read notes.md. Do not delete anything.",
        "Lies notes.md und sag mir, was drin steht",
        "Summarise report.txt",
        "读取 notes.md 并告诉我报告里有什么",
        "notes.mdを読んで、報告を教えてください",
    ],
)
def test_what_only_wants_to_know_something(text: str) -> None:
    assert all(map(is_reading, sentences(text)))


@pytest.mark.parametrize(
    "text",
    [
        "Read notes.md and fix it",
        "Read notes.txt and bring README.md up to date",
        "Summarize notes.md into summary.txt",
        "Translate README.md to German",
        "Look at notes.md and do what it says",
        "Read data.csv and write a report",
        "Check a.py and correct it",
        "Run the tests",
        "Open notes.md, sort it",
        "continue",
        "读 notes.md 然后更新报告",
    ],
)
def test_what_wants_something_done(text: str) -> None:
    assert not all(map(is_reading, sentences(text)))


def test_a_long_run_of_blanks_is_one() -> None:
    blank = " " * 1_000_000
    assert sentences(f"Read a.txt.{blank}Then{blank}stop.\n\nEnd") == ["Read a.txt.", "Then stop.", "End"]
    assert is_reading(sentences(f"read{blank}a.txt")[0])
