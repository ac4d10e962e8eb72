"""What scripts decide about changes: tried dry, made in place, in part, merged, taken back and made again."""

import json

import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration

HELLO = call("write_file", path="hello.txt", content="hello\n")


def test_a_dry_run_shows_the_diff_and_leaves_nothing(machine: Machine) -> None:
    machine.endpoint.replies = [HELLO, "Made it."]
    done = machine.run("run", "make hello.txt", "--dry-run")
    assert done.returncode == 0 and "+hello" in done.stderr and "dry run" in done.stderr
    assert "llmasos commit" not in done.stderr
    assert not (machine.folder / "hello.txt").exists()
    session = machine.run("sessions").stdout.split()[0]
    assert machine.run("diff", session).stdout == ""
    refused = machine.run("run", "make hello.txt", "--dry-run", "--yes")
    assert refused.returncode == 2 and "--yes" in refused.stderr


def test_a_dry_run_that_a_crash_interrupts_leaves_nothing(machine: Machine) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo made > made.txt; echo star''ted; sleep 60")]
    with machine.popen("run", "try it", "--dry-run") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "started" in line:
                break
        machine.kill_kernel()
        process.communicate(timeout=30)
    [line] = [line for line in machine.run("sessions").stdout.splitlines() if "try it" in line]
    assert machine.run("diff", line.split()[0]).stdout == ""


def test_in_place_changes_the_folder_itself(machine: Machine) -> None:
    machine.endpoint.replies = [HELLO, "Made it."]
    code, result = machine.ask("make hello.txt", "--in-place")
    assert code == 0 and not result["changes"]
    written = machine.folder / "hello.txt"
    assert written.read_text() == "hello\n"
    assert written.stat().st_uid == machine.folder.stat().st_uid
    assert machine.run("ledger", "verify").returncode == 0
    refused = machine.run("commit", result["session"])
    assert refused.returncode == 1 and "--in-place" in refused.stderr


def test_secrets_are_seen_only_when_granted(machine: Machine) -> None:
    (machine.folder / ".env").write_text("TOKEN=hunter2\n")
    look = call("run_shell", command="cat .env .env.example; ls -A")
    (machine.folder / ".env.example").write_text("TOKEN=here\n")
    machine.endpoint.replies = [look, "Looked."]
    _, hidden = machine.ask("look")
    assert "hunter2" not in json.dumps(hidden) and "TOKEN=here" in json.dumps(hidden)
    machine.endpoint.replies = [look, "Looked."]
    _, granted = machine.ask("look", "--grant", ".env")
    # Code sees it, and neither the model nor any record does.
    assert "redacted:" in json.dumps(granted) and "hunter2" not in json.dumps(granted)


def test_hunks_merges_undo_and_redo_through_the_command_line(machine: Machine) -> None:
    file = machine.folder / "lines.txt"
    file.write_text("".join(f"{n}\n" for n in range(40)))
    edit = call("run_shell", command="sed -i 's/^1$/one/; s/^20$/twenty/; s/^38$/x/' lines.txt")
    machine.endpoint.replies = [edit, "Edited."]
    _, result = machine.ask("edit")
    session = result["session"]
    assert machine.run("diff", session).stdout.count("#") == 3

    assert machine.run("commit", session, "lines.txt:1").returncode == 0
    assert "one\n" in file.read_text() and "20\n" in file.read_text()

    file.write_text(file.read_text() + "person\n")
    refused = machine.run("commit", session)
    assert refused.returncode == 1 and "lines.txt" in refused.stderr and "--merge" in refused.stderr
    merged = machine.run("merged", session, "lines.txt")
    assert merged.returncode == 0 and "person" in merged.stdout and "twenty" in merged.stdout
    assert machine.run("commit", session, "--merge").returncode == 0
    both = file.read_text()
    assert both == merged.stdout

    history = machine.run("history", session).stdout.splitlines()
    assert len(history) == 2
    assert machine.run("undo", session).returncode == 0
    assert "twenty" not in file.read_text() and "person" in file.read_text()
    assert "(undone)" in machine.run("history", session).stdout
    assert machine.run("redo", session).returncode == 0
    assert file.read_text() == both


def test_a_job_runs_on_after_its_turn_and_is_followed_and_stopped(machine: Machine) -> None:
    serve = call("start_job", command="echo ready; exec sleep 300")
    machine.endpoint.replies = [serve, "Started."]
    _, result = machine.ask("serve")
    session = result["session"]
    listed = machine.run("jobs", session).stdout
    assert listed.startswith("j-1") and "running" in listed
    stopped = machine.run("jobs", session, "j-1", "--stop")
    assert stopped.returncode == 0 and "stopped" in stopped.stdout
    followed = machine.run("jobs", session, "j-1")
    assert followed.stdout.startswith("ready\n")
    missing = machine.run("jobs", session, "j-9")
    assert missing.returncode == 1 and "j-9" in missing.stderr
