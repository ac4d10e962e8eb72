"""Nothing that a kernel says acts on the terminal, whatever command asked for it."""

from __future__ import annotations

import asyncio
import json
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmasos import client
from llmasos.errors import LLMasOSError
from llmasos.shell import cli, headless, models, repl
from llmasos.shell.commands import COMMANDS
from llmasos.shell.federations import COMMANDS as FEDERATIONS
from llmasos.shell.output import say_crash
from llmasos.shell.screen import Line
from llmasos.shell.screen.fake import FakeScreen
from tests.shell.poison import MARK, POISON, PoisonedClient, acting

# They start programs of their own, or write a whole document, and have tests of their own.
ELSEWHERE = (
    *(
        "serve",
        "doctor",
        "export",
        "sandbox ",
        "cluster ",
        "ledger check",
        "map",
        "policy ",
        "tools new",
        "tools test",
        "mcp",
        "knowledge serve",
        "knowledge join",
    ),
    *(f"federated {command.__name__}" for command in FEDERATIONS),
)


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, groups that do something by themselves, too."""
    for name, command in group.commands.items():
        whole = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, whole)
        if not whole.startswith(ELSEWHERE) and (
            not hasattr(command, "commands") or command.invoke_without_command
        ):
            yield whole, command


# Into a pipe, they write a file as it is.
FILES = ["merged x x", "ledger export -o -", "ledger prove x -o -", "ledger export --json -o -"]
ALL = dict(commands(cli.command_line()))
JSON = [name for name, command in ALL.items() if any("--json" in one.opts for one in command.params)]
ANY = "2026-11-24"  # a time, a name and a text


def words(command: Any, *, full: bool) -> list[str]:
    """Return what a command needs to be given, or more."""
    given: list[str] = []
    for one in command.params:
        if one.param_type_name == "argument":
            given += [ANY] if one.required or full else []
        elif one.required or (full and one.name in ("yes", "reason", "session", "force")):
            given += [one.opts[-1]] if one.is_flag else [one.opts[-1], ANY]
    return given


@pytest.fixture(autouse=True)
def poisoned_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMASOS_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("LLMASOS_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # What a command reads, such as a document that is added.
    (tmp_path / ANY).write_text("text")
    commands = tmp_path / ".llmasos" / "commands"
    commands.mkdir(parents=True)
    text = POISON.replace("\r\n", " ")
    (commands / f"{ANY}.md").write_text(f"---\ndescription: {text}\nmodel: {text}\n---\n{text}")
    monkeypatch.setattr(PoisonedClient, "asked", [])
    monkeypatch.setattr(models, "_REFRESH_SECONDS", 0)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    for place in (client, headless):
        monkeypatch.setattr(place, "AsyncClient", PoisonedClient)


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[str, str]:
    monkeypatch.setattr(sys, "argv", ["llmasos", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    return capsys.readouterr()


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make both outputs a terminal's, with colours, bars and lines that are written over."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)


LINES = sorted({" ".join([name, *words(ALL[name], full=full)]) for name in ALL for full in (False, True)})


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("line", LINES)
def test_no_command_prints_what_acts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, terminal: bool
) -> None:
    if terminal:
        on_terminal(monkeypatch)
    out, err = printed(monkeypatch, capsys, *line.split())
    if not line.startswith("merged") or terminal:
        assert acting(out + err) == ""


@pytest.mark.parametrize("line", FILES)
def test_files_are_exact_in_a_pipe_and_do_not_act_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert "\u202e" in printed(monkeypatch, capsys, *line.split())[0]
    on_terminal(monkeypatch)
    assert acting("".join(printed(monkeypatch, capsys, *line.split()))) == ""


def values(text: str) -> list[Any]:
    """Return the JSON values that a text consists of."""
    found: list[Any] = []
    rest = text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found, rest = [*found, value], rest[end:].lstrip()
    return found


@pytest.mark.parametrize("name", JSON)
def test_json_is_exact_and_does_not_act(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out, err = printed(monkeypatch, capsys, *name.split(), "--json", *words(ALL[name], full=False))
    assert acting(out + err) == ""
    # Two write files, and one asks a model more often than is waited for here.
    if name not in ("ledger export", "ledger prove", "audit fairness"):
        assert MARK in str(values(out))


SLASHES = [
    *COMMANDS,
    *("/diff x", "/commit x", "/merged x", "/resolve x", "/dry-run x", "/jobs x", "/jobs stop x", "/hosts x"),
    *("/grant x", "/state save x", "/state restore x", "/sessions x", "/model x", "/ledger status"),
    *("/ledger log", "/ledger show x", "/nothing", "say something"),
]


@pytest.mark.parametrize("line", SLASHES)
def test_no_slash_command_prints_what_acts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str
) -> None:
    async def carried_out() -> str:
        screen = FakeScreen(answers="yyn")
        shell = repl.Shell(tmp_path, repl.SessionOptions(), screen)
        with screen.open():
            assert await shell._carry_out(Line(line))
        assert not [question for question in screen.questions if acting(question)]
        return screen.status

    status = asyncio.run(carried_out())
    out, err = capsys.readouterr()
    assert acting(status + "\n" + out + err) == ""


def test_the_poison_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = printed(monkeypatch, capsys, "sessions")
    assert MARK in out and acting(POISON)


def test_errors_do_not_act(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise LLMasOSError(POISON, hint=POISON)

    monkeypatch.setattr(PoisonedClient, "request", refuse)
    _, err = printed(monkeypatch, capsys, "sessions")
    assert MARK in err and acting(err) == ""


def test_a_crash_does_not_act(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(POISON.replace("\n", " "))
    except ValueError as error:
        say_crash(ValueError, error, error.__traceback__)
    err = capsys.readouterr().err
    assert "Traceback" in err and MARK in err and acting(err) == ""
