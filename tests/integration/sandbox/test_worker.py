"""The worker on the real tiers: speed aside, all that the port promises about code that runs inside."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from llmasos.config import SandboxLimits, Settings
from llmasos.errors import SandboxError, ToolError
from llmasos.sandbox import DockerProvider, JailProvider, View
from llmasos.sandbox._channel import WorkerSandbox
from llmasos.sandbox.port import OWNER_SHIFT

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

LIMITS = SandboxLimits(
    memory_mb=512, processes=64, output_bytes=20_000, cpu_seconds=1, open_files=256, flood_mb=64, disk_mb=64
)


@pytest.fixture(params=["docker", "bubblewrap"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WorkerSandbox]:
    settings = Settings(runtime_dir=tmp_path / "run", sandbox_limits=LIMITS, sandbox_pool=0)
    provider: DockerProvider | JailProvider
    provider = DockerProvider(settings) if request.param == "docker" else JailProvider(settings)
    for name in ("folder", "state/upper", "state/work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "folder/a.txt").write_text("one\n")
    state = tmp_path / "state"
    mapped = os.getuid() == 0
    if mapped:
        os.chown(state / "upper", OWNER_SHIFT, OWNER_SHIFT)
    view = View("overlay", tmp_path / "folder", state / "upper", state / "work", None, mapped)
    sandbox = await provider.open(view, session="test")
    assert isinstance(sandbox, WorkerSandbox)
    yield sandbox
    await sandbox.close()
    await provider.close()


async def test_output_comes_in_order_and_whole(sandbox: WorkerSandbox) -> None:
    code = "import sys\nfor n in range(300):\n    print('日本', n)\nprint('last', end='')\n1"
    done = await sandbox.run_python(code, timeout=10)
    assert done.output == "".join(f"日本 {n}\n" for n in range(300)) + "last"
    assert (done.status, done.result, done.truncated) == ("ok", "1", False)


async def test_a_flood_keeps_its_beginning_and_its_end(sandbox: WorkerSandbox) -> None:
    done = await sandbox.run_command("echo first; yes 語 | head -c 10000000; echo last", timeout=20)
    assert (done.status, done.truncated) == ("ok", True)
    assert done.output.startswith("first\n語\n")
    assert done.output.endswith("語\nlast\n")
    assert "�" not in done.output
    assert len(done.output.encode()) < LIMITS.output_bytes + 100
    marker = next(line for line in done.output.splitlines() if "left out" in line)
    missing = int("".join(filter(str.isdigit, marker)))
    assert missing + len(done.output.encode()) - len(marker) - 2 == 10_000_000 + len("first\nlast\n")


async def test_a_file_of_the_folder_stands_in_for_no_library(sandbox: WorkerSandbox) -> None:
    await sandbox.write("csv.py", b"raise SystemExit('not the library')\n")
    await sandbox.write("own.py", b"number = 7\n")
    done = await sandbox.run_python("import csv, own\n(csv.reader.__name__, own.number)", timeout=10)
    assert done.result == "('reader', 7)"


async def test_endless_output_is_stopped(sandbox: WorkerSandbox) -> None:
    assert (await sandbox.run_command("yes", timeout=30)).status == "output"
    assert (await sandbox.run_python("while True: print('x' * 10000)", timeout=30)).status == "output"
    assert (await sandbox.run_python("1", timeout=10)).result == "1"


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "processes"),
        ("while True: pass", "cpu"),
        ("import time\nwhile True: time.sleep(1)", "timeout"),
        ("x = [bytes(10**6) for _ in range(10**5)]", "memory"),
        ("import os\nwhile True: os.open('/dev/null', 0)", "files"),
        (
            "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
            "processes",
        ),
        ("import subprocess\nx = [subprocess.Popen(['sleep', '60']) for _ in range(200)]", "processes"),
        ("open('/tmp/big', 'wb').write(bytes(70 << 20))", "disk"),
        ("import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)", "lost"),
        ("import os\nos._exit(3)", "lost"),
        ("import ctypes\nctypes.string_at(0)", "lost"),
        ("raise SystemExit(3)", "failed"),
    ],
    ids=[
        "bomb",
        "cpu",
        "time",
        "memory",
        "files",
        "threads",
        "children",
        "disk",
        "recursion",
        "exit",
        "segfault",
        "leave",
    ],
)
async def test_each_limit_of_a_cell_has_its_verdict(sandbox: WorkerSandbox, code: str, verdict: str) -> None:
    # What goes on until the clock ends it, and what a limit ends in its own time.
    short = verdict == "timeout" or "fork" in code
    done = await sandbox.run_python(code, timeout=2 if short else 20)
    assert done.status == verdict, done.output
    assert not sandbox.lost
    assert (await sandbox.run_python("1 + 1", timeout=10)).result == "2"


@pytest.mark.parametrize(
    ("command", "verdict"),
    [
        ("while :; do :; done", "cpu"),
        ("sleep 60", "timeout"),
        ("python3 -c 'x = [bytes(10**6) for _ in range(10**5)]'", "memory"),
        ("python3 -c 'import os\nwhile True: os.open(\"/dev/null\", 0)'", "files"),
        ("bomb() { bomb | bomb & }; bomb; sleep 100", "processes"),
        ("head -c 70M /dev/zero > /tmp/big", "disk"),
        ("kill -STOP $$", "timeout"),
        ("trap '' INT TERM; while :; do sleep 0.1; done", "timeout"),
        ("exit 7", "failed"),
    ],
    ids=["cpu", "time", "memory", "files", "bomb", "disk", "stopped", "deaf", "exit"],
)
async def test_each_limit_of_a_command_has_its_verdict(
    sandbox: WorkerSandbox, command: str, verdict: str
) -> None:
    done = await sandbox.run_command(command, timeout=1 if verdict in ("timeout", "processes") else 10)
    assert done.status == verdict, done.output
    assert not sandbox.lost
    assert (await sandbox.run_command("cat a.txt", timeout=10)).output == "one\n"


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import ctypes\nctypes.CDLL(None).pause()",
    ],
    ids=["deaf", "ignoring", "stopped", "in C"],
)
async def test_a_hostile_cell_is_stopped(sandbox: WorkerSandbox, code: str) -> None:
    outcome = await sandbox.run_python(code, timeout=0.5)
    assert outcome.status == "timeout"
    assert (await sandbox.run_python("1", timeout=10)).result == "1"


async def test_an_interrupted_cell_keeps_the_variables(sandbox: WorkerSandbox) -> None:
    await sandbox.run_python("x = 7", timeout=10)
    assert (await sandbox.run_python("import time; time.sleep(60)", timeout=0.2)).status == "timeout"
    assert (await sandbox.run_python("x", timeout=10)).result == "7"


async def test_a_fork_of_the_session_ends_with_its_cell(sandbox: WorkerSandbox) -> None:
    code = (
        "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('child' if pid == 0 else 'parent')\n5"
    )
    done = await sandbox.run_python(code, timeout=10)
    assert (done.status, done.output, done.result) == ("ok", "child\nparent\n", "5")
    assert (await sandbox.run_python("6", timeout=10)).result == "6"


@pytest.mark.parametrize("target", ["$PPID", "-1", "1"])
async def test_nobody_inside_can_stop_the_worker(sandbox: WorkerSandbox, target: str) -> None:
    for name in ("STOP", "KILL"):
        assert (await sandbox.run_command(f"kill -{name} {target}", timeout=10)).status == "failed"
    assert (await sandbox.run_command("true", timeout=10)).status == "ok"


async def test_a_fresh_cell_sees_no_variables_and_leaves_nothing(sandbox: WorkerSandbox) -> None:
    await sandbox.run_python("x = 1\nimport builtins\nbuiltins.leak = 1", timeout=10)
    start = "import subprocess\nsubprocess.Popen(['sleep', '61'], start_new_session=True)\n"
    code = start + "print('x' in globals())\nleak"
    done = await sandbox.run_python(code, timeout=10, fresh=True)
    assert done.status == "failed"
    assert done.output.startswith("False\n")
    assert "NameError" in done.output
    left = await sandbox.run_command("grep -l 61 /proc/[0-9]*/cmdline | grep -v self", timeout=10)
    assert "sleep" not in left.output
    assert (await sandbox.run_python("x", timeout=10)).result == "1"


async def test_a_program_gets_its_arguments_and_variables(sandbox: WorkerSandbox) -> None:
    argv = ["/usr/bin/printf", "%s|", "a b", "$HOME"]
    assert (await sandbox.run_command(argv, timeout=10)).output == "a b|$HOME|"
    shown = await sandbox.run_command("echo $GREETING", timeout=10, env={"GREETING": "hello"})
    assert shown.output == "hello\n"
    missing = await sandbox.run_command(["no-such-program"], timeout=10)
    assert (missing.status, missing.exit_code) == ("failed", 127)


async def test_a_programs_cpu_time_is_limited_before_it_starts(sandbox: WorkerSandbox) -> None:
    assert (await sandbox.run_command("ulimit -St; ulimit -Ht", timeout=10)).output == "1\n3\n"


@pytest.mark.parametrize("how", ["", "setsid "], ids=["in the background", "detached"])
async def test_what_a_command_leaves_is_kept_when_asked(sandbox: WorkerSandbox, how: str) -> None:
    start = f"{how}sh -c 'echo $$ > pid; exec sleep 300' & until [ -s pid ]; do :; done"
    await sandbox.run_command(start, timeout=10, keep_background=True)
    await sandbox.run_command("true", timeout=10)
    assert (await sandbox.run_command("kill -0 $(cat pid)", timeout=10)).status == "ok"
    await sandbox.run_command(start.replace("pid", "pid2"), timeout=10)
    assert (await sandbox.run_command("kill -0 $(cat pid2)", timeout=10)).status == "failed"


async def test_jobs_run_are_read_and_stopped(sandbox: WorkerSandbox) -> None:
    job = await sandbox.start_job(
        "echo one; until [ -e go ]; do sleep 0.02; done; echo $WHAT; exit 3", env={"WHAT": "zwei"}
    )
    first = await sandbox.job_output(job.id, wait=10)
    assert (first.text, first.job.running) == ("one\n", True)
    await sandbox.run_command("true", timeout=10)
    await sandbox.write("go", b"")
    second = await sandbox.job_output(job.id, offset=4, wait=10)
    assert (second.text, second.offset) == ("zwei\n", 4)
    last = await sandbox.job_output(job.id, offset=9, wait=10)
    assert (last.text, last.job.running, last.job.exit_code) == ("", False, 3)
    endless = await sandbox.start_job("trap '' INT; yes")
    read = 0
    while read < 2_000_000:
        read = (await sandbox.job_output(endless.id, offset=read, wait=10)).job.written
    stopped = await sandbox.stop_job(endless.id)
    assert (stopped.running, stopped.exit_code) == (False, None)
    piece = await sandbox.job_output(endless.id)
    assert piece.offset > 0
    assert set(piece.text) == {"y", "\n"}
    assert [job.id for job in await sandbox.jobs()] == ["j-1", "j-2"]
    with pytest.raises(ToolError, match="no job"):
        await sandbox.stop_job("j-9")
    for _ in range(16):
        await sandbox.start_job("sleep 100")
    with pytest.raises(ToolError, match="running already"):
        await sandbox.start_job("sleep 100")


async def test_variables_are_kept_and_gone_back_to(sandbox: WorkerSandbox) -> None:
    await sandbox.run_python("import os\nx = [1]", timeout=10)
    await sandbox.save_state("before")
    await sandbox.run_python("x.append(2)", timeout=10)
    for _ in range(2):
        await sandbox.restore_state("before")
        await sandbox.run_command("true", timeout=10)
        done = await sandbox.run_python("x.append(3)\nprint('here')\nx", timeout=10)
        assert (done.status, done.output, done.result) == ("ok", "here\n", "[1, 3]")
    assert (await sandbox.run_python("os.kill(os.getpid(), 9)", timeout=10)).status == "lost"
    await sandbox.restore_state("before")
    assert (await sandbox.run_python("x", timeout=10)).result == "[1]"
    assert (await sandbox.run_python("import time; time.sleep(60)", timeout=0.2)).status == "timeout"
    assert (await sandbox.run_python("x", timeout=10)).result == "[1]"
    with pytest.raises(SandboxError, match="no state"):
        await sandbox.restore_state("never")
    await sandbox.run_python(
        "import threading\nend = threading.Event()\nthreading.Thread(target=end.wait).start()", timeout=10
    )
    with pytest.raises(SandboxError, match="threads"):
        await sandbox.save_state("with threads")
    await sandbox.run_command(
        "for f in /proc/[0-9]*; do [ $f = /proc/$$ ] || kill -9 ${f#/proc/}; done", timeout=10
    )
    with pytest.raises(SandboxError, match="lost"):
        await sandbox.restore_state("before")


async def test_files_are_handed_out_but_no_links_pipes_or_giants(sandbox: WorkerSandbox) -> None:
    setup = "ln -s /etc/passwd link; mkfifo pipe; truncate -s 20M giant; mkdir d"
    await sandbox.run_command(setup, timeout=10)
    await sandbox.write("p", b"\x89PNG\r\n\x1a\n")
    good = await sandbox.run_python(
        "keep('p', name='../../evil.exe')\nkeep(b'a,b\\n', 'table.csv')", timeout=10
    )
    assert [(a.name, a.media_type) for a in good.artifacts] == [
        ("evil-1.png", "image/png"),
        ("table-2.csv", "text/plain"),
    ]
    for path in ("link", "pipe", "giant", "d", "/etc/passwd", "/dev/zero", "/proc/self/environ"):
        bad = await sandbox.run_python(f"keep({path!r})", timeout=10)
        assert (bad.status, bad.artifacts) == ("failed", ()), path
        assert "ValueError" in bad.output
    many = await sandbox.run_python("for n in range(100): keep(b'x', 'x')", timeout=10)
    assert len(many.artifacts) == 16


async def test_figures_left_open_are_handed_out(sandbox: WorkerSandbox) -> None:
    fake = "\n".join(
        [
            "import sys, types",
            "m = types.ModuleType('matplotlib.pyplot')",
            "m.numbers = [1, 2]",
            "m.get_fignums = lambda: list(m.numbers)",
            "m.close = lambda n: m.numbers.remove(n)",
            "class F:",
            "    def savefig(self, file, format): file.write(b'\\x89PNG\\r\\n\\x1a\\n')",
            "m.figure = lambda n: F()",
            "sys.modules['matplotlib.pyplot'] = m",
        ]
    )
    done = await sandbox.run_python(fake, timeout=10)
    assert [artifact.name for artifact in done.artifacts] == ["figure-1.png", "figure-2.png"]
    assert (await sandbox.run_python("1", timeout=10)).artifacts == ()


async def test_calls_from_threads_each_get_their_value(sandbox: WorkerSandbox) -> None:
    async def on_call(name: str, arguments: dict[str, object]) -> object:
        number = int(str(arguments["n"]))
        if number % 2:
            await anyio.lowlevel.checkpoint()
        return number * 2

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: done = list(pool.map(double, range(50)))\n"
        "done == [n * 2 for n in range(50)]"
    )
    done = await sandbox.run_python(code, timeout=10, on_call=on_call, functions={"double": ("n",)})
    assert done.result == "True", done.output


async def test_a_calls_time_is_not_the_cells(sandbox: WorkerSandbox) -> None:
    async def on_call(name: str, arguments: dict[str, object]) -> object:
        await sandbox.run_command("sleep 0.6", timeout=10)
        with pytest.raises(ToolError, match="busy"):
            await sandbox.run_python("1", timeout=1)
        return "waited"

    done = await sandbox.run_python("wait()", timeout=0.4, on_call=on_call, functions={"wait": ()})
    assert (done.status, done.result) == ("ok", "'waited'")


async def test_a_call_can_be_cancelled(sandbox: WorkerSandbox) -> None:
    called, ended = anyio.Event(), anyio.Event()

    async def on_call(name: str, arguments: dict[str, object]) -> object:
        called.set()
        try:
            await anyio.Event().wait()
        finally:
            ended.set()
        return None

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            await sandbox.run_python("x = 1\nwait()", timeout=10, on_call=on_call, functions={"wait": ()})

        tasks.start_soon(run)
        await called.wait()
        tasks.cancel_scope.cancel()
    await ended.wait()
    assert (await sandbox.run_python("x", timeout=10)).result == "1"


async def test_everything_is_stopped_with_a_status_of_the_hosts(sandbox: WorkerSandbox) -> None:
    started = anyio.Event()
    outcomes = []
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            outcomes.append(
                await sandbox.run_command("echo; sleep 60", timeout=60, on_output=lambda s, t: started.set())
            )

        tasks.start_soon(run)
        await started.wait()
        sandbox.stop_with("disk")
    assert outcomes[0].status == "disk"
    assert not sandbox.lost


@pytest.mark.parametrize(
    "attempt",
    [
        "libc.ptrace(0, 0, 0, 0)",
        "libc.unshare(0x10000000)",
        "libc.setns(0, 0)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.syscall(272, 0x10000000)",
        "libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)",
        "libc.syscall(425, 8, bytes(120))",
        "libc.syscall(321, 0, bytes(64), 64)",
        "libc.syscall(323, 0)",
        "libc.syscall(298, bytes(128), 0, -1, -1, 0)",
        "libc.syscall(250, 0, -3, 0)",
        "libc.syscall(310, os.getppid(), 0, 0, 0, 0, 0)",
        "libc.syscall(424, 0, 9, 0, 0)",
        "libc.syscall(302, os.getppid(), 7, 0, 0)",
        "libc.syscall(72, 0, 8, os.getppid())",
        "libc.ioctl(0, 0x5412, b'x')",
        "libc.socket(40, 1, 0)",
        "libc.socket(16, 3, 0)",
        "libc.socket(17, 3, 0)",
        "libc.socket(38, 5, 0)",
        "libc.socket(31, 1, 0)",
    ],
)
async def test_what_containers_leave_open_is_closed(sandbox: WorkerSandbox, attempt: str) -> None:
    code = f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n{attempt}, ctypes.get_errno()"
    assert (await sandbox.run_python(code, timeout=10, fresh=True)).result == "(-1, 1)"


async def test_a_cell_cannot_read_or_change_the_worker(sandbox: WorkerSandbox) -> None:
    for name in ("mem", "environ", "fd", "maps"):
        code = f"import os\np = f'/proc/{{os.getppid()}}/{name}'\n"
        look = "os.listdir(p) if os.path.isdir(p) else open(p).read()"
        done = await sandbox.run_python(code + look, timeout=10)
        assert "PermissionError" in done.output, done


async def test_forged_frames_harm_nobody_else(sandbox: WorkerSandbox) -> None:
    forged = [
        'b"\\xff" * 100',
        "struct.pack('>II', 2, 0) + b'[]'",
        "struct.pack('>II', 100_000, 0) + b'[' * 100_000",
        "frame({'id': None, 'status': 'ok', 'result': 'forged'})",
        "frame({'id': 10**9, 'call': 1, 'name': 'x', 'arguments': {}})",
    ]
    for attempt in forged:
        code = (
            "import os, struct, json\n"
            "def frame(f): b = json.dumps(f).encode(); return struct.pack('>II', len(b), 0) + b\n"
            f"os.write(3, {attempt})"
        )
        await sandbox.run_python(code, timeout=5)
        assert not sandbox.lost
        assert (await sandbox.run_python("2", timeout=10)).result == "2"


async def test_a_sandbox_that_died_or_was_closed_says_so(sandbox: WorkerSandbox) -> None:
    started = anyio.Event()

    async def run() -> None:
        with pytest.raises(SandboxError, match="died"):
            await sandbox.run_command("echo; sleep 60", timeout=60, on_output=lambda s, t: started.set())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await started.wait()
        sandbox._socket.shutdown(socket.SHUT_RD)
    assert sandbox.lost
    with pytest.raises(SandboxError, match="died"):
        await sandbox.run_command("true", timeout=10)


async def test_variables_are_seen_by_all_that_starts_afterwards(sandbox: WorkerSandbox) -> None:
    await sandbox.run_python("import os", timeout=10)
    await sandbox.set_environment({"ADDED": "later"})
    assert (await sandbox.run_command("echo $ADDED", timeout=10)).output == "later\n"
    assert (await sandbox.run_python("os.environ['ADDED']", timeout=10)).result == "'later'"
    assert (
        await sandbox.run_python("import os; os.environ['ADDED']", timeout=10, fresh=True)
    ).result == "'later'"
