"""The shell and the command line in Chinese."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from llmasos.decisions import Decision, Flip
from llmasos.errors import LLMasOSError
from llmasos.events import Notice, Progress, TurnFinished
from llmasos.language import translated
from llmasos.shell import cli
from llmasos.shell.approval import flip_lines
from llmasos.shell.ask import confirmed
from llmasos.shell.bars import Bar
from llmasos.shell.commands import COMMANDS
from llmasos.shell.output import say, say_json, say_text
from llmasos.shell.render import Renderer, make_console, print_error
from llmasos.shell.repl import SessionOptions, Shell
from llmasos.shell.screen.fake import FakeScreen
from llmasos.shell.words import english_answer, pad, wrapped
from tests.shell.test_help import helps


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


def run(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["llmasos", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    written = capsys.readouterr()
    return f"{ended.value.code}\n{written.out}{written.err}"


def english() -> Iterator[str]:
    """Yield what the options and arguments of all commands say in English."""
    waiting = [cli.command_line()]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        yield from (text for one in command.params if (text := getattr(one, "help", None)))


@pytest.mark.usefixtures("chinese")
def test_help_is_in_chinese_to_its_last_line() -> None:
    said = set(english())
    assert len(said) > 150
    for words, text in helps():
        lines = text.splitlines()
        assert lines[0].startswith("用法："), words
        assert max(map(cell_len, lines)) <= 78, words
        told = " ".join(text.split())
        assert not [one for one in said if one in told], words


def test_a_long_line_is_broken_between_words_and_what_follows_is_set_in() -> None:
    assert wrapped("  /open [N]    show all of an output", 20, indent=6) == [
        "  /open [N]    show",
        "      all of an",
        "      output",
    ]
    assert wrapped("    answer: 篱笆是绿色的，后来是蓝色的。end", 20, indent=6) == [
        "    answer: 篱笆是绿",
        "      色的，后来是蓝",
        "      色的。end",
    ]
    assert wrapped("short", 20) == ["short"] and wrapped("", 20) == [""]
    assert wrapped(f"a {'x' * 30} b", 20, indent=2) == ["a", "  " + "x" * 30, "  b"]


@pytest.mark.usefixtures("chinese")
def test_what_an_option_does_is_wrapped_between_any_signs() -> None:
    app = cli.command_line()
    shown = CliRunner().invoke(app, ["run", "--help"], terminal_width=50).output
    lines = shown.splitlines()
    assert "参数：" in lines and "选项：" in lines
    assert max(map(cell_len, lines)) <= 50
    assert not [line for line in lines if line.strip()[:1] in ("，", "。", "；", "、")]
    together = "".join(shown.split())
    assert "[默认：.]" in together and "[必填]" in together


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "错误：没有命令 'nothing'。"),
        (["diff"], 2, "错误：缺少参数 'SESSION'。"),
        (["diff", "--odd"], 2, "错误：没有选项 '--odd'。"),
        (["run", "x", "--max-steps", "many"], 2, "'many' 不是有效的整数范围。"),
        (["run", "x", "--dry-run", "--yes"], 2, "--dry-run 的值无效：不能与 --yes 或 --in-place 同用。"),
        (["--access", "open"], 1, "shell 需要终端。\n在脚本中使用"),
        (["mcp", "-C", "/nowhere/at/all"], 1, "没有文件夹 /nowhere/at/all。\n新建它，或用 -C 指定另一个。"),
    ],
)
def test_what_is_wrong_with_a_command_line(
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = run(arguments, capsys, monkeypatch)
    assert told.startswith(f"{code}\n") and said in told


def test_in_english_click_has_the_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run(["diff"], capsys, monkeypatch)
    assert told.startswith("2\nUsage: ")
    assert "Try '" in told and told.endswith("\n\nError: Missing argument 'SESSION'.\n")


@pytest.mark.usefixtures("chinese")
def test_help_of_commands_keeps_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    import anyio

    shell = Shell(Path(), SessionOptions(), FakeScreen())
    anyio.run(COMMANDS["/help"].run, shell, "")
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS.values():
        assert translated(command.summary) != command.summary
        assert f"  {command.usage:<42} {translated(command.summary)}" in lines
    assert any(line.startswith("  Enter 发送。") for line in lines)


@pytest.mark.usefixtures("chinese")
def test_errors_notices_and_ends_of_turns(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(LLMasOSError("There is no session s-1.", hint="`llmasos sessions` lists them."))
    assert capsys.readouterr().err == "没有会话 s-1。\n`llmasos sessions` 列出所有会话。\n"
    renderer = Renderer(make_console())
    renderer.show(Notice(text="The folder has changed since the last turn; Python starts afresh."))
    renderer.show(Notice(text="What somebody else says."))
    renderer.show(TurnFinished(status="cancelled", answer="", error="Cancelled."))
    written = capsys.readouterr().out
    assert "文件夹自上一轮以来有改动；Python 重新启动。" in written
    assert "What somebody else says." in written
    assert "已取消。" in written and "用时 0.0 秒" in written


@pytest.mark.usefixtures("chinese")
def test_what_models_files_and_json_say_stays(capsys: pytest.CaptureFixture[str]) -> None:
    say_text("Stopped.")
    say_json('{"error": "Stopped."}')
    assert capsys.readouterr().out == 'Stopped.\n{"error": "Stopped."}\n'
    say("Stopped.")
    assert capsys.readouterr().out == "已停止。\n"


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(("answer", "agreed"), [("是", True), ("y", True), ("否", False), ("", False)])
def test_a_question_is_answered_in_either_language(
    answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def reply(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", reply)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    if agreed:
        confirmed("Enable it?", False)
    else:
        with pytest.raises(LLMasOSError, match="Nothing was done"):
            confirmed("Enable it?", False)
    assert asked == ["启用吗？ [y/N] "]


@pytest.mark.anyio
@pytest.mark.usefixtures("chinese")
async def test_the_shell_asks_in_chinese() -> None:
    screen = FakeScreen(answers=["是", "否", "总是", "编辑", "e", "是的，请"])
    shell = Shell(Path(), SessionOptions(), screen)
    found = [await shell.ask("Merge both versions of these files? [y/N] ") for _ in range(5)]
    assert found == ["y", "n", "a", "e", "e"]
    assert set(screen.questions) == {"合并这些文件的两个版本吗？[y/N] "}
    assert await shell.ask("Tell the model why: ", lower=False) == "是的，请"


@pytest.mark.usefixtures("chinese")
def test_a_bar_is_no_wider_than_its_line() -> None:
    bar = Bar(clock=iter(range(0, 100, 10)).__next__)
    bar.update(Progress(what="Loading a-model", done=0, total=4e9, unit="bytes"))
    bar.update(Progress(what="Loading a-model", done=1e9, total=4e9, unit="bytes"))
    line = bar.line(80)
    assert line.startswith("正在加载 a") and "1,000 / 4,000 MB" in line and "剩余" in line
    assert cell_len(line) <= 80


@pytest.mark.usefixtures("chinese")
def test_what_would_have_decided_otherwise() -> None:
    decision = Decision(
        verdict="ask",
        rules=("r",),
        reason="",
        policy="p",
        flips=(Flip(verdict="allow", facts={"hosts": [], "effects": ["reads", "writes"]}),),
    )
    assert flip_lines(decision) == ["如果它不访问主机 并且 它只做 读取, 写文件，则会允许。"]


def test_words_are_padded_by_cells() -> None:
    assert pad("会话", 6) == "会话  " and pad("会话", 6, right=True) == "  会话"
    assert pad("session", 3) == "session"


@pytest.mark.parametrize(
    ("answer", "meant"), [("Yes ", "yes"), ("是", "y"), ("否", "n"), ("不是", "不是"), ("", "")]
)
def test_short_answers(answer: str, meant: str) -> None:
    assert english_answer(answer) == meant


def test_english_reads_no_catalogue() -> None:
    code = (
        "import sys, llmasos.shell.cli, llmasos.language as l; l.translated('Stopped.');"
        "print('llmasos.language.catalogue' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
