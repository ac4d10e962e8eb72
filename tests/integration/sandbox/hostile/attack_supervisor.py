import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
breaches = []
with open("host.json") as file:
    host = json.load(file)
for process in (os.getppid(), 1):
    for name in ("mem", "environ", "maps", "fd"):
        try:
            if name == "fd":
                os.listdir(f"/proc/{process}/fd")
            else:
                with open(f"/proc/{process}/{name}", "rb+" if name == "mem" else "rb") as secret:
                    secret.read(1)
            breaches.append(f"/proc/{process}/{name}")
        except OSError:
            continue
    for request in (PTRACE_ATTACH, PTRACE_SEIZE):
        if libc.ptrace(request, process, None, None) == 0:
            breaches.append(f"ptrace {request} of {process}")
    address = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(address), 8)
    if libc.process_vm_readv(process, vector, 1, vector, 1, 0) > 0:
        breaches.append(f"process_vm_readv of {process}")
try:
    os.kill(host["canary"], 0)
    with open(f"/proc/{host['canary']}/cmdline", "rb") as file_of_canary:
        if b"canary" in file_of_canary.read():
            breaches.append("a signal to a process of the host")
except OSError:
    pass
print(f"breaches: {breaches}")
