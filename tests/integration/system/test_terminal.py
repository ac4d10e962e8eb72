"""The interactive shell, typed at through a real pseudo-terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, SupportsIndex

import pytest

from tests.integration.system.conftest import Machine, call
from tests.integration.system.terminal import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    CTRL_J,
    ENTER,
    PROMPT,
    SECONDS,
    UP,
    Terminal,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def terminal(machine: Machine) -> Iterator[Terminal]:
    shell = Terminal(machine)
    yield shell
    shell.close()


def test_a_turn_shows_its_diff_and_writes_after_yes(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [
        call("write_file", path="hello.txt", content="good day\n"),
        "First line.\nSecond line.",
    ]
    terminal.enter("write a greeting")
    terminal.wait_for("● write_file", "✓ write_file", "First line.", "Second line.", "+good day")
    terminal.wait_for_line("Write these changes to the folder?")
    assert not (machine.folder / "hello.txt").exists()
    terminal.type("y\r")
    terminal.wait_for("Wrote 1 file")
    assert (machine.folder / "hello.txt").read_text() == "good day\n"
    terminal.enter("/undo")
    terminal.wait_for("Restored 1 file.")
    assert not (machine.folder / "hello.txt").exists()
    terminal.enter("/quit")
    assert terminal.wait_for_end() == 0
    assert machine.run("status").returncode == 0


def test_the_commands_say_what_there_is(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [call("write_file", path="hello.txt", content="good day\n"), "Made it."]
    terminal.enter("write a greeting")
    terminal.wait_for_line("Write these changes to the folder?")
    terminal.type("y\r")
    terminal.wait_for("Wrote 1 file")
    for line, *said in (
        ("/help", "/commit [--merge] [PATH[:HUNKS]…]", "/quit ", "Esc or Ctrl-C stops what runs."),
        ("/diff", "Nothing has changed."),
        ("/sessions", " 1 turn  write a greeting", "Go on with one by /sessions ID."),
        ("/tools", "run_shell", "write_file"),
        ("/model", machine.endpoint.url, "Choose one with /model NAME."),
        ("/model nothing-of-the-kind", "lists no model 'nothing-of-the-kind'", "It lists scripted."),
        ("/model scripted", "The next requests go to scripted."),
        ("/nonsense", "There is no command /nonsense.", "/help lists them."),
        ("/commit 'open", "Quote names with spaces."),
        ("/sessions s-none", "s-none"),
        ("/undo", "Restored 1 file."),
        ("/redo", "1 file."),
        ("/history", "c-000001", "hello.txt"),
        ("/jobs", "Nothing runs in the background."),
        ("/hosts", "Code may reach no host."),
        ("/hosts example.org", "Code may reach: example.org."),
        ("/grant .env", "Code may see: .env."),
        ("/state save before", "are kept as before"),
        ("/state restore before", "are those of before again"),
        ("/state restore after", "after"),
        ("/merged hello.txt", "hello.txt is not among the changes."),
        ("/dry-run", "Say what is to be tried."),
        ("/ledger", "on the chain"),
        ("/ledger status", "contract", "backlog"),
        ("/ledger log 5", "undo", "redo"),
        ("/ledger show 1", "#1 plugin", "ledger prove 1"),
        ("/ledger burn", "does not know that"),
        ("/explain", "write a greeting", "ledger prove a-", "not evidence"),
        ("/explain a-none", "There is no action", "The newest turns are t-"),
        ("/explain one two", "takes one action or turn"),
    ):
        terminal.enter(line)
        terminal.wait_for(f"> {line}", *said)
    terminal.wait_for_line(PROMPT)


def test_changes_left_for_later_are_written_or_dropped(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [
        call("write_file", path="one.txt", content="one\n"),
        "Made one.",
        call("write_file", path="two.txt", content="two\n"),
        "Made two.",
    ]
    terminal.enter("make one")
    terminal.wait_for_line("Write these changes to the folder?")
    terminal.type(ENTER)
    terminal.wait_for("Kept for later: /commit writes the changes")
    terminal.enter("/diff")
    terminal.wait_for("+one", count=2)
    assert not (machine.folder / "one.txt").exists()
    terminal.enter("/commit")
    terminal.wait_for("Wrote 1 file")
    assert (machine.folder / "one.txt").read_text() == "one\n"

    terminal.enter("make two")
    terminal.wait_for_line("Write these changes to the folder?")
    terminal.type(CTRL_C)
    terminal.enter("/discard")
    terminal.wait_for("Dropped.")
    terminal.enter("/diff")
    terminal.wait_for("Nothing has changed.")
    assert not (machine.folder / "two.txt").exists()


def test_a_hook_is_written_only_with_approval(machine: Machine, terminal: Terminal) -> None:
    hook = call("write_file", path=".git/hooks/pre-commit", content="#!/bin/sh\ntrue\n")
    machine.endpoint.replies = [hook, "Not allowed.", hook, "Made the hook."]
    terminal.enter("make a hook")
    terminal.wait_for("write_file asks for your approval", ".git/hooks/pre-commit", "#!/bin/sh\n    true")
    terminal.wait_for_line("Allow it?")
    terminal.type("n\r")
    terminal.wait_for("⊘ write_file", "Not allowed.")
    terminal.enter("make a hook again")
    terminal.wait_for_line("Allow it?")
    terminal.type("y\r")
    terminal.wait_for("✓ write_file", "Made the hook.")
    terminal.wait_for_line("Write these changes to the folder?")
    warning = "Runs by itself, outside of the sandbox, once it is written: .git/hooks/pre-commit (git)"
    assert terminal.text().count(warning) == 1
    terminal.type("y\r")
    terminal.wait_for("Wrote ")
    assert (machine.folder / ".git/hooks/pre-commit").read_text() == "#!/bin/sh\ntrue\n"


def test_ctrl_c_cancels_a_turn_and_clears_a_line(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo begun; sleep 600"), "Again."]
    terminal.enter("wait")
    terminal.wait_for("│ begun")
    terminal.type(CTRL_C)
    terminal.wait_for("■ run_shell")
    terminal.wait_for_line(PROMPT)
    assert terminal.text().count("Cancelled.") == 1
    terminal.type("never mind")
    terminal.wait_for_line("> never mind")
    terminal.type(CTRL_C)
    terminal.enter("go on")
    terminal.wait_for("Again.")
    assert machine.endpoint.requests[-1]["messages"][-1]["content"] == "go on"
    terminal.wait_for_line(PROMPT)
    terminal.type(CTRL_D)
    assert terminal.wait_for_end() == 0


def test_ctrl_c_still_cancels_after_an_approval(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [
        call("write_file", path=".git/hooks/pre-commit", content="true\n"),
        call("run_shell", command="echo begun; sleep 600"),
        "Again.",
    ]
    terminal.enter("make a hook and wait")
    terminal.wait_for_line("Allow it?")
    terminal.type("y\r")
    terminal.wait_for("│ begun")
    terminal.type(CTRL_C)
    terminal.wait_for("■ run_shell")
    terminal.wait_for_line("Write these changes to the folder?")
    terminal.type("n\r")
    terminal.enter("go on")
    terminal.wait_for("Again.")


def test_several_lines_and_the_history(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = ["Heard."]
    terminal.wait_for_line(PROMPT)
    terminal.type(f"one{CTRL_J}two{ALT_ENTER}three{ENTER}")
    terminal.wait_for("Heard.")
    assert machine.endpoint.requests[-1]["messages"][-1]["content"] == "one\ntwo\nthree"
    terminal.enter("the last request")
    terminal.wait_for("Heard.", count=2)
    terminal.enter("/quit")
    assert terminal.wait_for_end() == 0

    again = Terminal(machine)
    try:
        again.wait_for_line(PROMPT)
        again.type(UP)
        again.wait_for_line("> /quit")
        again.type(UP)
        again.wait_for_line("> the last request")
        again.type(ENTER)
        again.wait_for("Heard.")
        assert machine.endpoint.requests[-1]["messages"][-1]["content"] == "the last request"
    finally:
        again.close()


def test_a_killed_kernel_is_told_and_comes_back(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo begun; sleep 600"), "Here again."]
    terminal.enter("wait")
    terminal.wait_for("│ begun")
    machine.kill_kernel()
    terminal.wait_for("The kernel has gone away.", "the session resumes where it was")
    terminal.enter("are you there?")
    terminal.wait_for("Here again.")
    terminal.enter("/sessions")
    terminal.wait_for("  2 turns", "Go on with one by")


def test_a_narrow_terminal(machine: Machine) -> None:
    words = " ".join(f"word{n}" for n in range(40))
    machine.endpoint.replies = [
        call("write_file", path="long-name-of-a-file.txt", content=f"{words}\nshort\n"),
        f"Wrote this: {words}.",
    ]
    terminal = Terminal(machine, columns=40, rows=30)
    try:
        terminal.enter(f"write {words}")
        terminal.wait_for("Write these changes")
        assert f"Wrote this: {words}." in " ".join(row.strip() for row in terminal.rows())
        assert f"+{words}" in "".join(row.ljust(40) for row in terminal.rows())
        terminal.type("y\r")
        terminal.wait_for("Wrote 1 file")
        terminal.wait_for_line(PROMPT)
        toolbar = terminal.wait_for("folder · ").rstrip().rsplit("\n", 1)[-1]
        assert toolbar.startswith("folder · ") and len(toolbar) == 39 and toolbar.endswith("…")
        assert (machine.folder / "long-name-of-a-file.txt").read_text() == f"{words}\nshort\n"
    finally:
        terminal.close()


def test_escapes_of_the_model_and_of_names_are_shown(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [
        call("write_file", path="a\x1b[31mred.txt", content="\x1b[2J\x1b]0;title\x07\n"),
        "\x1b[31mRed\x1b[0m text.",
    ]
    terminal.enter("be red")
    terminal.wait_for_line("Allow it?")
    terminal.type("y\r")
    terminal.wait_for("\\x1b[31mRed\\x1b[0m text.", "a\\x1b[31mred.txt", "+\\x1b[2J\\x1b]0;title\\x07")
    terminal.wait_for_line("Write these changes to the folder?")
    assert b"\x1b[31mRed" not in terminal.raw and b"\x1b]0;title" not in terminal.raw


class _Held(list[Any]):
    """Replies that the endpoint gives when `go` is set."""

    def __init__(self, replies: list[Any]) -> None:
        super().__init__(replies)
        self.asked = threading.Event()
        self.go = threading.Event()

    def pop(self, index: SupportsIndex = -1) -> Any:
        self.asked.set()
        self.go.wait(SECONDS)
        return super().pop(index)


def test_an_answer_typed_before_the_question_does_not_count(machine: Machine, terminal: Terminal) -> None:
    machine.endpoint.replies = [
        call("write_file", path=".git/hooks/pre-commit", content="true\n"),
        "Ended.",
    ]
    replies = machine.endpoint.replies = _Held(machine.endpoint.replies)
    terminal.enter("make a hook")
    assert replies.asked.wait(SECONDS)
    terminal.type("y\r")
    terminal.wait_for("waits: y")
    terminal.type("ye")
    replies.go.set()
    terminal.wait_for_line("Allow it?")
    assert terminal.line().endswith("and say why")
    terminal.type(ENTER)
    terminal.wait_for("⊘ write_file", "Ended.", "> y\n")
    terminal.wait_for_line("> ye")


def test_a_kernel_that_cannot_start_is_told(machine: Machine) -> None:
    env = {**machine.env, "LLMASOS_SANDBOX": "docker", "DOCKER_HOST": "unix:///none.sock"}
    terminal = Terminal(replace(machine, env=env))
    try:
        terminal.enter("hello")
        terminal.wait_for("Docker does not answer.", "Start it, or set LLMASOS_SANDBOX=bubblewrap.")
        terminal.enter("/quit")
        assert terminal.wait_for_end() == 0
        assert "Traceback" not in terminal.text() and "never retrieved" not in terminal.text()
    finally:
        terminal.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_fits_a_narrow_terminal(machine: Machine, language: str) -> None:
    machine.env["LLMASOS_SHELL__LANGUAGE"] = language
    terminal = Terminal(machine, columns=40, rows=60)
    try:
        # A kernel that is only being started could not be stopped when the test ends.
        terminal.wait_for("ledger" if language == "en" else "账本")
        terminal.enter("/help")
        terminal.wait_for("Ctrl-O")
        rows = terminal.rows()
        shown = rows[rows.index("> /help") + 1 :]
        # No word goes on in the next row: what a row begins with is set in.
        assert all(row.startswith("  ") for row in shown[: shown.index(PROMPT.strip())])
    finally:
        terminal.close()


def test_settings_that_are_wrong_or_have_no_effect_are_named(machine: Machine, terminal: Terminal) -> None:
    terminal.wait_for("ledger")
    assert "settings" not in terminal.text() and "setting." not in terminal.text()
    machine.env |= {"LLMASOS_SHELL_KEYS": "vi", "LLMASOS_POLICY__ACCESS": "read-only"}
    other = Terminal(machine, columns=200)
    try:
        other.wait_for("LLMASOS_SHELL_KEYS sets nothing", "Did you mean LLMASOS_SHELL__KEYS?")
        other.wait_for("other settings than are given here: policy.access. `llmasos stop` ends it")
    finally:
        other.close()
    machine.env["LLMASOS_SHELL__KEYS"] = "nonsense"
    wrong = Terminal(machine)
    try:
        assert wrong.wait_for_end() == 2
        assert "'shell.keys' cannot be used: Input should be 'emacs' or 'vi'" in wrong.text()
        assert "LLMASOS_SHELL__KEYS" in wrong.text()
    finally:
        wrong.close()
        del machine.env["LLMASOS_SHELL__KEYS"]
