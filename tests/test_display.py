"""Foreign text is shown, and never acts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.display import Stream, display, display_name

# What languages and emoji are written with.
READABLE = [
    "中文，全角　空格 👩‍💻",
    "👨🏽‍🚀 🏳️‍🌈 🙂‍↔️ ❤️ ☺︎ 1️⃣ #️⃣ 🇩🇪 🐦‍⬛ 🏴‍☠️",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "می\u200cخواهم نامه\u200cها",
    "क\u094d\u200dष नमस्ते",
    "ක්\u200dර",
    "র\u200d\u09cdয",
    "葛\U000e0100城区",
    "שָׁלוֹם עוֹלָם",
    "السَّلَامُ عَلَيْكُمْ ۝",
    "สวัสดี ที่นี่",
    "Tiếng Việt, façade, e\u0301, naïve",
    "\U0001fae8 \U0001fadf",
    "10\u00a0000 €, 5\u202f%",
    "ᠮᠣᠩᠭᠣᠯ\u180b",
]
HIDDEN = {
    "\n": "\\n",
    "\x1b[31mred": "\\x1b[31mred",
    "\x9b31m": "\\x9b31m",
    "\x07\x08\x7f": "\\x07\\x08\\x7f",
    "abc\u202egpj.exe": "abc\\u202egpj.exe",
    "\u2066a\u2069": "\\u2066a\\u2069",
    "a\u200eb\u200fc\u061c": "a\\u200eb\\u200fc\\u061c",
    "a\u200bb\ufeff\u2060": "a\\u200bb\\ufeff\\u2060",
    "pass\u00adword": "pass\\xadword",
    "a\u200db\u200cc": "a\\u200db\\u200cc",
    "😀\u200d\u200d😀": "😀\\u200d\\u200d😀",
    "a\ufe0f1\ufe0f": "a\\ufe0f1\\ufe0f",
    "😀\ufe0f\ufe0f": "😀\\ufe0f\\ufe0f",
    "😀\U000e0141": "😀\\U000e0141",
    "漢\U000e0101\U000e0102": "漢\\U000e0101\\U000e0102",
    "x\U000e0041\U000e007f": "x\\U000e0041\\U000e007f",
    "🏴\U000e0061\U000e007f": "🏴\\U000e0061\\U000e007f",
    "\u3164\u115f\u1160\uffa0\u2800": "\\u3164\\u115f\\u1160\\uffa0\\u2800",
    "x\u034f\u17b4y": "x\\u034f\\u17b4y",
    "a\ufff9b\ufffac\ufffb": "a\\ufff9b\\ufffac\\ufffb",
    "\u2028\u2029": "\\u2028\\u2029",
    "bad\udcffbyte\ud800": "bad\\xffbyte\\ud800",
    "\ue000\U000f0000\uffff": "\\ue000\\U000f0000\\uffff",
    "\u0338x": "\\u0338x",
    "x" + "\u0301" * 10: "x" + "\u0301" * 8 + "\\u0301" * 2,
}


@pytest.mark.parametrize("text", ["plain", *READABLE])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert display(text) == text
    assert display(f"{text}\n\t{text}", keep_newlines=True) == f"{text}\n\t{text}"


@pytest.mark.parametrize(("text", "shown"), HIDDEN.items(), ids=map(ascii, HIDDEN))
def test_what_is_hidden_is_shown(text: str, shown: str) -> None:
    assert display(text) == shown
    assert display(f"漢 {text}"[2:]) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert display("a\n\tb\r\n\u0301c", keep_newlines=True) == "a\n\tb\\r\n\\u0301c"


def acts(text: str) -> str:
    """Return the characters of a text that a terminal would obey, or show nothing of."""
    return "".join(
        char
        for char in text
        if unicodedata.category(char) in ("Cc", "Cs", "Co", "Zl", "Zp")
        or (unicodedata.category(char) == "Cn" and not "\U0001f000" <= char <= "\U0001faff")
        or "\u202a" <= char <= "\u202e"
        or "\u2060" <= char <= "\u206f"
        or char in "\u200b\u200e\u200f\u061c\u00ad\ufeff\u3164\u115f\u1160\u034f"
    )


# Mostly what stands for trouble, among letters and emoji.
TROUBLE = st.sampled_from(
    "\x1b\x00\r\x9b\u200b\u200c\u200d\u200e\u202e\u2066\ufe0f\u0301\u3164\U000e0041\U000e0101"
)
TEXTS = st.text(st.one_of(TROUBLE, st.sampled_from("a1б漢😀🏴नक्می\n "), st.characters()), max_size=30)


@given(TEXTS)
def test_nothing_acts(text: str) -> None:
    shown = display(text)
    assert acts(shown) == ""
    assert display(shown) == shown
    assert acts(display(text, keep_newlines=True).replace("\n", "").replace("\t", "")) == ""
    assert acts(display_name(text)) == ""


@given(st.lists(TEXTS, max_size=5))
def test_nothing_acts_that_comes_in_pieces(pieces: list[str]) -> None:
    stream = Stream()
    shown = "".join([*map(stream.show, pieces), stream.end()])
    assert acts(shown.replace("\n", "").replace("\t", "")) == ""


def test_an_emoji_survives_being_cut() -> None:
    stream = Stream()
    text = "👩‍💻 می‌خواهم e\u0301 1️⃣"
    assert "".join([*map(stream.show, text), stream.end()]) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pаypal.txt", "p\\u0430ypal.txt"),
        ("соре.py", "\\u0441\\u043e\\u0440\\u0435.py"),
        ("ΜΑΤΗ.md", "\\u039c\\u0391\\u03a4\\u0397.md"),
        ("𝐛in/ｓh", "\\U0001d41bin/\\uff53h"),
        ("src∕main.py", "src\\u2215main.py"),
        ("a\u2024py", "a\\u2024py"),
        ("a\u00a0b", "a\\xa0b"),
    ],
)
def test_names_that_pretend_are_told(name: str, shown: str) -> None:
    assert display_name(name) == shown


@pytest.mark.parametrize(
    "name",
    ["привет мир.txt", "москва_оса.md", "αβγ.py", "Δt.csv", "naïve.txt", "報告（最終）.docx", "日本ＡＢＣ"],
)
def test_names_of_other_languages_are_not(name: str) -> None:
    assert display_name(name) == name
