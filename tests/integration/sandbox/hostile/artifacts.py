import contextlib
import os
import struct
import zlib
from collections.abc import Callable

keep: Callable[..., object] = globals()["keep"]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


header = struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 2, 0, 0, 0)
png_bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * (1 << 20)))
os.symlink("/etc/shadow", "shadow")
os.symlink("/etc", "folder")
os.mkfifo("pipe")
with open("sparse", "wb") as sparse, contextlib.suppress(OSError):
    sparse.truncate(1 << 40)
with open("plain", "w") as plain:
    plain.write("plain")
for path in ("shadow", "folder/shadow", "../etc/shadow", "/etc/shadow", "pipe", "/dev/zero", "sparse"):
    with contextlib.suppress(Exception):
        keep(path)
for name in ("../../escape.png", "/etc/cron.d/owned", "a\nb", ".bashrc", "x" * 10_000):
    with contextlib.suppress(Exception):
        keep("plain", name)
with contextlib.suppress(Exception):
    keep(png_bomb, "bomb.png")
for _ in range(1000):
    with contextlib.suppress(Exception):
        keep(b"one of many")
