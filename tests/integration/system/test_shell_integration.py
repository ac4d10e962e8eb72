"""The key and the completions in bash, zsh and fish, on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.integration.system.conftest import LAUNCH, Machine

pytestmark = pytest.mark.integration

SECONDS = 90.0
KEY, ENTER, TAB, CTRL_C, CTRL_U = "\x1b;", "\r", "\t", "\x03", "\x15"
SHELLS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
SETUP = {
    "bash": "PS1='@ ' HISTCONTROL=ignorespace; bind 'set enable-bracketed-paste off'; ",
    "zsh": "PS1='@ ' PROMPT_EOL_MARK=; unsetopt prompt_cr; autoload -Uz compinit; compinit -u -D; ",
    "fish": "function fish_prompt; echo -n '@ '; end; set -g fish_greeting; "
    "set -g fish_autosuggestion_enabled 0; ",
}
INTEGRATE = {
    "bash": 'eval "$(llmasos shell-integration bash)"',
    "zsh": 'eval "$(llmasos shell-integration zsh)"',
    "fish": "llmasos shell-integration fish | source",
}


class Prompt:
    """One of the shells at its prompt."""

    def __init__(self, machine: Machine, shell: str, columns: int = 120) -> None:
        self._screen = pyte.Screen(columns, 50)
        self._stream = pyte.ByteStream(self._screen)
        env = {
            **machine.env,
            "SHELL": f"/bin/{shell}",
            "HISTFILE": "",
            "COLUMNS": str(columns),
            "LINES": "50",
        }
        self._child: pexpect.spawn[bytes] = pexpect.spawn(
            shell, SHELLS[shell], env=env, cwd=str(machine.folder), dimensions=(50, columns), timeout=SECONDS
        )
        self.type(f"{SETUP[shell]}{INTEGRATE[shell]}; clear; echo rea''dy{ENTER}")
        self.wait_for("ready")
        self.wait_for_line("")

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self._screen.display)

    def line(self) -> str:
        """Return what stands on the line of the cursor, behind the prompt."""
        return str(self._screen.display[self._screen.cursor.y]).rstrip()

    def wait_for(self, *texts: str) -> str:
        end = time.monotonic() + SECONDS
        while not all(text in self.text() for text in texts):
            assert time.monotonic() < end, f"No {texts} on the terminal:\n{self.text()}"
            self._read()
        return self.text()

    def wait_for_line(self, line: str) -> None:
        """Read until the line behind the prompt is this one."""
        end = time.monotonic() + SECONDS
        while self.line() != f"@ {line}".rstrip():
            assert time.monotonic() < end, f"No {line!r} at the prompt:\n{self.text()}"
            self._read()

    def wait_for_question(self) -> None:
        """Read until the command behind the key has connected to the kernel."""
        end = time.monotonic() + SECONDS
        while not self._questions():
            assert time.monotonic() < end, f"Nothing is asked:\n{self.text()}"
            self._read()

    def wait_for_end_of_question(self) -> None:
        end = time.monotonic() + SECONDS
        while self._questions():
            assert time.monotonic() < end, f"It is still asked:\n{self.text()}"
            self._read()

    def _questions(self) -> list[Path]:
        """Return the sockets of commands that this shell has started."""
        found: list[Path] = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, StopIteration):
                status = (process / "stat").read_text().rpartition(")")[2].split()
                if int(status[3]) == self._child.pid and b"suggest" in (process / "cmdline").read_bytes():
                    links = {file: str(file.readlink()) for file in (process / "fd").iterdir()}
                    found += [file for file, link in links.items() if link.startswith("socket:")]
        return found

    def close(self) -> None:
        self._child.close(force=True)

    def _read(self) -> None:
        if select.select([self._child.child_fd], [], [], 0.2)[0]:
            try:
                self._stream.feed(os.read(self._child.child_fd, 65536))
            except OSError:
                raise AssertionError(f"The shell ended:\n{self.text()}") from None


@pytest.fixture
def command(machine: Machine) -> None:
    """Put the command on the machine's PATH."""
    folder = machine.base / "bin"
    folder.mkdir()
    program = folder / "llmasos"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{LAUNCH}' \"$@\"\n")
    program.chmod(0o755)
    machine.env["PATH"] = f"{folder}:{machine.env['PATH']}"
    machine.env["XDG_CONFIG_HOME"] = str(machine.base / "xdg")
    machine.env["XDG_DATA_HOME"] = str(machine.base / "xdg-data")


@pytest.fixture(params=list(SHELLS))
def prompt(machine: Machine, command: None, request: pytest.FixtureRequest) -> Iterator[Prompt]:
    made = Prompt(machine, request.param)
    yield made
    made.close()


def asked(machine: Machine) -> str:
    """Return what the model was asked last."""
    return str(machine.endpoint.requests[-1]["messages"][-1]["content"])


def test_a_sentence_becomes_a_line_that_is_run_only_by_the_person(machine: Machine, prompt: Prompt) -> None:
    machine.endpoint.replies = ["```sh\ntouch made.txt\n```"]
    prompt.type("make a file for me" + KEY)
    prompt.wait_for_line("touch made.txt")
    prompt.wait_for("llmasos: changes made.txt")
    assert "Sentence: make a file for me" in asked(machine)
    assert str(machine.base) not in json.dumps(machine.endpoint.requests[-1])
    assert not (machine.folder / "made.txt").exists()
    # What is typed next goes to the end of the line.
    prompt.type(" other.txt && echo do''ne" + ENTER)
    prompt.wait_for("done")
    assert (machine.folder / "made.txt").exists() and (machine.folder / "other.txt").exists()
    assert machine.run("sessions").stdout == ""
    assert "model" in machine.run("ledger", "log").stdout


