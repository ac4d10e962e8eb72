"""`llmasos run` as scripts use it: output, exit codes, and a folder that stays as it was."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration

HELLO = call("write_file", path="hello.txt", content="hello\n")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("machine", ["bubblewrap", "docker"], indirect=True)
def test_nothing_is_written_before_the_commit(machine: Machine) -> None:
    before = tree(machine.folder)
    machine.endpoint.replies = [HELLO, "Made hello.txt."]
    code, result = machine.ask("make hello.txt")
    assert code == 0 and result["status"] == "done" and result["answer"] == "Made hello.txt."
    assert "+hello" in result["diff"] and result["committed"] is False
    [action] = result["actions"]
    assert (
        action["tool"] == "write_file"
        and action["status"] == "ok"
        and action["arguments"]["path"] == "hello.txt"
    )
    assert action["backend"] == machine.env["LLMASOS_SANDBOX"]
    assert result["usage"]["requests"] == 2
    assert tree(machine.folder) == before

    assert machine.run("commit", result["session"]).returncode == 0
    assert (machine.folder / "hello.txt").read_text() == "hello\n"
    assert machine.run("undo", result["session"]).returncode == 0
    assert tree(machine.folder) == before

    verified = machine.run("ledger", "verify")
    assert verified.returncode == 0 and "on the chain" in verified.stdout


def test_yes_commits(machine: Machine) -> None:
    machine.endpoint.replies = [HELLO, "Made it."]
    code, result = machine.ask("make hello.txt", "--yes")
    assert code == 0 and result["committed"] is True
    assert (machine.folder / "hello.txt").read_text() == "hello\n"


def test_the_key_reaches_the_endpoint_and_nothing_else(machine: Machine) -> None:
    machine.endpoint.replies = [call("run_shell", command="env"), "Looked."]
    _, result = machine.ask("show the environment")
    assert machine.endpoint.keys[0] == "Bearer sk-for-tests"
    stored = b"".join(p.read_bytes() for p in (machine.base / "data").rglob("*") if p.is_file())
    assert b"sk-for-tests" not in stored and "sk-for-tests" not in json.dumps(result)


def test_what_asks_is_denied_when_nobody_is_there(machine: Machine) -> None:
    machine.endpoint.replies = [
        call("write_file", path=".git/hooks/pre-commit", content="evil"),
        "Was denied.",
    ]
    code, result = machine.ask("install a hook")
    assert (code, result["status"]) == (3, "approval_needed")
    assert result["actions"][0]["status"] == "denied" and result["changes"] == []


def test_limits_have_their_exit_code(machine: Machine) -> None:
    machine.endpoint.replies = [call("read_file", path="notes.txt", limit=n) for n in range(1, 9)]
    code, result = machine.ask("read on", "--max-steps", "2")
    assert (code, result["status"]) == (4, "limit") and "--max-steps" in result["hint"]
    machine.endpoint.replies = [call("run_shell", command="sleep 60")]
    code, result = machine.ask("wait", "--timeout", "1")
    assert (code, result["status"]) == (4, "limit")


def test_usage_errors_have_theirs(machine: Machine) -> None:
    assert machine.run("run").returncode == 2
    assert machine.run("run", "x", "--max-steps", "none").returncode == 2


@pytest.mark.parametrize(
    ("place", "said"), [("nowhere", "There is no folder"), ("main.py", "is not a folder")]
)
def test_a_folder_that_cannot_be_used_is_named(machine: Machine, place: str, said: str) -> None:
    code, result = machine.ask("x", "-C", str(machine.folder / place))
    assert code == 1 and said in result["error"] and result["hint"]


def test_piped_input_is_an_attachment(machine: Machine) -> None:
    machine.endpoint.replies = ["Three lines."]
    code, _ = machine.ask("how many lines?", input="one\ntwo\nthree\n")
    assert code == 0
    assert "one\ntwo\nthree" in json.dumps(machine.endpoint.requests[-1], ensure_ascii=False).replace(
        "\\n", "\n"
    )


def test_binary_input_is_refused(machine: Machine) -> None:
    machine.endpoint.replies = ["?"]
    code, result = machine.ask("what is it?", input="a\0b")
    assert code == 1 and "not text" in result["error"]


def test_an_interrupt_cancels(machine: Machine) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo star''ted; sleep 60")]
    with machine.popen("run", "wait", "--json") as process:
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if "started" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    listed = machine.run("ledger", "log").stdout
    assert "cancel" in listed


def test_a_stream_that_is_cut_is_a_failure(machine: Machine) -> None:
    machine.endpoint.replies = ["It is half"]
    machine.endpoint.cut = True
    code, result = machine.ask("say it")
    assert code == 1 and result["error"] and result["hint"]


def test_an_endpoint_that_is_away_is_named(machine: Machine) -> None:
    machine.env["LLMASOS_MODEL_URL"] = "http://127.0.0.1:9/v1"
    code, result = machine.ask("hello")
    assert code == 1 and "http://127.0.0.1:9/v1" in result["error"]


def test_the_path_of_a_model_that_is_missing_is_named(machine: Machine) -> None:
    machine.env["LLMASOS_MODEL_URL"] = ""
    code, result = machine.ask("hello", "--model", str(machine.base / "none.gguf"))
    assert code == 1 and "none.gguf" in result["error"] and result["hint"]


def test_names_with_newlines_and_bytes_are_shown_and_committed(machine: Machine) -> None:
    command = r"printf x > $'two\nlines'; printf y > $'caf\xe9'; printf '\0\1' > binary"
    machine.endpoint.replies = [call("run_shell", command=command), "Not made."]
    code, wanted = machine.ask("make odd names")
    assert code == 3 and not wanted["changes"]
    machine.endpoint.replies = [call("run_shell", command=command), "Made them."]
    code, result = machine.ask("make odd names", "--approve", wanted["approvals"][0]["digest"])
    assert code == 0 and len(result["changes"]) == 3
    done = machine.run("diff", result["session"])
    assert "two\\nlines" in done.stdout and "caf\\xe9" in done.stdout and "binary, 2 bytes" in done.stdout
    assert machine.run("commit", result["session"]).returncode == 0
    names = sorted(os.listdir(os.fsencode(machine.folder)))
    assert b"two\nlines" in names and b"caf\xe9" in names


def test_a_huge_file_is_read_in_part(machine: Machine) -> None:
    with (machine.folder / "huge.txt").open("wb") as file:
        file.truncate(3_000_000_000)
    with (machine.folder / "long.txt").open("w") as file:
        file.writelines(f"line {n}\n" for n in range(400_000))
    machine.endpoint.replies = [
        call("read_file", path="huge.txt"),
        call("read_file", path="long.txt"),
        "Large.",
    ]
    code, result = machine.ask("read them")
    assert code == 0
    first, second = result["actions"]
    assert first["status"] == "failed" and "binary" in first["outcome"]
    assert second["status"] == "ok" and len(second["outcome"]) < 50_000


def test_it_does_not_wait_for_a_terminal(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 1 and "needs a terminal" in done.stderr


def test_no_file_of_its_own_is_left_in_the_folder(machine: Machine) -> None:
    before = tree(machine.folder)
    machine.endpoint.replies = [call("run_python", code="import json\nx = 1\nprint(x)"), "One."]
    assert machine.ask("run it")[0] == 0
    assert tree(machine.folder) == before
    assert subprocess.run(
        ["ls", "-A"], cwd=machine.folder, capture_output=True, text=True
    ).stdout.split() == [
        "main.py",
        "notes.txt",
        "src",
    ]
