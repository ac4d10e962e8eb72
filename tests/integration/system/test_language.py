"""The shell and the command line on a machine whose locale is Chinese."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integration.system.conftest import Machine, call
from tests.integration.system.terminal import CTRL_D, ENTER, Terminal

pytestmark = pytest.mark.integration


@pytest.fixture
def terminal(machine: Machine) -> Iterator[Terminal]:
    machine.env["LANG"] = "zh_CN.UTF-8"
    shell = Terminal(machine)
    yield shell
    shell.close()


def test_a_turn_is_shown_and_its_question_answered_in_chinese(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo 你好 > 问候.txt"), "Stopped."]
    terminal.wait_for("请说出你要做什么。")
    terminal.enter("say hello")
    terminal.wait_for("新增    问候.txt", "把这些改动写入文件夹吗？[y] 是 / [n] 否，丢弃 / Enter：稍后")
    # What the model says is its own, also where the shell would say the same.
    assert "\nStopped.\n" in terminal.text()
    terminal.type(f"是{ENTER}")
    terminal.wait_for("已把 1 个文件写入", "/undo 可以")
    assert (machine.folder / "问候.txt").read_text() == "你好\n"
    terminal.enter("/undo c-999999")
    terminal.wait_for("没有提交 c-999999。")
    terminal.enter("/nothing")
    terminal.wait_for("没有命令 /nothing。", "/help 列出所有命令。")
    terminal.enter("/help")
    terminal.wait_for("显示这个列表", "离开；内核继续运行（也可用 Ctrl-D）", "Ctrl-O 打开最近折叠的输出。")
    terminal.wait_for(" 个词元，", "账本 ")
    terminal.type(CTRL_D)
    assert terminal.wait_for_end() == 0


def test_waiting_lines_and_a_stopped_turn(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo begun; sleep 600"), "Again."]
    terminal.enter("wait")
    terminal.wait_for("│ begun", "Esc 停止")
    terminal.type(f"next{ENTER}")
    terminal.wait_for("等待： next", "Enter：现在就说 · ↑：编辑")
    terminal.type("\x1b")
    terminal.wait_for("已取消。")
    terminal.wait_for_line("> next")
    terminal.type(ENTER)
    terminal.wait_for("Again.")


def test_the_command_line_speaks_chinese_and_json_does_not(machine: Machine) -> None:
    machine.env["LANG"] = "zh_CN.UTF-8"
    machine.endpoint.replies = ["Done."]
    helped = machine.run("--help")
    assert helped.stdout.startswith("用法：") and "不用终端，执行一个请求。" in helped.stdout
    code, result = machine.ask("say something")
    assert code == 0 and result["answer"] == "Done."
    code, result = machine.ask("say something", "-C", "/nowhere")
    assert code == 1 and result["error"].startswith("There is no folder /nowhere")
    missing = machine.run("diff", "s-nothing")
    assert missing.returncode == 1
    assert missing.stderr == "没有会话 's-nothing'。\n`llmasos sessions` 列出所有会话。\n"
    status = machine.run("status")
    assert "账本     embedded：" in status.stdout and "会话     " in status.stdout
    # What the kernel writes down stays English.
    log = (machine.base / "data" / "kernel.out").read_text()
    assert "The kernel listens on" in log and "正在" not in log


@pytest.mark.parametrize("locale", ["xx_YY.UTF-8", "\udcff\udcfe", "zh", "C", ""])
def test_any_locale_is_borne(machine: Machine, locale: str) -> None:
    machine.env |= {"LANG": locale, "LC_ALL": locale}
    told = machine.run("--help")
    assert told.returncode == 0
    assert told.stdout.startswith("用法：" if locale == "zh" else "Usage: ")


def test_the_settings_file_has_the_shell_change_its_language(machine: Machine) -> None:
    (machine.base / "config").mkdir()
    (machine.base / "config" / "config.toml").write_text('[shell]\nlanguage = "zh"\n')
    machine.endpoint.replies = ["Done."]
    shell = Terminal(machine)
    try:
        shell.wait_for("账本 ")
        shell.enter("/nothing")
        shell.wait_for("没有命令 /nothing。")
    finally:
        shell.close()
    machine.env["LLMASOS_SHELL__LANGUAGE"] = "en"
    assert json.loads(machine.run("run", "hello", "--json").stdout)["status"] == "done"
    assert "There is no session 'x'." in machine.run("diff", "x").stderr
