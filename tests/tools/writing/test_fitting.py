"""Drafts are made to fit by taking away or adding whole sentences."""

from __future__ import annotations

import pytest

from llmasos.tools.writing.fitting import asked_words, extended, shortened, tidied

LETTER = "Dear Ann,\n\nOne here. Two are here. Three are here now.\n\nKind regards,\nBen"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("a letter of 150 words", 150),
        ("a 1,200-word essay", 1200),
        ("写一封约 200 字的信", 200),
        ("写300个字", 300),
        ("un texte de 80 mots", 80),
        ("ein Text mit 90 Wörtern", 90),
        ("ein Text mit 1.500 Wörtern", 1500),
        ("ten words on 3 topics", 0),
        ("99999 words", 10_000),
        ("9" * 5000 + " words", 0),
        ("the 50 words every traveller should know", 0),
        ("the 5 words every traveller should know", 0),
        ("our 3-word motto", 0),
        ("介绍 64 字节的缓存", 0),
        ("写 40 字母表", 0),
    ],
)
def test_the_length_is_read_from_the_task(task: str, words: int) -> None:
    assert asked_words(task) == words


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "We thank you for all your help. So it was. We thank you for  all your help. So it was.",
            "We thank you for all your help. So it was. So it was.",
        ),
        (
            "感谢您一直以来对我们公司的支持和信任。再见。感谢您一直以来对我们公司的支持和信任。",
            "感谢您一直以来对我们公司的支持和信任。再见。",
        ),
        ("It is done. And now we", "It is done."),
        (
            "We thank you for all your help.\n\nWe thank you for all your help. So it was.",
            "We thank you for all your help.\n\nSo it was.",
        ),
        ("只有一句", "只有一句"),
        (
            "Rain on the roof!\nRain in the yard!\n\nRain, rain",
            "Rain on the roof!\nRain in the yard!\n\nRain, rain",
        ),
        (
            "One two three four five six.\nLa la la, we sing it all day.\n\nLa la la, we sing it all day.",
            "One two three four five six.\nLa la la, we sing it all day.\n\nLa la la, we sing it all day.",
        ),
        (
            "```\nclass A:\n    x = 1\n\n    def f(self):\n        x",
            "```\nclass A:\n    x = 1\n\n    def f(self):\n        x",
        ),
        (
            "Dear Team,\n\nLunch is on Friday.\n\nDear Team,\n\nBest regards,\n\n[Your Name]\n\n[Your Name]",
            "Dear Team,\n\nLunch is on Friday.\n\nBest regards,\n\n[Your Name]",
        ),
        ("尊敬的各位：\n\n你好。\n\n尊敬的各位：\n\n你好。", "尊敬的各位：\n\n你好。\n\n你好。"),
        ("* * *\n\nNever!\n\n* * *\n\nNever!", "* * *\n\nNever!\n\n* * *\n\nNever!"),
        ("- a\n\n  - b", "- a\n\n  - b"),
        ("She said “no.” Then she left.", "She said “no.” Then she left."),
        ("", ""),
    ],
)
def test_what_comes_again_or_was_cut_off_goes(text: str, made: str) -> None:
    assert tidied(text) == made


def test_a_text_is_shortened_before_its_closing() -> None:
    assert shortened(LETTER, 100) == LETTER
    assert shortened(LETTER, 9) == "Dear Ann,\n\nOne here. Two are here.\n\nKind regards,\nBen"
    assert shortened(LETTER, 1) == "Dear Ann,\n\nKind regards,\nBen"
    assert shortened("一二三。四五六。", 4) == "一二三。"


def test_a_text_is_extended_before_its_closing() -> None:
    assert extended(LETTER, "Four.\n\nFive.").split("\n\n")[2:] == ["Four.", "Five.", "Kind regards,\nBen"]
    assert extended("One.", "Two.") == "One.\n\nTwo."
    assert extended("我们开会。\n\n此致\n\n敬礼", "请带材料。") == "我们开会。\n\n请带材料。\n\n此致\n\n敬礼"
