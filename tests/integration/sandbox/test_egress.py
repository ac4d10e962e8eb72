"""Programs in a jail without a network, and the one way out: the forwarder inside, the proxy on the host."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.streams.tls
import pytest

from llmasos.config import Settings
from llmasos.sandbox import DockerProvider, JailProvider, Workspace
from llmasos.sandbox.egress import Egress

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PUBLIC = "93.184.216.34"
PROGRAM = """
import json, socket, ssl, sys, urllib.error, urllib.request

context = ssl.create_default_context(cafile=sys.argv[1])

def read(address):
    try:
        with urllib.request.urlopen(address, context=context) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return [0, str(error)]

found = {address: read(address) for address in sys.argv[2:]}
try:
    socket.create_connection(("93.184.216.34", 80), 5)
except OSError as error:
    found["without the proxy"] = [0, str(error)]
print(json.dumps(found))
"""


async def answer(stream: anyio.abc.ByteStream) -> None:
    """Answer one request with its own first line."""
    async with stream:
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += await stream.receive()
        body = heard.partition(b"\r\n")[0]
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await stream.send(head.encode() + body)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=example.org",
    ]
    command += ["-addext", "subjectAltName=DNS:example.org", "-out", str(folder / "pem")]
    subprocess.run([*command, "-keyout", str(folder / "key")], check=True, capture_output=True)
    return folder / "pem"


@pytest.fixture
async def ports(certificate: Path) -> AsyncIterator[dict[int, int]]:
    """Servers of a pretended internet: the real port behind each pretended one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key"))

    async def answer_tls(stream: anyio.abc.SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            wrapped = await anyio.streams.tls.TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
            await answer(wrapped)

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    secure = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with plain, secure, anyio.create_task_group() as group:
        group.start_soon(plain.serve, answer)
        group.start_soon(secure.serve, answer_tls)
        local_port = anyio.abc.SocketAttribute.local_port
        yield {80: plain.extra(local_port), 443: secure.extra(local_port)}
        group.cancel_scope.cancel()


@pytest.mark.parametrize("tier", ["docker", "bubblewrap"])
async def test_a_program_without_a_network_reaches_the_named_host_only(
    tier: str, tmp_path: Path, certificate: Path, ports: dict[int, int]
) -> None:
    refused: list[tuple[str, int]] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        return [PUBLIC]

    async def dial(address: str, port: int) -> anyio.abc.ByteStream:
        assert address == PUBLIC
        return await anyio.connect_tcp("127.0.0.1", ports[port])

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    (folder / "authority").write_text(certificate.read_text())
    workspace = Workspace.open(folder, tmp_path / "state")
    settings = Settings(runtime_dir=tmp_path / "run", sandbox_pool=0)
    open_egress = partial(Egress, resolver=resolve, dial=dial)
    make = DockerProvider if tier == "docker" else JailProvider
    provider = make(settings, open_egress=open_egress)
    addresses = (
        "http://example.org/simple/ https://example.org/simple/ http://evil.example/ https://evil.example/"
    )
    try:
        sandbox = await provider.open(
            await workspace.view(),
            session="s",
            hosts=["example.org"],
            on_refused=lambda host, port, reason: refused.append((host, port)),
        )
        done = await sandbox.run_command(f"python3 program.py authority {addresses}", timeout=30)
        again = await sandbox.run_command("curl -sS http://example.org/again || true", timeout=30)
        await sandbox.close()
        closed = await provider.open(await workspace.view(), session="s")
        dark = await closed.run_command("python3 program.py authority http://example.org/", timeout=30)
        await closed.close()
    finally:
        await provider.close()
    found: dict[str, Any] = json.loads(done.output)
    assert found["http://example.org/simple/"] == [200, "GET /simple/ HTTP/1.1"]
    assert found["https://example.org/simple/"] == [200, "GET /simple/ HTTP/1.1"]
    status, text = found["http://evil.example/"]
    assert status == 403
    assert "evil.example:80" in text
    assert "LLMASOS_SANDBOX_HOSTS" in text
    assert found["https://evil.example/"][0] == 0
    assert "unreachable" in found["without the proxy"][1]
    assert refused == [("evil.example", 80), ("evil.example", 443)]
    # The way out outlives the command that used it first.
    assert again.output.startswith("GET /again") or "curl: command not found" in again.output
    assert json.loads(dark.output)["http://example.org/"][0] == 0
