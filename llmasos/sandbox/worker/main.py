"""The resident worker inside a sandbox: runs commands, Python cells and file operations for the host.

It is run as a script by the sandbox's own Python (3.9 or newer) and uses the standard library alone.
Frames are a length (4 bytes, big endian) and JSON. The supervisor keeps two children: `python` holds the
session's variables, `files` does file operations; either is killed and started again when it hangs.
"""

from __future__ import annotations

import ast
import base64
import builtins
import contextlib
import ctypes
import fnmatch
import json
import os
import re
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

WORKSPACE = "/workspace"
LARGEST_FRAME = 64_000_000
GRACE = 1.0  # seconds between an interrupt and a kill
FILE_SECONDS = 30.0
SWEEP_SECONDS = 2.0
# Where the kernel counts the processes it killed for want of memory: this sandbox's, else the machine's.
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control", "/proc/vmstat")
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
CHILD = "import sys; sys.path[0] = sys.argv[1]; from worker.main import child; child(sys.argv[2], int(sys.argv[3]))"
SKIPPED = {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"}

Frame = dict[str, Any]
Frames = list[Frame]
Report = Callable[[str, str], None]  # gets a stream's name and text


class Channel:
    """Frames over a socket; sending is safe from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Send a frame whole."""
        data = json.dumps(frame, ensure_ascii=True).encode()
        with self._lock:
            self._socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self) -> Frame | None:
        """Return the next frame, or None at the end.

        Raises:
            ValueError: The frame is too large, or is not an object.
        """
        head = self._exactly(4)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > LARGEST_FRAME:
            raise ValueError("frame too large")
        body = self._exactly(length)
        if body is None:
            return None
        frame = json.loads(body)
        if not isinstance(frame, dict):
            raise ValueError("a frame is not an object")
        return frame

    def _exactly(self, count: int) -> bytes | None:
        parts = []
        while count:
            part = self._socket.recv(min(count, 1 << 20))
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


