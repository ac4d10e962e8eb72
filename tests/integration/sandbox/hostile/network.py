from __future__ import annotations

import contextlib
import json
import socket
import struct

breaches: list[str] = []


def attempt(what: str, family: int, kind: int, address: str | tuple[int | str, int]) -> None:
    try:
        with socket.socket(family, kind) as sock:
            sock.settimeout(0.2)
            if kind == socket.SOCK_DGRAM:
                sock.sendto(b"canary", address)
            else:
                sock.connect(address)
        breaches.append(what)
    except OSError:
        return


with open("host.json") as file:
    host = json.load(file)
gateways = ["172.17.0.1"]
with contextlib.suppress(OSError), open("/proc/net/route") as routes:
    for line in list(routes)[1:]:
        gateways.append(socket.inet_ntoa(struct.pack("<I", int(line.split()[2], 16))))
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", host["socket"]):
    attempt(path, socket.AF_UNIX, socket.SOCK_STREAM, path)
attempt("an abstract socket of the host", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + host["abstract"])
for address in ("127.0.0.1", "169.254.169.254", "1.1.1.1", *gateways):
    attempt(f"tcp {address}", socket.AF_INET, socket.SOCK_STREAM, (address, host["tcp"]))
attempt("metadata", socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))
attempt("a name server", socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 53))
attempt("udp", socket.AF_INET, socket.SOCK_DGRAM, (gateways[0], host["udp"]))
attempt("tcp ::1", socket.AF_INET6, socket.SOCK_STREAM, ("::1", host["tcp"]))
for context in (0, 1, 2):
    attempt(f"vsock {context}", socket.AF_VSOCK, socket.SOCK_STREAM, (context, 1))
# In a network of its own this goes to nobody; the host looks whether anything came.
with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.sendto(b"canary", ("127.0.0.1", host["udp"]))
print(f"breaches: {breaches}")
