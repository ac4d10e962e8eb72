"""`llmasos suggest`, the scripts for shells, and completion."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from llmasos.shell import completing
from tests.shell.conftest import Fakes, Run

SHELLS = ["bash", "zsh", "fish"]


def test_a_suggestion_is_one_line_and_what_it_changes_is_told_beside_it(run: Run, fakes: Fakes) -> None:
    fakes.engine.script(["rm build"])
    done = run("suggest", "tidy up", "--shell", "zsh")
    assert (done.code, done.out) == (0, "rm build\n")
    assert done.err == "llmasos: deletes or moves build\n"


@pytest.mark.parametrize(
    ("sentence", "said"), [(" ", "no sentence"), ("x" * 2001, "more than 2,000 characters")]
)
def test_a_sentence_that_cannot_be_sent_is_told(run: Run, sentence: str, said: str) -> None:
    done = run("suggest", "--", sentence)
    assert (done.code, done.out) == (1, "") and said in done.err


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_understands(run: Run, shell: str, tmp_path: Path) -> None:
    done = run("shell-integration", shell)
    assert done.code == 0 and "@KEY@" not in done.out and "\x1b" not in done.out
    script = tmp_path / "script"
    script.write_text(done.out)
    program = shutil.which(shell)
    assert program, f"{shell} is missing; scripts/setup --test installs it"
    checked = subprocess.run([program, "-n", str(script)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("key", "shell", "written"),
    [
        ("alt-;", "bash", '"\\e;"'),
        ("alt-;", "zsh", "'\\e;'"),
        ("alt-;", "fish", "bind \\e\\; "),
        ("Alt-x", "fish", "bind \\ex "),
        ("ctrl-g", "bash", '"\\C-g"'),
        ("ctrl-g", "zsh", "'\\C-g'"),
        ("ctrl-g", "fish", "bind \\cg "),
    ],
)
def test_the_key_can_be_chosen(
    run: Run, monkeypatch: pytest.MonkeyPatch, key: str, shell: str, written: str
) -> None:
    assert written in run("shell-integration", shell, "--key", key).out
    monkeypatch.setenv("LLMASOS_SHELL_KEY", key)
    assert written in run("shell-integration", shell).out


@pytest.mark.parametrize(
    "key", ["", "x", "ctrl-c", "ctrl-m", "ctrl-1", "alt-'", 'alt-"', "alt-\\", "alt-é", "f1"]
)
def test_keys_that_are_none_or_needed_are_refused(run: Run, key: str) -> None:
    done = run("shell-integration", "bash", "--key", key)
    assert (done.code, done.out) == (1, "") and "There is no key" in done.err


def test_completion_names_what_there_is(run: Run) -> None:
    assert run("complete", "--", "llmasos shell-i").out == "shell-integration\n"
    assert "--max-steps" in run("complete", "--", "llmasos run --").out
    assert run("complete", "--", "llmasos run 'open --max").code == 1
    session = run("complete", "--shell", "fish", "diff", "")
    assert session.code == 0 and session.out.startswith("s-") and "\tread notes.txt" in session.out
    assert "qwen2.5-coder-1.5b\n" in run("complete", "--", "llmasos models show ").out
    # A word that Bash has parted at a colon is completed behind it.
    Path(".llmasos/commands/git").mkdir(parents=True)
    Path(".llmasos/commands/git/review.md").write_text("x")
    assert run("complete", "--", "llmasos commands show git:").out == "review\n"
    assert run("complete", "--shell", "zsh", "--", "commands", "show", "git:").out == "git:review\n"


def test_files_are_left_to_the_shell(run: Run) -> None:
    Path("there").mkdir()
    done = run("complete", "--", "llmasos run -C th")
    assert (done.code, done.out) == (1, "")


def answering(place: Path, reply: bytes) -> socket.socket:
    """Return a socket that answers one request as given."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(reply)

    threading.Thread(target=answer, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 500 No\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n[1, {}",
        b'HTTP/1.1 200 OK\r\n\r\n[1, {"id": 3}]',
        b"\xff\xff",
    ],
)
def test_a_kernel_that_answers_otherwise_completes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: bytes
) -> None:
    monkeypatch.setenv("LLMASOS_RUNTIME_DIR", str(tmp_path))
    with answering(tmp_path / "kernel.sock", reply):
        assert list(completing.sessions("s-")) == []


def test_what_a_shell_could_run_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMASOS_RUNTIME_DIR", str(tmp_path))
    names = ["a$(date)", "b c", "d;e", "f'g", "good:Q4/x.gguf", "\x1bx", "`h`"]
    body = json.dumps([{"name": name, "title": "\x1b]0;t\x07\u202e"} for name in names]).encode()
    with answering(tmp_path / "kernel.sock", b"HTTP/1.1 200 OK\r\n\r\n" + body):
        [(value, about)] = completing.completions(["models", "show"], "")
    assert value == "good:Q4/x.gguf" and about.isprintable()
