import json
import os
import socket
from urllib.parse import urlsplit

breaches = []
with open("host.json") as file:
    host = json.load(file)
port = host["tcp"]
proxy = urlsplit(os.environ.get("http_proxy") or os.environ.get("HTTP_PROXY") or "http://127.0.0.1:3128")


def ask(what: str, request: str) -> None:
    try:
        with socket.create_connection((proxy.hostname, proxy.port or 3128), timeout=1) as sock:
            sock.sendall(request.encode())
            answer = sock.recv(4096)
        if b" 200 " in answer.split(b"\r\n")[0]:
            breaches.append(what)
    except OSError:
        return


# `localhost` is on the list, and resolves to an address that no list can open.
for target in (
    *("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0.0.0.0"),
    *(
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "172.17.0.1",
        "localhost@127.0.0.1",
        "one.one.one.one",
    ),
    *("127.0.0.1#localhost", "127.0.0.1\tlocalhost", "localhost\r\nHost: 127.0.0.1", "notlocalhost"),
):
    ask(f"CONNECT {target}", f"CONNECT {target}:{port} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    ask(f"GET {target}", f"GET http://{target}:{port}/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
for address in (("127.0.0.1", port), ("1.1.1.1", 53), ("172.17.0.1", port)):
    try:
        socket.create_connection(address, timeout=0.2).close()
        breaches.append(f"directly {address}")
    except OSError:
        continue
print(f"breaches: {breaches}")
