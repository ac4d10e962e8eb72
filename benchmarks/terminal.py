"""How the shell feels: a key's echo while a model talks, and while thousands of lines are printed.

The shell runs in a pseudo-terminal, on an endpoint that streams words at a steady rate. Beside it, in the
same run, stands a prompt of prompt_toolkit with `patch_stdout`, above which a thread prints the same words.
"""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pexpect

from benchmarks.speed import LAUNCH

RATE = 200  # tokens in a second
SECONDS = 12
LINES = 10_000
KEYS = 80
# Letters that nothing else writes.
LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"
STOP, KILL = "\x03", "\x15"
PEER = f"""
import sys, threading, time
from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

def talk():
    time.sleep(1)
    for n in range({RATE * SECONDS}):
        sys.stdout.write("word" + (".\\n" if n % 12 == 11 else " "))
        time.sleep(1 / {RATE})

def flood():
    time.sleep(1)
    for n in range({LINES}):
        print("line", n)
    print("END")

with patch_stdout():
    threading.Thread(target=globals()[sys.argv[1]], daemon=True).start()
    PromptSession().prompt("> ")
"""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of those who leave early."""


class Talking:
    """An endpoint that streams words at a steady rate, over and over."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._head("application/json")
                self._piece(json.dumps({"data": [{"id": "talking"}]}).encode())
                self._piece(b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._head("text/event-stream")
                begun = time.perf_counter()
                for n in range(RATE * SECONDS):
                    word = "word" + (".\n\n" if n % 60 == 59 else " ")
                    self._piece(_chunk({"role": "assistant", "content": word}))
                    time.sleep(max(0.0, begun + (n + 1) / RATE - time.perf_counter()))
                self._piece(_chunk({}, "stop") + b"data: [DONE]\n\n")
                self._piece(b"")

            def _head(self, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def _piece(self, data: bytes) -> None:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class Typist:
    """A terminal, and who types at it.

    Args:
        command: What runs in it.
        environment: Its variables.
        folder: Its folder.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self._child = pexpect.spawn(
            command[0], list(command[1:]), env=environment, cwd=str(folder), dimensions=(40, 120)
        )
        self._child.delaybeforesend = None
        self.seen = bytearray()

    def wait_for(self, text: str, since: int = 0, seconds: float = 60) -> float:
        """Return the time at which a text stands in what was written after a place."""
        wanted, end = text.encode(), time.perf_counter() + seconds
        while wanted not in self.seen[since:]:
            if time.perf_counter() > end:
                raise TimeoutError(f"No {text!r} in: {bytes(self.seen[-2000:])!r}")
            self.read(0.5)
        return time.perf_counter()

    def read(self, seconds: float) -> None:
        """Take what is written within some time, until something is."""
        if select.select([self._child.child_fd], [], [], max(0.0, seconds))[0]:
            self.seen += os.read(self._child.child_fd, 65536)

    def type(self, text: str) -> None:
        """Type a text at once."""
        self._child.send(text)

    def echoes(self, keys: int, pause: float) -> list[float]:
        """Type keys one after the other, and return after how many seconds each is seen."""
        found = []
        for n in range(keys):
            letter = LETTERS[n % len(LETTERS)]
            place, begun = len(self.seen), time.perf_counter()
            self.type(letter)
            found.append(self.wait_for(letter, place) - begun)
            until = time.perf_counter() + pause
            while time.perf_counter() < until:
                self.read(until - time.perf_counter())
        return found

    def close(self) -> None:
        """End what runs."""
        self._child.close(force=True)


@contextmanager
def _shell(folder: Path, base: Path, url: str) -> Iterator[Typist]:
    environment = {
        **os.environ,
        "LLMASOS_DATA_DIR": str(base / "data"),
        "LLMASOS_CONFIG_DIR": str(base / "config"),
        "LLMASOS_RUNTIME_DIR": str(base / "run"),
        "LLMASOS_SANDBOX": "bubblewrap",
        "LLMASOS_MODEL_URL": url,
        "TERM": "xterm-256color",
        "PAGER": "",
    }
    subprocess.run([*LAUNCH, "sessions"], env=environment, check=True, stdout=subprocess.DEVNULL)
    typist = Typist(LAUNCH, environment, folder)
    try:
        yield typist
    finally:
        typist.close()
        subprocess.run([*LAUNCH, "stop"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _ours(folder: Path, base: Path) -> tuple[list[float], list[float], list[float], float]:
    """Return the echoes at rest, while a model talks and while lines are printed; and how long these take."""
    talking = Talking()
    try:
        with _shell(folder, base, talking.url) as typist:
            typist.wait_for("ledger")
            at_rest = typist.echoes(KEYS, 0.03)
            typist.type(f"{KILL}hello\r")
            typist.wait_for("word word")
            talked = typist.echoes(KEYS, 0.08)
            typist.type(STOP)
            typist.wait_for("Cancelled.")
            place = len(typist.seen)
            typist.type(f"{KILL}!seq 1 {LINES}\r")
            typist.wait_for("/open 1", place)
            typist.wait_for("after ", place)
            place, begun = len(typist.seen), time.perf_counter()
            typist.type("/open 1\r")
            typist.wait_for("\n100\r", place)
            flooded = typist.echoes(20, 0.0)
            lasted = typist.wait_for(f"\n{LINES}\r", place) - begun
    finally:
        talking.close()
    return at_rest, talked, flooded, lasted


def _peers(folder: Path, script: Path) -> tuple[list[float], float]:
    environment = {**os.environ, "TERM": "xterm-256color"}
    talker = Typist([sys.executable, str(script), "talk"], environment, folder)
    talker.wait_for("word")
    talked = talker.echoes(KEYS, 0.08)
    talker.close()
    flooder = Typist([sys.executable, str(script), "flood"], environment, folder)
    begun = flooder.wait_for("line 1")
    lasted = flooder.wait_for("END") - begun
    flooder.close()
    return talked, lasted


def lines() -> list[str]:
    """Measure, and return the section."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        folder = base / "folder"
        folder.mkdir()
        script = base / "peer.py"
        script.write_text(PEER)
        at_rest, talked, flooded, lasted = _ours(folder, base)
        peer_talked, peer_lasted = _peers(folder, script)
    rows = [
        ("a key's echo at rest", "", at_rest, None),
        (f"a key's echo while {RATE} tokens a second stream", "10 ms", talked, peer_talked),
        (f"a key's echo while {LINES:,} lines are printed", "", flooded, None),
    ]
    return [
        "From the key until its letter is written to the terminal. Beside: a prompt of prompt_toolkit with",
        "`patch_stdout`, above which a thread prints the same.",
        "",
        "| what | bound | median | slowest in 20 | beside: median | slowest in 20 |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_row(*row) for row in rows),
        "",
        f"The {LINES:,} lines take {lasted:.1f} s; beside, {peer_lasted:.1f} s.",
    ]


def _row(what: str, bound: str, ours: Sequence[float], peers: Sequence[float] | None) -> str:
    shown = [f"{statistics.median(ours) * 1000:.1f} ms", f"{_slow(ours) * 1000:.1f} ms"]
    shown += [""] * 2
    if peers is not None:
        ratio = statistics.median(peers) / statistics.median(ours)
        shown[2:] = [
            f"{statistics.median(peers) * 1000:.1f} ms ({ratio:.1f}x)",
            f"{_slow(peers) * 1000:.1f} ms",
        ]
    return f"| {what} | {bound} | {' | '.join(shown)} |"


def _slow(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    body = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "talking",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2} if reason else None,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"
