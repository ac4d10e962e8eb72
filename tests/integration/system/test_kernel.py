"""The kernel as a process: one per data folder, outliving the shell, surviving a kill."""

import os
import sqlite3
import stat
import subprocess

import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration


def test_it_starts_by_itself_stays_and_stops(machine: Machine) -> None:
    machine.endpoint.replies = ["Hello."]
    assert machine.run("status").returncode == 1
    assert machine.ask("hello")[0] == 0
    status = machine.run("status")
    assert status.returncode == 0 and "bubblewrap" in status.stdout and "sk-for-tests" not in status.stdout
    socket = machine.env["LLMASOS_RUNTIME_DIR"] + "/kernel.sock"
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
    assert machine.run("stop").stdout == "Stopped.\n"
    assert machine.run("stop").stdout == "No kernel is running.\n"


def test_a_second_kernel_is_refused(machine: Machine) -> None:
    machine.endpoint.replies = ["Hello."]
    machine.ask("hello")
    done = machine.run("serve")
    assert done.returncode == 1
    assert f"process {machine.kernel()}" in done.stderr and "llmasos stop" in done.stderr


def test_a_kernel_that_starts_is_waited_for_and_started_once(machine: Machine) -> None:
    machine.endpoint.replies = ["Hello."] * 3
    asking = [machine.popen("run", "hello", "--json") for _ in range(3)]
    # No kernel answers yet, or even has begun to read its settings.
    while not (machine.base / "data" / "kernel.out").exists():
        assert all(each.poll() is None for each in asking)
    assert machine.run("status").returncode == 0
    for each in asking:
        each.communicate()
        assert each.returncode == 0
    number = machine.kernel()
    assert machine.run("stop").stdout == "Stopped.\n"
    # What answers no more may not have ended yet; who asks meanwhile gets a new one.
    assert machine.ask("hello")[0] == 0
    assert machine.kernel() != number


@pytest.mark.parametrize("written", [None, b"This is no database." * 100])
def test_a_database_that_cannot_be_used_is_said_in_a_line(machine: Machine, written: bytes | None) -> None:
    database = machine.base / "folder-of-its-own" / "x.db"
    if written is not None:
        database.parent.mkdir()
        database.write_bytes(written)
    machine.env["LLMASOS_DATABASE_URL"] = f"sqlite:///{database}"
    done = machine.run("run", "hello")
    why = "unable to open database file" if written is None else "file is not a database"
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"The database cannot be used: {why}." in done.stderr and "LLMASOS_DATABASE_URL" in done.stderr


def test_a_kernel_killed_mid_turn_loses_nothing(machine: Machine) -> None:
    command = "echo made > made.txt; echo star''ted; sleep 60"
    machine.endpoint.replies = [call("run_shell", command=command)]
    with machine.popen("run", "make it", "--json") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "started" in line:
                break
        machine.kill_kernel()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "Traceback" not in err and "kernel" in err

    machine.endpoint.replies = ["Nothing more."]
    [line] = [line for line in machine.run("sessions").stdout.splitlines() if "make it" in line]
    session = line.split()[0]
    shown = machine.run("diff", session).stdout
    assert "made.txt" in shown, "what the view held is still there"
    logged = machine.run("ledger", "log", "--session", session).stdout.split("\n")
    assert sum("outcome" in row for row in logged) == 1, "the unfinished action got its outcome"
    events = sqlite3.connect(machine.base / "data" / "llmasos.db").execute(
        "SELECT body FROM events WHERE session = ? AND type = 'action_finished'", (session,)
    )
    assert '"status":"unknown"' in events.fetchone()[0]
    assert len(machine.endpoint.requests) == 1, "nothing was run again"
    verified = machine.run("ledger", "verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE events SET body = replace(body, 'echo a', 'echo b') WHERE type = 'action_started'",
            "arguments",
        ),
        (
            "UPDATE events SET body = replace(body, '\"ok\"', '\"failed\"') WHERE type = 'action_finished'",
            "outcome",
        ),
        ("UPDATE ledger_records SET body = replace(body, '}', ',\"x\":1}') WHERE kind = 'intent'", "intent"),
        ("DELETE FROM ledger_records WHERE kind = 'outcome'", "missing"),
    ],
)
def test_a_changed_record_is_found(machine: Machine, statement: str, said: str) -> None:
    machine.endpoint.replies = [call("run_shell", command="echo a"), "Done."]
    machine.ask("echo a")
    assert machine.run("ledger", "verify").returncode == 0
    machine.run("stop")
    with sqlite3.connect(machine.base / "data" / "llmasos.db") as database:
        assert database.execute(statement).rowcount == 1
    database.close()
    verified = machine.run("ledger", "verify")
    assert verified.returncode == 1 and said in verified.stdout


def test_a_database_of_a_newer_version_is_refused(machine: Machine) -> None:
    machine.endpoint.replies = ["Hello."]
    machine.ask("hello")
    machine.run("stop")
    with sqlite3.connect(machine.base / "data" / "llmasos.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    code, result = machine.ask("hello")
    assert code == 1 and "9999" in result["error"] and result["hint"]


def test_the_doctor_names_what_is_missing(machine: Machine) -> None:
    assert machine.run("doctor").returncode == 0
    machine.env["PATH"] = "/nowhere"
    done = machine.run("doctor")
    assert done.returncode == 1 and "apt-get install bubblewrap" in done.stdout


def test_a_full_disk_stops_actions_and_loses_nothing(machine: Machine) -> None:
    data = machine.base / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", data], check=True)
    try:
        machine.endpoint.replies = [call("run_shell", command="echo one > one.txt"), "Done."]
        code, first = machine.ask("make one.txt")
        assert code == 0
        with (
            pytest.raises(OSError, match="No space left"),
            (data / "filler").open("wb", buffering=0) as filler,
        ):
            while True:
                filler.write(b"x" * 4096)
        machine.endpoint.replies = [call("run_shell", command="echo two > two.txt"), "Done."]
        code, second = machine.ask("make two.txt")
        assert code == 1 and "full" in second["error"] and "space" in second["hint"]
        (data / "filler").unlink()
        assert "one.txt" in machine.run("diff", first["session"]).stdout
        machine.endpoint.replies = [call("run_shell", command="echo two > two.txt"), "Done."]
        assert machine.ask("make two.txt")[0] == 0
        verified = machine.run("ledger", "verify")
        assert verified.returncode == 0, verified.stdout
        machine.run("stop")
    finally:
        subprocess.run(["umount", "-l", data], check=True)
