import ctypes
import os
import platform
import socket

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
x86 = platform.machine() == "x86_64"
numbers = {
    "unshare": 272 if x86 else 97,
    "setns": 308 if x86 else 268,
    "bpf": 321 if x86 else 280,
    "userfaultfd": 323 if x86 else 282,
    "perf_event_open": 298 if x86 else 241,
    "keyctl": 250 if x86 else 219,
    "add_key": 248 if x86 else 217,
    "io_uring_setup": 425,
    "open_tree": 428,
    "fsopen": 430,
    "mount": 165 if x86 else 40,
    "pivot_root": 155 if x86 else 41,
    "init_module": 175 if x86 else 105,
    "kexec_load": 246 if x86 else 104,
    "process_vm_readv": 310 if x86 else 270,
}
CLONE_NEWUSER, AT_FDCWD = 0x10000000, -100
ring, attributes = ctypes.create_string_buffer(256), ctypes.create_string_buffer(128)
attributes[4] = b"\x80"
empty = ctypes.create_string_buffer(128)
own = os.open("/proc/self/ns/uts", os.O_RDONLY)
attempts: dict[str, tuple[object, ...]] = {
    "unshare": (CLONE_NEWUSER,),
    "setns": (own, 0),
    "bpf": (0, empty, 128),
    "userfaultfd": (1,),
    "perf_event_open": (attributes, 0, -1, -1, 0),
    "keyctl": (0, -3, 1),
    "add_key": (b"user", b"canary", b"x", 1, -3),
    "io_uring_setup": (4, ring),
    "open_tree": (AT_FDCWD, b"/", 1),
    "fsopen": (b"tmpfs", 0),
    "mount": (b"none", b"/tmp", b"tmpfs", 0, None),
    "pivot_root": (b"/tmp", b"/tmp"),
    "init_module": (None, 0, b""),
    "kexec_load": (0, 0, None, 0),
    "process_vm_readv": (os.getppid(), empty, 1, empty, 1, 0),
}
breaches = [name for name, arguments in attempts.items() if libc.syscall(numbers[name], *arguments) >= 0]
NETLINK_NETFILTER = 12
families = {
    "netfilter": (socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER),
    "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0),
    "alg": (socket.AF_ALG, socket.SOCK_SEQPACKET, 0),
    "vsock": (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
    "raw": (socket.AF_INET, socket.SOCK_RAW, 1),
}
for name, (family, kind, protocol) in families.items():
    try:
        socket.socket(family, kind, protocol).close()
        breaches.append(name)
    except OSError:
        continue
print(f"breaches: {breaches}")