def test_the_last_command_and_its_exit_code_are_told_without_secrets(
    machine: Machine, prompt: Prompt
) -> None:
    machine.endpoint.replies = ["true", "false"]
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    prompt.type(f"sh -c 'exit 42' {token[:40]}" + ENTER)
    prompt.wait_for_line("")
    prompt.type("what was that" + KEY)
    prompt.wait_for_line("true")
    assert "Last command: sh -c 'exit 42' [redacted:" in asked(machine) and "(exit code 42)" in asked(machine)
    assert token[:40] not in json.dumps(machine.endpoint.requests)
    # The key changes nothing of that.
    prompt.type(CTRL_U + "and again" + KEY)
    prompt.wait_for_line("false")
    assert "Sentence: and again" in asked(machine) and "(exit code 42)" in asked(machine)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("one\ntwo", "several lines"),
        ("echo \u202etxt.exe", "characters that nobody sees"),
        ("``", "no command line"),
    ],
)
def test_an_error_leaves_the_line_as_it_was(machine: Machine, prompt: Prompt, reply: str, said: str) -> None:
    machine.endpoint.replies = [reply]
    prompt.type("do 'this' for $me" + KEY)
    prompt.wait_for(said)
    prompt.wait_for_line("do 'this' for $me")
    machine.endpoint.replies = ["echo we''ll"]
    prompt.type(KEY)
    prompt.wait_for_line("echo we''ll")
    prompt.type(ENTER)
    prompt.wait_for("\nwell")


SENTENCES = [
    """it's "quoted" with $HOME and `date` and \\n and !! and * #""",
    "-n --help",
    "把 é 和 文件 列出来 😀",
]
LINES = [
    """printf '%s\\n' "a  b" 'c$HOME' `echo d` \\e "$(echo f)" * '\\t' | cat -A # !x %n""",
    "echo '中文 文件名 é.txt' 😀",
    "-x $'a\\nb' [[ {1..3} ]] ^a^b ~ && ;",
]


@pytest.mark.parametrize(("sentence", "line"), list(zip(SENTENCES, LINES, strict=True)))
def test_signs_come_through_unchanged(machine: Machine, prompt: Prompt, sentence: str, line: str) -> None:
    machine.endpoint.replies = [line]
    prompt.type(sentence + KEY)
    end = time.monotonic() + SECONDS
    while not machine.endpoint.requests and time.monotonic() < end:
        prompt._read()
    assert asked(machine).endswith(f"Sentence: {sentence}")
    for typed in ("", "Z"):
        # What is typed goes to the end, also behind signs of several bytes.
        prompt.type(typed)
        # Behind wide signs, the emulated screen has empty cells.
        while prompt.line().replace(" ", "") != f"@ {line}{typed}".replace(" ", ""):
            assert time.monotonic() < end, prompt.text()
            prompt._read()


def test_completion_knows_commands_options_and_names(machine: Machine, prompt: Prompt) -> None:
    machine.endpoint.replies = ["Hello."]
    (machine.folder / ".llmasos" / "commands" / "git").mkdir(parents=True)
    (machine.folder / ".llmasos" / "commands" / "git" / "review.md").write_text("Review it.")
    _, result = machine.ask("greet")
    session = result["session"]
    for typed, completed in (
        ("llmasos shell-i", "llmasos shell-integration"),
        ("llmasos ledger ver", "llmasos ledger verify"),
        ("llmasos run --max", "llmasos run --max-steps"),
        (f"llmasos diff {session[:4]}", f"llmasos diff {session}"),
        (f"llmasos --resume {session[:4]}", f"llmasos --resume {session}"),
        ("llmasos tools show write_f", "llmasos tools show write_file"),
        ("llmasos run -C sr", "llmasos run -C src/"),
        ("llmasos commands show git:re", "llmasos commands show git:review"),
    ):
        prompt.type(typed + TAB)
        prompt.wait_for_line(completed)
        prompt.type(CTRL_U)
        prompt.wait_for_line("")


def test_completion_starts_no_kernel(machine: Machine, command: None) -> None:
    done = machine.run("complete", "--", "llmasos diff s")
    assert (done.returncode, done.stdout) == (1, "")
    assert not (Path(machine.env["LLMASOS_RUNTIME_DIR"]) / "kernel.sock").exists()


def test_another_key_can_be_chosen(machine: Machine, command: None) -> None:
    machine.env["LLMASOS_SHELL_KEY"] = "ctrl-g"
    machine.endpoint.replies = ["echo we''ll"]
    for shell in SHELLS:
        prompt = Prompt(machine, shell)
        prompt.type("say well\x07")
        prompt.wait_for_line("echo we''ll")
        prompt.close()


def test_ctrl_c_gives_up_and_keeps_the_shell(machine: Machine, prompt: Prompt) -> None:
    machine.endpoint.replies = ["echo we''ll"]
    prompt.type("first" + KEY)
    prompt.wait_for_line("echo we''ll")
    prompt.type(CTRL_U)
    prompt.wait_for_line("")
    os.kill(machine.kernel(), signal.SIGSTOP)
    try:
        prompt.type("second" + KEY)
        prompt.wait_for_question()
        prompt.type(CTRL_C)
        prompt.wait_for_end_of_question()
        prompt.wait_for_line("second")
        prompt.type(CTRL_U + "echo li''ve" + ENTER)
        prompt.wait_for("\nlive")
    finally:
        os.kill(machine.kernel(), signal.SIGCONT)