class Drain:
    """Reads pipes to their end on a thread, reports text as it comes, and keeps what fits."""

    def __init__(self, pipes: dict[str, IO[bytes]], cap: int, report: Report) -> None:
        self._pipes = pipes
        self._cap = cap
        self._report = report
        self.truncated = False
        self._kept = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        names = {pipe.fileno(): name for name, pipe in self._pipes.items()}
        poll = select.poll()
        for number in names:
            poll.register(number, select.POLLIN | select.POLLHUP)
        while names:
            for number, _ in poll.poll():
                try:
                    data = os.read(number, 65536)
                except OSError:
                    data = b""
                if not data:
                    poll.unregister(number)
                    del names[number]
                    continue
                self.take(names[number], data)

    def take(self, name: str, data: bytes) -> None:
        """Report what fits of a piece of output."""
        room = self._cap - self._kept
        if len(data) > room:
            if not self.truncated:
                self._report(name, (data[:room] + b"\n[output cut here]\n").decode("utf-8", "replace"))
            self.truncated = True
            self._kept = self._cap
            return
        self._kept += len(data)
        self._report(name, data.decode("utf-8", "replace"))

    def join(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for the pipes' end."""
        self._thread.join(timeout)


def pipes(process: subprocess.Popen[bytes]) -> dict[str, IO[bytes]]:
    """Return the pipes that a process writes to."""
    assert process.stdout is not None and process.stderr is not None
    return {"stdout": process.stdout, "stderr": process.stderr}


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill all that is left of a process's group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def descendants(spared: set[int]) -> list[int]:
    """Return this process's descendants, leaving out those in `spared` with all below them."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name, "rb") as file:
                # The program's name, in parentheses, may itself hold blanks and parentheses.
                parent = int(file.read().rpartition(b")")[2].split()[1])
                below.setdefault(parent, []).append(int(name))
    found, queue = [], [os.getpid()]
    while queue:
        for number in below.get(queue.pop(), []):
            if number not in spared:
                found.append(number)
                queue.append(number)
    return found


def oom_kills() -> int:
    """Return how many processes were killed for want of memory so far, or 0 where nothing counts them."""
    for path in OOM_COUNTERS:
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


class Supervisor:
    """Serves the host's requests, each on a thread of its own."""

    def __init__(self, channel: Channel, limits: dict[str, int]) -> None:
        self._channel = channel
        self._limits = limits
        self._children: dict[str, Child] = {}
        self._child_locks = {"python": threading.Lock(), "files": threading.Lock()}
        self._running: dict[int, threading.Event] = {}
        self._spared: set[int] = set()
        # A process must be known as ours before anyone sweeps.
        self._processes = threading.Lock()

    def serve(self) -> None:
        """Serve until the host closes the channel."""
        while True:
            frame = self._channel.receive()
            if frame is None:
                return
            op = frame["op"]
            if op == "reply":
                child = self._children.get("python")
                if child is not None:
                    child.waiting = False
                    child.channel.send(frame)
            elif op == "attach":
                os.chdir(WORKSPACE)
                for role in list(self._children):
                    self._drop(role)
                self._channel.send({"id": frame["id"], "done": {}})
            elif op == "interrupt":
                stop = self._running.get(frame["id"])
                if stop is not None:
                    stop.set()
            else:
                stop = self._running[frame["id"]] = threading.Event()
                threading.Thread(target=self._handle, args=(frame, stop), daemon=True).start()

    def _handle(self, frame: Frame, stop: threading.Event) -> None:
        number = frame["id"]
        try:
            if frame["op"] == "command":
                done = self._command(frame, stop)
            elif frame["op"] == "python":
                done = self._cell(frame, stop)
            else:
                done = self._file_operation(frame, stop)
        except Exception as error:
            done = {"error": "the sandbox's worker failed: %s" % error}
        finally:
            self._running.pop(number, None)
        self._channel.send({"id": number, "done": done})

    def _output(self, number: int) -> Report:
        def report(stream: str, text: str) -> None:
            self._channel.send({"id": number, "stream": stream, "text": text})

        return report

    def _command(self, frame: Frame, stop: threading.Event) -> Frame:
        kills = oom_kills()
        with self._processes:
            process = subprocess.Popen(
                ["/bin/bash", "-c", frame["command"]],
                cwd=WORKSPACE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._spared.add(process.pid)
        drain = Drain(pipes(process), self._limits["output_bytes"], self._output(frame["id"]))
        deadline = time.monotonic() + frame["timeout"]
        status = "ok"
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02 if time.monotonic() < deadline - 0.02 else 0.001)
            if process.returncode is None and (stop.is_set() or time.monotonic() > deadline):
                status = "cancelled" if stop.is_set() else "timeout"
                os.killpg(process.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
                break
        kill_group(process)
        process.wait()
        self._sweep(process)
        # A survivor of the sweep may hold the pipes open for ever; what it writes is not ours.
        drain.join(0.5)
        code = process.returncode
        if status == "ok" and code != 0:
            status = "failed"
        # Anyone can send SIGKILL; only the kernel's count tells that it was for want of memory.
        if status == "failed" and code in (-9, 137) and oom_kills() > kills:
            status = "memory"
        return {
            "status": status,
            "exit_code": code if status != "timeout" else None,
            "truncated": drain.truncated,
        }

    def _sweep(self, ended: subprocess.Popen[bytes]) -> None:
        """Kill what a process that has ended leaves behind, whatever group it has moved to.

        As the supervisor is a subreaper, orphans become its children, also those of commands that still run.
        """
        deadline = time.monotonic() + SWEEP_SECONDS
        with self._processes:
            self._spared.discard(ended.pid)
            while time.monotonic() < deadline:
                left = descendants(self._spared)
                if not left:
                    return
                for number in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(number, signal.SIGKILL)
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(number, os.WNOHANG)
                time.sleep(0.001)

    def _child(self, role: str) -> Child:
        child = self._children.get(role)
        if child is not None and child.process.poll() is not None:
            self._drop(role)
            child = None
        if child is None:
            with self._processes:
                child = self._children[role] = Child(role, self._limits)
                self._spared.add(child.process.pid)
        return child

    def _drop(self, role: str) -> None:
        child = self._children.pop(role, None)
        if child is not None:
            child.close()
            self._sweep(child.process)

    def _cell(self, frame: Frame, stop: threading.Event) -> Frame:
        report = self._output(frame["id"])
        with self._child_locks["python"]:
            child = self._child("python")
            kills = oom_kills()
            child.listen(report, self._limits["output_bytes"])
            child.channel.send({"code": frame["code"], "functions": frame["functions"], "id": frame["id"]})
            deadline = time.monotonic() + frame["timeout"]
            interrupted = 0.0
            status = ""
            before = time.monotonic()
            while True:
                answer = child.poll(0.05)
                now = time.monotonic()
                if child.waiting:
                    # The host carries out a call; that time is not the cell's.
                    deadline += now - before
                before = now
                if answer == {}:
                    code = child.process.wait()
                    self._drop("python")
                    if not status:
                        status = "memory" if code == -9 and oom_kills() > kills else "lost"
                    return {"status": status, "restarted": True, "truncated": child.truncated}
                if answer is not None and "call" in answer:
                    child.waiting = True
                    call = {key: answer[key] for key in ("call", "name", "arguments")}
                    self._channel.send(dict(call, id=frame["id"]))
                    continue
                if answer is not None:
                    if status:
                        answer["status"] = status
                    return dict(answer, truncated=child.truncated)
                if not interrupted and (stop.is_set() or now > deadline):
                    status = "cancelled" if stop.is_set() else "timeout"
                    interrupted = now
                    child.process.send_signal(signal.SIGINT)
                elif interrupted and now > interrupted + GRACE:
                    self._drop("python")
                    return {"status": status, "restarted": True, "truncated": child.truncated}

    def _file_operation(self, frame: Frame, stop: threading.Event) -> Frame:
        with self._child_locks["files"]:
            child = self._child("files")
            child.channel.send(frame)
            deadline = time.monotonic() + FILE_SECONDS
            while True:
                answer = child.poll(0.05)
                if answer == {} or stop.is_set() or time.monotonic() > deadline:
                    self._drop("files")
                    return {"error": "%s did not finish within %d s" % (frame["op"], FILE_SECONDS)}
                if answer is not None:
                    return answer


class Child:
    """A child of the supervisor, with a channel of its own and its output drained at all times."""

    def __init__(self, role: str, limits: dict[str, int]) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-c", CHILD, sys.path[0], role, str(theirs.fileno())],
            cwd=WORKSPACE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self.channel = Channel(ours)
        self._cell: _Cap | None = None
        self.waiting = False
        self._drain = Drain(pipes(self.process), 1 << 62, self._forward)

    def listen(self, report: Report, cap: int) -> None:
        """Send what is printed from now on to `report`."""
        self._cell = _Cap(report, cap)

    @property
    def truncated(self) -> bool:
        """Whether output since `listen` was left out."""
        return self._cell is not None and self._cell.truncated

    def _forward(self, name: str, text: str) -> None:
        if self._cell is not None:
            self._cell.take(name, text)

    def readable(self, seconds: float) -> bool:
        """Return whether a frame comes within `seconds`."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def poll(self, seconds: float) -> Frame | None:
        """Return the next frame, None when there is none yet, or {} when the child is gone."""
        if not self.readable(seconds):
            return None
        try:
            frame = self.channel.receive()
        except (OSError, ValueError):
            return {}
        if frame is None:
            return {}
        if "done" in frame or "error" in frame or "status" in frame:
            self._settle()
        return frame

    def _settle(self) -> None:
        """Wait until what the child printed before its last frame has been read."""
        for pipe in pipes(self.process).values():
            for _ in range(200):
                if not select.select([pipe], [], [], 0)[0]:
                    break
                time.sleep(0.002)

    def close(self) -> None:
        """Kill the child with its group."""
        kill_group(self.process)
        self.process.wait()
        self._drain.join(0.2)
        self._socket.close()


class _Cap:
    """Reports one cell's output as far as it fits."""

    def __init__(self, report: Report, cap: int) -> None:
        self._report = report
        self._room = cap
        self.truncated = False

    def take(self, name: str, text: str) -> None:
        if self.truncated:
            return
        if len(text) > self._room:
            self.truncated = True
            text = text[: self._room] + "\n[output cut here]\n"
        self._room -= len(text)
        self._report(name, text)


class ToolError(Exception):
    """A tool called from Python could not do what it was asked."""


class Python:
    """The session's Python: one namespace, one cell at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._calls = 0
        self._names: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": builtins,
            "ToolError": ToolError,
        }

    def serve(self) -> None:
        """Run cells until the supervisor closes the channel."""
        while True:
            try:
                frame = self._channel.receive()
                if frame is None:
                    return
                if "code" in frame:
                    self._channel.send(self._run(frame))
            except KeyboardInterrupt:
                continue

    def _run(self, frame: Frame) -> Frame:
        for name, parameters in frame["functions"].items():
            self._names[name] = self._function(name, parameters)
        try:
            result = self._execute(frame["code"])
            answer = {"status": "ok", "exit_code": 0, "result": result}
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
            answer = {"status": "ok" if code == 0 else "failed", "exit_code": code, "result": ""}
        except MemoryError:
            answer = {"status": "memory", "exit_code": 1, "result": ""}
            sys.stderr.write("MemoryError\n")
        except BaseException as error:
            answer = {"status": "failed", "exit_code": 1, "result": ""}
            sys.stderr.write(self._trace(error))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        return answer

    def _execute(self, code: str) -> str:
        import linecache

        name = "<cell>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        tree = ast.parse(code, name)
        last = None
        end = tree.body[-1] if tree.body else None
        if isinstance(end, ast.Expr):
            tree.body.pop()
            last = ast.Expression(end.value)
        exec(compile(tree, name, "exec"), self._names)
        if last is None:
            return ""
        value = eval(compile(last, name, "eval"), self._names)
        return "" if value is None else repr(value)[:20000]

    def _trace(self, error: BaseException) -> str:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != "<cell>":
            trace = trace.tb_next
        return "".join(traceback.format_exception(type(error), error, trace, chain=False))

    def _function(self, name: str, parameters: list[str]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            if len(values) > len(parameters):
                raise TypeError("%s takes at most %d arguments" % (name, len(parameters)))
            arguments = {parameters[place]: value for place, value in enumerate(values)}
            arguments.update(named)
            self._calls += 1
            self._channel.send({"call": self._calls, "name": name, "arguments": arguments})
            while True:
                frame = self._channel.receive()
                if frame is None:
                    raise SystemExit(1)
                if frame.get("call") == self._calls:
                    break
            if "error" in frame:
                raise ToolError(frame["error"])
            return frame["value"]

        call.__name__ = name
        call.__doc__ = "%s(%s)" % (name, ", ".join(parameters))
        return call


class Refused(Exception):
    """A file operation that cannot be done, with the reason for a person."""


class Files:
    """File operations below the workspace."""

    def serve(self, channel: Channel) -> None:
        """Carry out operations until the supervisor closes the channel."""
        operations: dict[str, Callable[..., Frame]] = {
            "read": self.read,
            "write": self.write,
            "list": self.list,
            "search": self.search,
        }
        while True:
            frame = channel.receive()
            if frame is None:
                return
            try:
                channel.send({"done": operations[frame["op"]](**frame["arguments"])})
            except Refused as error:
                channel.send({"error": str(error)})
            except OSError as error:
                name = error.filename or frame["arguments"].get("path", "")
                channel.send({"error": "%s: %s" % (relative(os.fsdecode(name)), error.strerror)})

    def read(self, path: str, offset: int, limit: int) -> Frame:
        """Return at most `limit` bytes from `offset` on, and the size of the whole."""
        full = resolve(path)
        with os.fdopen(os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISDIR(info.st_mode):
                raise Refused("%s is a folder; use list_files" % path)
            if not stat.S_ISREG(info.st_mode):
                raise Refused("%s is not a regular file" % path)
            file.seek(offset)
            data = file.read(limit)
        return {"data": base64.b64encode(data).decode(), "size": info.st_size}

    def write(self, path: str, data: str) -> Frame:
        """Write base64 data as a whole file, with the folders above it."""
        full = resolve(path)
        if os.path.isdir(full):
            raise Refused("%s is a folder" % path)
        folder = os.path.dirname(full)
        os.makedirs(folder, exist_ok=True)
        try:
            mode = stat.S_IMODE(os.stat(full).st_mode)
        except FileNotFoundError:
            mode = 0o666 & ~UMASK
        number, temporary = tempfile.mkstemp(prefix=".llmasos-", dir=folder)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(base64.b64decode(data))
            os.chmod(temporary, mode)
            os.replace(temporary, full)
        except BaseException:
            os.unlink(temporary)
            raise
        return {}

    def list(self, path: str, pattern: str, depth: int | None, limit: int) -> Frame:
        """Return files whose name, or path if the pattern has a slash, matches a glob."""
        top = resolve(path)
        if not os.path.isdir(top):
            raise Refused("%s is not a folder" % path)
        entries: Frames = []
        omitted = 0
        for folder, names, files in os.walk(top):
            level = 0 if folder == top else relative(folder, top).count("/") + 1
            names[:] = sorted(name for name in names if name not in SKIPPED)
            for name in sorted(names + files):
                full = os.path.join(folder, name)
                shown = relative(full)
                if not fnmatch.fnmatch(shown if "/" in pattern else name, pattern):
                    continue
                info = os.lstat(full)
                kind = (
                    "link"
                    if stat.S_ISLNK(info.st_mode)
                    else "folder"
                    if stat.S_ISDIR(info.st_mode)
                    else "file"
                    if stat.S_ISREG(info.st_mode)
                    else "other"
                )
                if kind == "folder" and pattern != "*":
                    continue
                if len(entries) < limit:
                    entries.append({"path": shown, "kind": kind, "size": info.st_size})
                else:
                    omitted += 1
            if depth is not None and level + 1 >= depth:
                names[:] = []
        return {"entries": entries, "omitted": omitted}

    def search(self, pattern: str, path: str, glob: str, limit: int) -> Frame:
        """Return lines that match a regular expression."""
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise Refused("the pattern is not a regular expression: %s" % error) from error
        top = resolve(path)
        matches: Frames = []
        omitted = 0
        for full in self._files(top, glob):
            try:
                if not stat.S_ISREG(os.stat(full).st_mode):
                    continue
                with open(full, "rb") as file:
                    if b"\0" in file.read(4096):
                        continue
                    file.seek(0)
                    for number, line in enumerate(file, 1):
                        text = line[:10000].decode("utf-8", "replace").rstrip("\r\n")
                        if wanted.search(text):
                            if len(matches) < limit:
                                matches.append({"path": relative(full), "line": number, "text": text[:1000]})
                            else:
                                omitted += 1
            except PermissionError:
                continue
        return {"matches": matches, "omitted": omitted}

    def _files(self, top: str, glob: str) -> Iterator[str]:
        if not os.path.isdir(top):
            yield top
            return
        for folder, names, files in os.walk(top):
            names[:] = sorted(name for name in names if name not in SKIPPED)
            for name in sorted(files):
                if fnmatch.fnmatch(name, glob):
                    yield os.path.join(folder, name)


def resolve(path: str) -> str:
    """Return the real path, refusing what lies outside the workspace."""
    full = os.path.realpath(os.path.join(WORKSPACE, path))
    if full != WORKSPACE and not full.startswith(WORKSPACE + "/"):
        raise Refused("%s lies outside the folder" % path)
    return full


def relative(full: str, top: str = WORKSPACE) -> str:
    """Return a path as seen from `top`, or as it is when it lies elsewhere."""
    return full[len(top) + 1 :] if full.startswith(top + "/") else full


def limit(limits: dict[str, int]) -> None:
    """Set the limits of this process and of all that it starts."""
    memory = limits["memory_mb"] << 20
    for name, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_FSIZE, 4 << 30),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(name, (value, value))


UMASK = 0o022


def main(where: str, text: str) -> None:
    """Serve the host as the options say."""
    options = json.loads(text)
    limits = options["limits"]
    if not options.get("user_limits"):
        limits["processes"] = 1 << 20
    sock = connect(where)
    # A cell must not trace or read the memory of the process that answers for it.
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.umask(UMASK)
    limit(limits)
    channel = Channel(sock)
    channel.send({"ready": os.getpid()})
    Supervisor(channel, limits).serve()
    os._exit(0)


def child(role: str, number: int) -> None:
    """Play a child's role."""
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    channel = Channel(sock)
    if role == "python":
        sys.path.insert(0, WORKSPACE)
        sys.argv = [""]
        Python(channel).serve()
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Files().serve(channel)


def connect(where: str) -> socket.socket:
    """Return the host's socket: an inherited descriptor by number, or a path to connect to."""
    if where.isdigit():
        sock = socket.socket(fileno=int(where))
        sock.set_inheritable(False)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(where)
    return sock
