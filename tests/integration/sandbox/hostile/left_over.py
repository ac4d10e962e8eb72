import os

# An orphan's parent is the supervisor, in the tiers that see other people's processes as well.
breaches = []
for name in os.listdir("/proc"):
    try:
        with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as command:
            state, parent = stat.read().rpartition(")")[2].split()[:2]
            if int(parent) == os.getppid() and (state == "Z" or command.read().startswith("survivor")):
                breaches.append(f"{name} {state}")
    except OSError:
        continue
print(f"breaches: {breaches}")
