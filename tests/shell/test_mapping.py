"""`llmasos map`: what it asks the kernel for, what it prints and keeps, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from llmasos import client
from llmasos.api import ActionResult, ToolCall, TurnResult
from llmasos.events import ActionOutput, Event, Progress, Usage
from llmasos.shell import cli
from tests.shell.poison import POISON, acting

USAGE = Usage()


def line(item: str, status: str = "ok", output: str = "fine\n") -> str:
    return json.dumps({"item": item, "status": status, "output": output}) + "\n"


class Kernel:
    """A client and its session, which tell what they were told to."""

    asked: ClassVar[list[tuple[str, ToolCall, dict[str, Any]]]] = []
    lines: ClassVar[Sequence[str]] = ()
    status: ClassVar[Literal["ok", "failed"]] = "ok"

    def __init__(self, **_: Any) -> None: ...

    async def __aenter__(self) -> Kernel:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def session(self, folder: Path) -> Kernel:
        return self

    async def run(
        self, text: str, *, on_event: Callable[[Event], None], call: ToolCall, **options: Any
    ) -> TurnResult:
        self.asked.append((text, call, options))
        on_event(Progress(what="Running", done=0, total=len(self.lines)))
        told = "".join(self.lines)
        # It comes in any pieces.
        for piece in (told[:7], told[7:]):
            on_event(ActionOutput(action="a", text=piece))
        outcome = "2 of 3 items done, 1 failed." if self.status == "ok" else f"No file matches {POISON}."
        action = ActionResult(id="a", tool=call.tool, arguments={}, status=self.status, outcome=outcome)
        return TurnResult(status="done", answer="", actions=(action,), diff="", session="s", usage=USAGE)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Kernel]:
    monkeypatch.setattr(client, "AsyncClient", Kernel)
    monkeypatch.setattr(Kernel, "asked", [])
    monkeypatch.setattr(Kernel, "lines", [line("a"), line("b", "failed", "no\n"), line("c", output="two")])
    monkeypatch.chdir(tmp_path)
    return Kernel


def mapped(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["llmasos", "map", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_map_is_one_call_in_the_persons_words(
    kernel: type[Kernel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ("--with", "x.py", "-j", "3", "--memory", "512", "--address", "auto", "--timeout", "5")
    assert mapped(monkeypatch, "-c", "wc {}", "*.txt", str(tmp_path / "b"), *options) == 1
    [(text, call, more)] = kernel.asked
    assert "wc {}" in text and "*.txt" in text
    assert call.tool == "map_files"
    given = call.arguments
    assert (given["files"], given["command"], given["along"]) == (["*.txt", "b"], "wc {}", ["x.py"])
    assert (given["cluster"], given["timeout"], given["save_as"]) == ("auto", 5, "")
    assert given["settings"] == {"cpus": 1, "gpus": 0, "tries": 3, "jobs": 3, "memory_mb": 512}
    assert more["approve"] == "deny"
    out, err = capsys.readouterr()
    assert out == "fine\ntwo\n"
    assert err == "2 of 3 items done, 1 failed.\n"


def test_json_is_a_line_for_each(
    kernel: type[Kernel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel, "lines", [line("a"), line("b")])
    assert mapped(monkeypatch, "-c", "wc", "x", "--json") == 0
    assert [json.loads(each)["item"] for each in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_what_is_done_by_the_results_is_left_out(
    kernel: type[Kernel], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert mapped(monkeypatch, "-c", "wc", "x", "--out", "o") == 1
    assert capsys.readouterr().out == ""
    results = tmp_path / "o" / "results.jsonl"
    with results.open("a") as file:
        file.write('{"item": "cu')
    monkeypatch.setattr(kernel, "lines", [line("b")])
    assert mapped(monkeypatch, "-c", "wc", "x", "--out", "o", "--resume") == 0
    assert kernel.asked[-1][1].arguments["skip"] == ["a", "c"]
    assert results.read_text().endswith(line("b"))


def test_inputs_come_from_json_lines_and_from_standard_input(
    kernel: type[Kernel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('"a b"\n\n{"n": 1}\n')
    (tmp_path / "run.py").write_text("def run(item): ...")
    mapped(monkeypatch, "--python", "run.py", "--jsonl", "in.jsonl")
    given = kernel.asked[-1][1].arguments
    assert (given["items"], given["code"]) == (["a b", '{"n": 1}'], "def run(item): ...")
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo words\n"))
    mapped(monkeypatch, "-c", "echo", "--jsonl", "-")
    assert kernel.asked[-1][1].arguments["items"] == ["one", "two words"]
    (tmp_path / "in.jsonl").write_text('"a"\nb\n')
    assert mapped(monkeypatch, "-c", "echo", "--jsonl", "in.jsonl") == 2


@pytest.mark.parametrize(
    "words", ["x", "-c wc", "-c wc --python y x", "-c wc x --resume", "-c wc x --tries 0"]
)
def test_bad_usage_asks_nobody(kernel: type[Kernel], monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert mapped(monkeypatch, *words.split()) == 2
    assert kernel.asked == []


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_nothing_that_a_command_prints_acts_on_the_terminal(
    kernel: type[Kernel],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    terminal: bool,
) -> None:
    if terminal:
        monkeypatch.setenv("TERM", "xterm-256color")
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)
    poison = POISON.replace("\n", " ")
    monkeypatch.setattr(kernel, "lines", [line(POISON, output=poison)])
    monkeypatch.setattr(kernel, "status", "failed")
    assert mapped(monkeypatch, "-c", "wc", "x", *more) == 1
    assert acting("".join(capsys.readouterr())) == ""
