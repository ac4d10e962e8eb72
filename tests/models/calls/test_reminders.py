"""What a small model is told beside a result, on requests of several languages."""

from __future__ import annotations

import pytest

from llmasos.models.calls.reminders import Scripts, language_of, result_text, scripts_of, steps_of


@pytest.mark.parametrize(
    ("request_", "found", "scripts"),
    [
        ("how many days of holiday do I get?", "28 days", "latin"),
        ("how many days of holiday do I get?", "28 天", "begins latin"),
        ("сколько дней отпуска?", "28 days", "latin"),
        ("how do you write sushi in hiragana?", "", "begins latin"),
        ("假期有多少天？", "28 days", "any"),
        ("what does 退货.txt say?", "", "any"),
        ("translate 'good night' to Chinese", "", "any"),
        ("say hello in five languages", "", "any"),
        ("comment dit-on « bonjour » en japonais ?", "", "any"),
    ],
)
def test_an_answer_keeps_to_scripts_for_which_there_is_a_reason(
    request_: str, found: str, scripts: Scripts
) -> None:
    assert scripts_of(request_, found) == scripts


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        ("what is in a.md?", 1),
        ("compare a.csv and b.csv", 1),
        ("add a function to calc.py and test it", 1),
        ("translate a.md into French and check it", 1),
        ("read a.md and write a summary of it into b.md", 2),
        ("read a.md, then sort its lines and save them as b.md", 3),
        ("lies a.md und schreibe danach b.md", 2),
        ("读取 a.md，然后把第一行写入 b.md", 2),
        ("总结 a.md 并保存到 b.md", 2),
        ("a.md 里有没有并列的标题？", 1),
        ("a.mdを読んで、その後b.mdに保存して", 2),
    ],
)
def test_steps_are_counted_by_the_words_between_them(request_: str, steps: int) -> None:
    assert steps_of(request_) == steps


@pytest.mark.parametrize(
    ("request_", "language", "note"),
    [
        ("hello", "en", "Answer in the language of the request"),
        ("你好", "zh", "请用中文回答"),
        ("こんにちは、世界", "ja", "日本語で答えて"),
    ],
)
def test_the_word_beside_a_result_is_in_the_language_of_the_request(
    request_: str, language: str, note: str
) -> None:
    assert language_of(request_) == language
    assert note in result_text("t", "1", request_)
    assert request_ not in result_text("t", "1", request_)
    assert request_ in result_text("t", "1", request_, more=True)


def test_a_long_request_is_repeated_in_short() -> None:
    text = result_text("t", "1", "read a.md\n" + "x" * 5000 + "\nthen write b.md", more=True)
    assert len(text) < 700
    assert "read a.md" in text and "then write b.md" in text
