"""A user's machine: the real command line, kernel, sandbox and chain; a scripted endpoint is the model."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LAUNCH = "from llmasos.shell.entry import main; main()"


def call(tool: str, **arguments: object) -> dict[str, Any]:
    """Return a reply of the endpoint that calls a tool."""
    return {"tool": tool, "arguments": json.dumps(arguments)}


class Endpoint:
    """An OpenAI-compatible endpoint that replies from a script, over and over when it has one reply left."""

    def __init__(self) -> None:
        self.replies: list[str | dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.cut = False
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send("application/json", json.dumps({"data": [{"id": "scripted"}]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append(body)
                endpoint.keys.append(self.headers.get("Authorization", ""))
                reply = endpoint.replies.pop(0) if len(endpoint.replies) > 1 else endpoint.replies[0]
                self._send("text/event-stream", b"".join(endpoint.chunks(reply)))

            def _send(self, kind: str, data: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def chunks(self, reply: str | dict[str, Any]) -> Iterator[bytes]:
        if isinstance(reply, str):
            deltas: list[dict[str, Any]] = [{"content": reply[n : n + 5]} for n in range(0, len(reply), 5)]
            reason = "stop"
        else:
            function = {"name": reply["tool"], "arguments": reply["arguments"]}
            number = f"call-{len(self.requests)}"
            deltas = [{"tool_calls": [{"index": 0, "id": number, "type": "function", "function": function}]}]
            reason = "tool_calls"
        for delta in deltas:
            yield self._chunk({"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None})
        if not self.cut:
            yield self._chunk({"index": 0, "delta": {}, "finish_reason": reason})
            yield b"data: [DONE]\n\n"

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
            "choices": [choice],
            "usage": usage if choice["finish_reason"] else None,
        }
        return b"data: " + json.dumps(body).encode() + b"\n\n"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Machine:
    """What a user has: a home, a folder with files, and the command."""

    base: Path
    folder: Path
    endpoint: Endpoint
    env: dict[str, str] = field(default_factory=dict)

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *arguments],
            env=self.env,
            cwd=options.pop("cwd", self.folder),
            text=True,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(
        self, *arguments: str, input: str | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; it never shows a traceback."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(*arguments, **options) as process:
            out, err = process.communicate(input, timeout=600)
        assert "Traceback" not in out + err, out + err
        return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)

    def ask(self, request: str, *arguments: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Run one request with --json and return the exit code and the object."""
        done = self.run("run", request, "--json", *arguments, **options)
        assert done.stdout.count("\n") == 1, done.stdout
        return done.returncode, json.loads(done.stdout)

    def kernel(self) -> int:
        """Return the kernel's process id."""
        return int((self.base / "data" / "kernel.lock").read_text())

    def kill_kernel(self) -> None:
        """Kill the kernel as a power cut would, and wait until it is gone."""
        number = os.pidfd_open(self.kernel())
        try:
            signal.pidfd_send_signal(number, signal.SIGKILL)
            select.select([number], [], [], 20)
        finally:
            os.close(number)


@pytest.fixture
def machine(tmp_path: Path, folder: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    with machine_in(tmp_path, folder, getattr(request, "param", "bubblewrap")) as user:
        yield user


@contextmanager
def machine_in(base: Path, folder: Path, sandbox: str = "bubblewrap") -> Iterator[Machine]:
    """Make a machine whose home is a folder; what runs on it ends with it."""
    endpoint = Endpoint()
    runtime = Path(tempfile.mkdtemp(prefix="llmasos-"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(base),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LLMASOS_DATA_DIR": str(base / "data"),
        "LLMASOS_CONFIG_DIR": str(base / "config"),
        "LLMASOS_RUNTIME_DIR": str(runtime),
        "LLMASOS_SANDBOX": sandbox,
        "LLMASOS_MODEL_URL": endpoint.url,
        "LLMASOS_MODEL_KEY": "sk-for-tests",
    }
    for name in ("DOCKER_HOST", "LLMASOS_CACHE_DIR"):
        if name in os.environ:
            env[name] = os.environ[name]
    user = Machine(base, folder, endpoint, env)
    try:
        yield user
    finally:
        if (base / "data" / "cluster").exists():
            user.run("cluster", "down")
        user.run("stop")
        endpoint.close()
        shutil.rmtree(runtime)


@pytest.fixture
def port(machine: Machine) -> int:
    """A free port, on which the machine's kernel will listen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    machine.env["LLMASOS_SERVICE__PORT"] = str(port)
    return port
