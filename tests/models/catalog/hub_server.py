"""A model hub that a test controls: real HTTP with ranges, refusals, cuts and lies."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "example/tiny"


def git_digest(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """Serves one repository.

    Args:
        files: Content by path; names ending in safetensors or gguf are large ones, with a SHA-256.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.claimed: dict[str, bytes] = {}
        self.commit = COMMIT
        self.licence = "apache-2.0"
        self.token = ""
        self.gated = False
        self.cut_after: list[int] = []
        self.ranges = True
        self.redirect_to = ""
        self.answer: bytes | None = None
        self.status = 200
        self.seen: list[tuple[str, str, str]] = []
        self.url = ""

    def listing(self) -> dict[str, Any]:
        siblings = []
        for path, content in self.files.items():
            claimed = self.claimed.get(path, content)
            entry: dict[str, Any] = {"rfilename": path, "size": len(claimed), "blobId": git_digest(claimed)}
            if path.endswith((".safetensors", ".gguf", ".bin")):
                sha256 = hashlib.sha256(claimed).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(claimed), "pointerSize": 134}
            siblings.append(entry)
        return {"sha": self.commit, "siblings": siblings, "cardData": {"license": self.licence}}

    def downloads(self) -> list[tuple[str, str]]:
        """Return which files were asked for, and from which byte on."""
        return [(path.rsplit("/", 1)[-1], asked) for path, asked, _ in self.seen if "/resolve/" in path]

    @contextmanager
    def running(self) -> Iterator[HubServer]:
        """Serve on a port of the system's choosing."""
        server = _Server(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave, whose output is looked at."""


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            return

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            asked, sent = self.headers.get("Range", ""), self.headers.get("Authorization", "")
            hub.seen.append((path, asked, sent))
            if hub.status != 200:
                self._refuse(hub.status, "")
            elif path.startswith("/api/models/"):
                self._list(path, sent)
            else:
                self._file(path, asked, sent)

        def _list(self, path: str, sent: str) -> None:
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if name != REPOSITORY:
                self._refuse(401, "RepoNotFound")
            elif revision not in ("main", "v1", hub.commit):
                self._refuse(404, "RevisionNotFound")
            else:
                self._send(200, hub.answer if hub.answer is not None else json.dumps(hub.listing()).encode())

        def _file(self, path: str, asked: str, sent: str) -> None:
            name = path.split(f"/resolve/{hub.commit}/")[-1]
            if hub.redirect_to:
                self.send_response(302)
                self.send_header("Location", f"{hub.redirect_to}{path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif hub.gated and sent != f"Bearer {hub.token}":
                self._refuse(403 if sent else 401, "GatedRepo")
            elif name not in hub.files:
                self._refuse(404, "EntryNotFound")
            else:
                content = hub.files[name]
                begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.ranges else 0
                headers = (
                    {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
                )
                if begin >= len(content) > 0:
                    self._refuse(416, "")
                else:
                    cut = hub.cut_after.pop(0) if hub.cut_after else None
                    self._send(206 if begin else 200, content[begin:], headers, cut)

        def _refuse(self, status: int, code: str) -> None:
            self._send(status, b"{}", {"X-Error-Code": code} if code else {})

        def _send(
            self, status: int, content: bytes, headers: dict[str, str] | None = None, cut: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True

    return Handler
