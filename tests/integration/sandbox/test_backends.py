"""What every backend promises, on the real ones: work gets done, and nothing gets out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from llmasos.config import SandboxLimits, Settings
from llmasos.errors import ToolError
from llmasos.sandbox import Outcome, Sandbox, Workspace, choose_provider

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    return Workspace.open(folder, tmp_path / "state")


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


@pytest.fixture(params=["docker", "bubblewrap"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path: Path, workspace: Workspace
) -> AsyncIterator[Sandbox]:
    settings = Settings(
        sandbox=request.param,
        cache_dir=tmp_path / "cache",
        runtime_dir=tmp_path / "run",
        sandbox_limits=SandboxLimits(memory_mb=512, processes=64, output_bytes=20_000),
    )
    provider = await choose_provider(settings)
    sandbox = await provider.open(await workspace.view(provider.view_kind), session="test")
    yield sandbox
    await sandbox.close()
    await provider.close()
    assert str(tmp_path) not in _mounts()


async def test_a_view_is_committed_and_undone(sandbox: Sandbox, workspace: Workspace) -> None:
    done = await sandbox.run_command("echo two >> a.txt && mkdir new && echo x > new/y", timeout=10)
    await sandbox.close()
    assert (done.status, done.backend) == ("ok", sandbox.backend)
    assert [(change.path, change.kind) for change in (await workspace.diff())[0]] == [
        ("a.txt", "changed"),
        ("new", "added"),
        ("new/y", "added"),
    ]
    assert (workspace.folder / "a.txt").read_text() == "one\n"
    await workspace.commit()
    assert (workspace.folder / "a.txt").read_text() == "one\ntwo\n"
    assert (workspace.folder / "new/y").stat().st_uid == workspace.folder.stat().st_uid
    await workspace.undo()
    assert [path.name for path in workspace.folder.iterdir()] == ["a.txt"]


async def test_a_cell_keeps_state_and_calls_tools(sandbox: Sandbox) -> None:
    async def on_call(name: str, arguments: dict[str, object]) -> object:
        if arguments["path"] == "bad":
            raise ToolError("refused")
        return (await sandbox.read(str(arguments["path"]))).data.decode()

    functions = {"read_file": ("path",)}
    await sandbox.run_python("x = read_file('a.txt')", timeout=10, on_call=on_call, functions=functions)
    assert (await sandbox.run_python("x", timeout=10)).result == "'one\\n'"
    code = "try:\n    read_file('bad')\nexcept ToolError as error:\n    print(error)"
    caught = await sandbox.run_python(code, timeout=10, on_call=on_call, functions=functions)
    assert caught.output == "refused\n"


async def test_it_runs_without_privileges_or_the_hosts_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await sandbox.run_command("id -u; grep CapEff /proc/self/status; env", timeout=10)
    assert not done.output.startswith("0\n")
    assert "CapEff:\t0000000000000000" in done.output
    assert "PYTEST" not in done.output


@pytest.mark.parametrize(
    "attempt",
    [
        "cat /etc/shadow",
        "ls -A /root | grep .",
        "echo x > /usr/bin/x",
        ": >> /proc/sys/kernel/core_pattern",
        "mount -t tmpfs none /tmp",
        "mknod disk b 254 0",
        "exec 3<>/dev/tcp/1.1.1.1/53",
        "test -S /var/run/docker.sock",
    ],
)
async def test_an_escape_fails(sandbox: Sandbox, attempt: str) -> None:
    assert (await sandbox.run_command(attempt, timeout=10)).status == "failed"


async def test_paths_and_links_that_lead_out_are_refused(sandbox: Sandbox) -> None:
    await sandbox.run_command("ln -s /etc/passwd file; ln -s /tmp folder; mkfifo pipe", timeout=10)
    for path in ("../etc/passwd", "/etc/passwd", "file", "folder/x"):
        with pytest.raises(ToolError, match="outside"):
            await sandbox.read(path)
        with pytest.raises(ToolError, match="outside"):
            await sandbox.write(path, b"x")
    with pytest.raises(ToolError, match="regular file"):
        await sandbox.read("pipe")


@pytest.mark.parametrize(
    "command",
    [
        "while :; do :; done",
        "trap '' INT TERM HUP; while :; do sleep 0.1; done",
        "yes & yes >&2 & wait",
        "bomb() { bomb | bomb & }; bomb; sleep 100",
    ],
    ids=["loop", "deaf", "flood", "forks"],
)
async def test_a_hostile_command_is_stopped(sandbox: Sandbox, command: str) -> None:
    outcome = await sandbox.run_command(command, timeout=1)
    assert outcome.status in ("timeout", "processes")
    assert len(outcome.output) < 30_000


@pytest.mark.parametrize("ending", ["", "; sleep 300"], ids=["done", "stopped"])
async def test_nothing_outlives_its_command(sandbox: Sandbox, ending: str) -> None:
    daemon = "setsid bash -c 'touch started; exec -a survivor sleep 300'"
    start = f"({daemon} &) ; until [ -e started ]; do :; done"
    ended = await sandbox.run_command(start + ending, timeout=3)
    assert ended.status == ("timeout" if ending else "ok")
    left = await sandbox.run_command("grep -l ^survivor /proc/[0-9]*/cmdline", timeout=10)
    assert left.output == ""


async def test_what_a_cell_started_outlives_a_command(sandbox: Sandbox) -> None:
    start = "import subprocess\nchild = subprocess.Popen(['sleep', '300'], start_new_session=True)"
    await sandbox.run_python(start, timeout=10)
    await sandbox.run_command("true", timeout=10)
    assert (await sandbox.run_python("child.poll() is None", timeout=10)).result == "True"


async def test_a_command_does_not_end_another(sandbox: Sandbox) -> None:
    started = anyio.Event()
    outcomes: list[Outcome] = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            waiting = "echo go; until [ -e go ]; do sleep 0.05; done; echo done"
            outcomes.append(
                await sandbox.run_command(waiting, timeout=20, on_output=lambda stream, text: started.set())
            )

        tasks.start_soon(run)
        await started.wait()
        await sandbox.run_command("true", timeout=10)
        await sandbox.run_command("touch go", timeout=10)
    assert (outcomes[0].status, outcomes[0].output) == ("ok", "go\ndone\n")


async def test_the_next_command_works_after_a_deaf_cell(sandbox: Sandbox) -> None:
    code = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    assert (await sandbox.run_python(code, timeout=1)).status == "timeout"
    assert (await sandbox.run_python("1 + 1", timeout=10)).result == "2"
    assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"


async def test_a_memory_bomb_is_named(sandbox: Sandbox) -> None:
    assert (await sandbox.run_python("'x' * 10**10", timeout=10)).status == "memory"
    assert (await sandbox.run_python("1", timeout=10)).result == "1"


@pytest.mark.parametrize("command", ["kill -9 $$", "exit 137"])
async def test_a_kill_is_not_taken_for_want_of_memory(sandbox: Sandbox, command: str) -> None:
    assert (await sandbox.run_command(command, timeout=10)).status == "failed"


async def test_a_killed_cell_is_lost(sandbox: Sandbox) -> None:
    done = await sandbox.run_python("import os; os.kill(os.getpid(), 9)", timeout=10)
    assert done.status == "lost"
    assert (await sandbox.run_python("1", timeout=10)).result == "1"


# The jail limits each process, which then fails by itself and is not killed.
@pytest.mark.parametrize("sandbox", ["docker"], indirect=True)
async def test_a_command_killed_for_want_of_memory_is_named(sandbox: Sandbox) -> None:
    hog = "/usr/bin/python3 -c 'import time; x = b\"x\" * (300 << 20); time.sleep(5)'"
    outcome = await sandbox.run_command(
        f"{hog} & one=$!; {hog} & two=$!; wait $one || exit $?; wait $two", timeout=30
    )
    assert (outcome.status, outcome.exit_code) == ("memory", 137)


async def test_a_cancelled_command_stops(sandbox: Sandbox) -> None:
    started = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await sandbox.run_command(
                "echo go; exec -a cancelled sleep 300",
                timeout=600,
                on_output=lambda stream, text: started.set(),
            )

        tasks.start_soon(run)
        await started.wait()
        tasks.cancel_scope.cancel()
    left = await sandbox.run_command("grep -l ^cancelled /proc/[0-9]*/cmdline", timeout=10)
    assert left.output == ""
