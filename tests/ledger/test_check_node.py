"""The proof checker asks the node that it was given, and no other."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError

import pytest

from llmasos.ledger.check import ask


@pytest.fixture
def node() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if self.path == "/" else 302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps({"result": "0x1"}).encode())

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_node_that_redirects_is_not_followed(node: tuple[str, list[str]]) -> None:
    url, asked = node
    assert ask(f"{url}/", "eth_chainId") == "0x1"
    with pytest.raises(HTTPError, match="302"):
        ask(f"{url}/away", "eth_chainId")
    assert asked == ["/", "/away"]
