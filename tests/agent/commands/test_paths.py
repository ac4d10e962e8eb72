"""Each path has one spelling, and it is known whether it leads out of the folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.agent.commands import looks_alike, normalise


@pytest.mark.parametrize(
    ("path", "cwd", "spelling", "outside"),
    [
        ("a", "", "a", False),
        ("./a//b/", "", "a/b", False),
        ("a/../b", "", "b", False),
        ("a", "sub", "sub/a", False),
        ("../a", "sub", "a", False),
        ("", "", ".", False),
        (".", "sub", "sub", False),
        ("..", "", "..", True),
        ("a/../../b", "", "../b", True),
        ("../../a", "sub", "../a", True),
        ("/workspace", "", ".", False),
        ("/workspace/a", "sub", "a", False),
        ("/workspace/../etc", "", "/etc", True),
        ("/workspaces/a", "", "/workspaces/a", True),
        ("//etc//passwd", "", "/etc/passwd", True),
        ("/tmp/a", "", "/tmp/a", False),
        ("/tmp/../etc", "", "/etc", True),
        ("a", "/tmp", "/tmp/a", False),
        ("~/a", "", "~/a", True),
        ("$HOME/a", "", "~/a", True),
        ("${HOME}", "", "~", True),
        ("~root/a", "", "~root/a", True),
        ("a", "~", "~/a", True),
        ("~/../a", "", "~/../a", True),
        ("$HOME/b/../../a", "", "~/../a", True),
        ("../../a", "~/b", "~/../a", True),
        ("$PWD/a", "sub", "sub/a", False),
        ("e\u0301", "", "\u00e9", False),
    ],
)
def test_paths_have_one_spelling(path: str, cwd: str, spelling: str, outside: bool) -> None:
    assert normalise(path, cwd) == (spelling, outside)


@given(st.text(alphabet="a./~", max_size=12))
def test_a_spelling_stays_as_it_is(path: str) -> None:
    spelling, outside = normalise(path)
    assert normalise(spelling) == (spelling, outside)
    assert outside or ".." not in spelling.split("/")


@pytest.mark.parametrize(
    "path",
    [
        "p\u0430th",
        "a\u2215b",
        "a\u2024txt",
        "a\u200bb",
        "a\u202eb",
        "\uff0fetc",
        "a\nb",
        "\u0441\u0430\u0440",
        "\ufb01le",
        "config\uff0epy",
        "x\u0338y",
        ".env\u00a0",
        "\uff52eadme.md",
    ],
)
def test_look_alikes_are_told(path: str) -> None:
    assert looks_alike(path)


@pytest.mark.parametrize(
    "path",
    [
        "a/b.txt",
        "\u043e\u0442\u0447\u0451\u0442.txt",
        "\u5831\u544a.txt",
        "caf\u00e9.md",
        "na\u00efve",
        "\u03b1\u03b2\u03b3.txt",
        *[
            "Отчёт Q3.xlsx",
            "Мой file.txt",
            "iPhone-фото.jpg",
            "v1.0-бета.md",
            "Plan – final.docx",
            "H₂O.csv",
            "m².csv",
        ],
        *[
            "№ 5.txt",
            "x™.png",
            "…draft.txt",
            "α-test.py",
            "报告（终）.docx",
            "文件：一.md",
            "データ①.csv",
            "한글（1）.txt",
            "1º.txt",
        ],
        "Screenshot 9.41.00\u202fAM.png",
        "\U0001f469\u200d\U0001f4bb.md",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
    ],
)
def test_names_of_other_alphabets_are_no_look_alikes(path: str) -> None:
    assert not looks_alike(path)
