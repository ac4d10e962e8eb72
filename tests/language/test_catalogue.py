"""Texts are looked up as a whole, then by templates; what is nobody's stays."""

from pathlib import Path

import pytest

from llmasos.language.catalogue import Catalogue, read_catalogue

ENTRIES = {
    "There is no file {0}.": "没有文件 {0}。",
    "There is no file {0} in {1}.": "{1} 中没有文件 {0}。",
    "Restored {0:w}.": "已恢复 {0}。",
    "{0:n} file": "{0} 个文件",
    "{0:n} files": "{0} 个文件",
    "Stopped: {0:n} of {1:n} done.": "已停止：{1} 个中完成 {0} 个。",
    "{{}} is the input (a+b)*?": "{{}} 是输入 (a+b)*?",
    "Use '{{{{\"NAME\": {0}}}}}'.": "用 {0}。",
    "[{0}] costs $1.50 ({1}) *": "[{0}] 花 $1.50（{1}）*",
    "no kernel: {0:w}": "没有内核：{0}",
    "running": "运行中",
    "Tried:\n{0}": "已尝试：\n{0}",
    "reaches {0}": "访问 {0}",
    "Loading {0}{1}": "正在加载 {0}{1}",
}


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(ENTRIES)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("running", "运行中"),
        ("There is no file a.txt.", "没有文件 a.txt。"),
        # The one that says more of it is taken, and parts may change places.
        ("There is no file a.txt in b.", "b 中没有文件 a.txt。"),
        ("Restored 1 file.", "已恢复 1 个文件。"),
        ("Restored 12 files.", "已恢复 12 个文件。"),
        ("Stopped: 1,000 of 2,000 done.", "已停止：2,000 个中完成 1,000 个。"),
        ("{} is the input (a+b)*?", "{} 是输入 (a+b)*?"),
        ("[x] costs $1.50 (y) *", "[x] 花 $1.50（y）*"),
        ("no kernel: There is no file k.", "没有内核：没有文件 k。"),
        ("Tried:\na\nb", "已尝试：\na\nb"),
        ("    reaches a.example ", "    访问 a.example "),
        ("Loading a", "正在加载 a"),
    ],
)
def test_what_is_ours_is_translated(catalogue: Catalogue, text: str, instead: str) -> None:
    assert catalogue.translated(text) == instead


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Hello there.",
        "There is no file",
        "many files",
        "Stopped: some of 2,000 done.",
        "RUNNING",
        "There is no fileserver {0}",
        "\x1b[31mrunning",
        "b.example reaches a.example",
    ],
)
def test_foreign_text_is_not_touched(catalogue: Catalogue, text: str) -> None:
    assert catalogue.translated(text) == text


@pytest.mark.parametrize("name", ["running", "{0}", "{{", "}", "\\1", "3 files", "(", "%s", "a\nb", "中文"])
def test_a_name_stays_as_it_is_whatever_it_is_called(catalogue: Catalogue, name: str) -> None:
    assert catalogue.translated(f"There is no file {name}.") == f"没有文件 {name}。"


def test_words_within_words_end_somewhere() -> None:
    nested = Catalogue({"so: {0:w}": "如此：{0}"})
    assert nested.translated("so: " * 500 + "x").startswith("如此：如此：")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "zh.po"
    file.write_text(
        '# words\nmsgid ""\nmsgstr ""\n"Language: zh\\n"\n\n'
        'msgid "Say \\"yes\\".\\n\\\\ {0}"\nmsgstr "说“是”。\\n\\\\ {0}"\n'
        '#, fuzzy\nmsgid "empty"\nmsgstr ""\n'
    )
    assert read_catalogue(file) == {'Say "yes".\n\\ {0}': "说“是”。\n\\ {0}"}
