"""`llmasos commands`, and requests that are commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.errors import LLMasOSError
from llmasos.shell import cli

Run = Callable[..., tuple[int, str, str]]
POISON = "\x1b]0;x\x07\u202e"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"LLMASOS_{name}_DIR", str(tmp_path / name))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")

    def ran(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["llmasos", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return int(ended.value.code or 0), shown.out, shown.err

    return ran


def write(name: str, text: str | bytes) -> None:
    file = Path(".llmasos/commands") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)


def test_a_new_command_is_one(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("commands", "new", "/git:review")
    assert code == 0 and str(Path(".llmasos/commands/git/review.md")) in out
    code, _, err = run("commands", "new", "git:review")
    assert code == 1 and "File exists" in err and "choose another name" in err
    assert run("commands", "new", "mine", "--user")[0] == 0
    assert (tmp_path / "CONFIG" / "commands" / "mine.md").exists()
    code, out, err = run("commands", "list", "--json")
    assert code == 0 and not err
    review, mine = map(json.loads, out.splitlines())
    assert (review["name"], review["source"], review["agreement"]) == ("git:review", "project", "new")
    assert (mine["name"], mine["source"], mine["agreement"]) == ("mine", "user", "agreed")


@pytest.mark.parametrize("name", ["commit", "a b", "../x", "a:b:c:d:e", "", "/"])
def test_what_is_no_name_is_not_written(run: Run, name: str) -> None:
    code, _, err = run("commands", "new", name)
    assert code == 1 and ("no name" in err or "part of the shell" in err)
    assert not Path(".llmasos").exists()


def test_a_new_command_needs_its_folder(run: Run) -> None:
    assert "There is no folder nowhere." in run("commands", "new", "x", "-C", "nowhere")[2]


def test_a_broken_file_does_not_keep_others_from_being_listed(run: Run) -> None:
    write("good.md", f"---\ndescription: Good{POISON}\n---\nSay hello.")
    write("bad.md", "---\nhosts: all\n---\nx")
    write("latin.md", b"\xe9")
    write("commit.md", "x")
    code, out, err = run("commands", "list")
    assert code == 1 and out.startswith("/good") and "Good\\x1b]0;x" in out
    for said in (
        "bad.md is no command: the key hosts",
        "latin.md is no command",
        "commit.md: /commit is part",
    ):
        assert said in err


def test_no_commands_are_told(run: Run) -> None:
    code, out, err = run("commands", "list")
    assert (code, out) == (0, "") and "llmasos commands new NAME" in err
    code, _, err = run("commands", "show", "x")
    assert code == 1 and "There is no command /x." in err


def test_a_command_is_shown_and_agreed_to(run: Run) -> None:
    write("x.md", f"---\nmodel: m\ntimeout: 3\ndry-run: true\n---\nSay hello.{POISON}")
    code, out, _ = run("commands", "show", "/x")
    assert code == 0 and "dry run, 3 s" in out and "Say hello.\\x1b]0;x\\x07\\u202e" in out
    assert json.loads(run("commands", "show", "x", "--json")[1])["text"].endswith(f"Say hello.{POISON}")
    # Nobody is there to ask.
    code, _, err = run("commands", "agree", "x")
    assert code == 1 and "--yes" in err
    assert "not agreed to" in run("commands", "list")[1]
    code, out, _ = run("commands", "agree", "x", "--yes")
    assert code == 0 and "Say hello." in out
    assert "Nobody asks about /x." in run("commands", "agree", "x")[1]
    write("x.md", "Say goodbye.")
    assert "changed since you agreed to it" in run("commands", "list")[1]


def test_a_projects_command_is_not_run_before_somebody_agreed(run: Run) -> None:
    write("x.md", "Say $1.")
    code, _, err = run("run", "/x hello")
    assert code == 3 and "nobody has agreed" in err and "llmasos commands show x" in err
    code, out, _ = run("run", "/x hello", "--json")
    assert code == 3 and json.loads(out)["status"] == "approval_needed"


def test_what_is_wrong_with_a_command_fails_its_run(run: Run) -> None:
    write("x.md", "Say $1.")
    write("in.md", "---\ndry-run: true\n---\nSay hello.")
    write("commit.md", "Say hello.")
    for arguments, said in (
        (("/x",), "missing its argument 1"),
        (("/x", "a", "b"), "takes 1 argument at most"),
        (("/in", "--in-place"), "nothing can be dropped"),
        (("/commit",), "/commit is part of the shell"),
    ):
        code, out, _ = run("run", *arguments, "--yes", "--json")
        assert code == 1 and said in json.loads(out)["error"]
    assert run("run", "two", "words")[0] == 2


def test_a_quote_that_is_not_closed_is_named(run: Run) -> None:
    write("say.md", "Say $1 and $2.")
    code, out, err = run("run", "--yes", "/say it's", "more")
    assert code == 1 and not out and "The arguments of /say cannot be read: a quote is not closed." in err
    code, out, err = run("run", "--yes", "--json", "/say it's", "more")
    told = json.loads(out)
    assert code == 1 and told["status"] == "failed" and "a quote is not closed" in told["error"]
    assert "apostrophe" in told["hint"]


def test_a_command_that_is_not_there_is_not_sent_as_a_request(run: Run) -> None:
    for words in (["/revew"], ["/revew the", "rest"]):
        code, out, err = run("run", *words)
        assert (code, out) == (1, "") and err.startswith(
            "There is no command /revew.\n`llmasos commands list`"
        )


def test_a_path_is_no_command(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    sent: list[str] = []

    async def keep(text: str, *rest: object) -> None:
        sent.append(text)
        raise LLMasOSError("Kept.")

    monkeypatch.setattr("llmasos.shell.headless._run", keep)
    for text in ("/tmp is full", "/usr/bin/nothing fails", "/ is full"):
        assert "Kept." in run("run", text)[2]
    assert sent == ["/tmp is full", "/usr/bin/nothing fails", "/ is full"]
