"""Which language is spoken is for the environment to say."""

import io
import os
import sys

import pytest

from llmasos.language import chosen_language, translated, use_language

SETTING = "LLMASOS_SHELL__LANGUAGE"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh-Hans"}, "zh"),
        ({"LANG": "ZH_cn"}, "zh"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "zhuang"}, "en"),
        ({"LANG": "?\udcff_.@"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({SETTING: "zh"}, "zh"),
        ({SETTING: " ZH "}, "zh"),
        ({SETTING: "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({SETTING: "auto", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({SETTING: "klingon", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({SETTING: "klingon"}, "en"),
    ],
)
def test_the_language_of_an_environment(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANG")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen_language() == language


def test_a_terminal_that_cannot_show_it_is_spoken_to_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert chosen_language() == "en"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="gb18030"))
    assert chosen_language() == "zh"


def test_a_setting_counts_where_the_environment_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    use_language("auto")
    assert chosen_language() == "en"
    use_language("zh")
    assert chosen_language() == "zh"
    use_language("en")
    assert chosen_language() == "zh"


def test_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert translated("There is no session s-1.") == "There is no session s-1."
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert translated("There is no session s-1.") == "没有会话 s-1。"
    assert translated("What a model says.") == "What a model says."
