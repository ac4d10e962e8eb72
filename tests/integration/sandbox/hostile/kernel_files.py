import os

# Opened and closed, never written: what opens here could be written.
paths = [
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches"),
    *("/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmem", "/proc/1/mem"),
    *(
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/ksm/run",
        "/sys/power/state",
        "/sys/fs/cgroup/release_agent",
    ),
    *("/dev/mem", "/dev/kmsg", "/dev/port", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm"),
    *("/etc/passwd", "/etc/shadow", "/etc/ld.so.preload", "/usr/bin/python3", "/bin/sh"),
]
for top, folders, names in os.walk("/sys/fs/cgroup"):
    paths += [f"{top}/{name}" for name in names if name in ("cgroup.procs", "tasks", "release_agent")]
    if len(paths) > 200:
        folders.clear()
breaches = []
for path in paths:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        breaches.append(path)
    except OSError:
        continue
print(f"breaches: {breaches}")
