"""Programs in a jail without a network, and the one way out: the forwarder inside, the proxy on the host."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.streams.tls
import pytest

from llmasos.sandbox import worker_egress
from llmasos.sandbox.egress import PORT, Egress, proxy_environment

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PUBLIC = "93.184.216.34"
PROGRAM = """
import json, socket, ssl, sys, threading, urllib.error, urllib.request

sys.path.insert(0, sys.argv[1])
import worker_egress

listener = worker_egress.listen(int(sys.argv[3]))
threading.Thread(target=worker_egress.forward, args=(sys.argv[2], listener), daemon=True).start()
context = ssl.create_default_context(cafile=sys.argv[4])

def read(address):
    try:
        with urllib.request.urlopen(address, context=context) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return [0, str(error)]

found = {address: read(address) for address in sys.argv[5:]}
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
        "/CN=pypi.org",
    ]
    command += ["-addext", "subjectAltName=DNS:pypi.org", "-out", str(folder / "pem")]
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


async def test_a_program_without_a_network_reaches_the_named_host_only(
    tmp_path: Path, certificate: Path, ports: dict[int, int]
) -> None:
    refused: list[tuple[str, int]] = []

    async def resolve(name: str, port: int) -> Sequence[str]:
        return [PUBLIC]

    async def dial(address: str, port: int) -> anyio.abc.ByteStream:
        assert address == PUBLIC
        return await anyio.connect_tcp("127.0.0.1", ports[port])

    egress = Egress(
        ["pypi.org"],
        resolver=resolve,
        dial=dial,
        on_refused=lambda host, port, reason: refused.append((host, port)),
    )
    addresses = [
        "http://pypi.org/simple/",
        "https://pypi.org/simple/",
        "http://evil.example/",
        "https://evil.example/",
    ]
    inside = [
        *("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"),
        *("--dev", "/dev", "--proc", "/proc", "--clearenv"),
        *(part for name, value in proxy_environment().items() for part in ("--setenv", name, value)),
        *("/usr/bin/python3", "-c", PROGRAM, str(Path(worker_egress.__file__).parent)),
        *(str(tmp_path / "egress"), str(PORT), str(certificate), *addresses),
    ]
    async with egress.listen(tmp_path / "egress"):
        done = await anyio.run_process(inside)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["http://pypi.org/simple/"] == [200, "GET /simple/ HTTP/1.1"]
    assert found["https://pypi.org/simple/"] == [200, "GET /simple/ HTTP/1.1"]
    status, text = found["http://evil.example/"]
    assert status == 403
    assert "evil.example:80" in text
    assert "LLMASOS_SANDBOX_HOSTS" in text
    assert found["https://evil.example/"][0] == 0
    assert "unreachable" in found["without the proxy"][1]
    assert refused == [("evil.example", 80), ("evil.example", 443)]
    assert egress.sent > 0
    assert egress.received > 0
