"""Programs whose words are another command."""

from __future__ import annotations

from .table import names

WRAPPERS: dict[str, tuple[frozenset[str], frozenset[str], int]] = {
    name: (names(valued), names(harmless), operands)
    for name, valued, harmless, operands in (
        ("time", "-f -o --format --output", "-a -p -q -v --append --portability --quiet --verbose", 0),
        ("nice", "-n --adjustment", "-0 -1 -2 -3 -4 -5 -6 -7 -8 -9", 0),
        ("ionice", "-c -n -p -P -u --class --classdata", "-t --ignore", 0),
        ("nohup", "", "", 0),
        ("setsid", "", "-c -f -w --ctty --fork --wait", 0),
        ("timeout", "-k -s --kill-after --signal", "-v --verbose --foreground --preserve-status", 1),
        ("stdbuf", "-i -o -e --input --output --error", "", 0),
        ("chrt", "-T -P -D", "-b -f -i -o -r -v --batch --fifo --idle --other --rr --verbose", 1),
        ("taskset", "", "-c --cpu-list", 1),
        ("command", "", "-p -v -V", 0),
        ("builtin", "", "", 0),
        ("exec", "-a", "-c -l", 0),
        ("coproc", "", "", 0),
        ("sudo", "-u -g -h -p -C -D -R -r -t -T -U --user --group --host --prompt --chdir", "", 0),
        ("doas", "-u -C", "", 0),
        ("chroot", "--userspec --groups", "", 1),
        ("unshare", "--map-user --map-group --root --wd --setuid --setgid -S -G -R -w", "", 0),
        ("nsenter", "-t -S -G --target --setuid --setgid", "", 0),
        ("busybox", "", "", 0),
        ("toybox", "", "", 0),
        ("setarch", "", "-R --addr-no-randomize", 1),
        ("fakeroot", "-l -s -i -b", "", 0),
        ("unbuffer", "", "-p", 0),
        ("xvfb-run", "-n -s -f -e -p -w", "-a -l --auto-servernum", 0),
        ("strace", "-o -e -p -s -u -E -a -b -I -O -S -P -X", "", 0),
        ("ltrace", "-o -e -p -s -u -a -n -l -x", "", 0),
        (
            "watch",
            "-n --interval",
            "-b -c -C -d -e -g -p -r -t -w -x --beep --color --no-color --differences --errexit --chgexit"
            " --precise --no-title --exec --no-wrap",
            0,
        ),
    )
}
"""Programs that start another: options with a value, those without, how many words stand before its name."""

RAISES = frozenset({"sudo", "doas", "chroot", "unshare", "nsenter", "strace", "ltrace"})
"""Wrappers by which the program may do more than by itself."""
