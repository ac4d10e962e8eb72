"""What programs do with their options and operands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


def names(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


Operands = Literal["none", "read", "write", "delete", "last", "move", "second"]
"""What a program does with the paths it is given.

`last` writes the last one and reads the others, `move` deletes those others as well, `second` reads the first
and writes the second.
"""


@dataclass(frozen=True)
class Spec:
    """What a program does.

    Args:
        operands: What it does with the words that are not options.
        skip: How many of them, at the start, are no paths.
        valued: Options that take a value, which is no path.
        writes: Options whose value is a path that is written.
        risky: Options by which it may do anything.
        unless: Options that take the words to skip, so that all operands are paths.
        files: Options whose value is a path that is read.
    """

    operands: Operands = "read"
    skip: int = 0
    valued: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    risky: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()

    @property
    def takes(self) -> frozenset[str]:
        """The options that take a value."""
        return self.valued | self.writes | self.files


def _spec(
    operands: Operands = "read",
    *,
    skip: int = 0,
    valued: str = "",
    writes: str = "",
    risky: str = "",
    unless: str = "",
    files: str = "",
) -> Spec:
    return Spec(operands, skip, *(names(options) for options in (valued, writes, risky, unless, files)))


def _named(names: str, spec: Spec) -> Iterator[tuple[str, Spec]]:
    for name in names.split():
        yield name, spec


_GREP = _spec(
    skip=1,
    files="-f --file --exclude-from",
    valued="-e --regexp -A -B -C -m -d -D --after-context --before-context --context --max-count"
    " --include --exclude --exclude-dir --label --color --colour --binary-files --devices --directories",
    unless="-e --regexp -f --file",
)
SPLIT = "-a -b -C -l -n -t --bytes --lines --number --line-bytes --suffix-length --separator"
_COPY = "-S --suffix -Z --context --backup -m -o -g --mode --owner --group"

SPECS: dict[str, Spec] = dict(
    (
        *_named(
            "cat tac rev sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum cmp zcmp"
            " colrm look lsattr getfacl findmnt mountpoint zipinfo realpath readlink lsof pathchk namei"
            " tsort blkid lsblk readelf",
            _spec(),
        ),
        ("wc", _spec(valued="--total", files="--files0-from")),
        *_named("head tail", _spec(valued="-n -c -s --lines --bytes --pid --sleep-interval")),
        ("nl", _spec(valued="-b -d -f -h -i -l -n -s -v -w --number-format --number-width")),
        *_named("fold fmt", _spec(valued="-w --width -g --goal -p --prefix")),
        *_named("expand unexpand", _spec(valued="-t --tabs")),
        ("cut", _spec(valued="-b -c -d -f --bytes --characters --delimiter --fields --output-delimiter")),
        ("paste", _spec(valued="-d --delimiters")),
        ("comm", _spec(valued="--output-delimiter")),
        ("join", _spec(valued="-1 -2 -a -e -j -o -t -v")),
        *_named("base64 base32 basenc", _spec(valued="-w --wrap")),
        *_named("od hexdump hd strings", _spec(valued="-A -j -N -S -t -w -n -s -e --format --skip-bytes")),
        *_named(
            "ls dir vdir",
            _spec(
                valued="-I -T -w --block-size --color --format --hide --ignore --indicator-style"
                " --quoting-style --sort --tabsize --time --time-style --width"
            ),
        ),
        ("stat", _spec(valued="-c -t --format --printf")),
        *_named(
            "du df",
            _spec(
                files="-X --exclude-from --files0-from",
                valued="-B -d -t -x --block-size --exclude --max-depth --threshold --type",
            ),
        ),
        (
            "file",
            _spec(
                files="-f --files-from",
                valued="-e -F -P --exclude --separator",
                risky="-C --compile -m --magic-file -z -Z",
            ),
        ),
        *_named(
            "diff diff3 zdiff",
            _spec(
                valued="-C -F -I -L -U -W -x -X -D --context --exclude --label --unified --width --ifdef"
                " --color",
                risky="--diff-program",
            ),
        ),
        (
            "column",
            _spec(valued="-c -E -H -N -O -o -R -s -T -W --separator --output-separator --table-columns"),
        ),
        ("pr", _spec(valued="-D -h -l -N -o -w -W")),
        ("numfmt", _spec("none", valued="-d")),
        *_named("nm size", _spec(risky="--plugin", valued="-f -t")),
        *_named("grep egrep fgrep zgrep zegrep zfgrep bzgrep xzgrep", _GREP),
        (
            "rg",
            _spec(
                skip=1,
                files="-f --file --ignore-file",
                valued="-e --regexp -A -B -C -m -g --glob -t --type -T --type-not --max-count"
                " --max-depth -d --sort --sortr -j -M -r --replace --color --colors -E --encoding --iglob"
                " --type-add",
                risky="--pre --hostname-bin -z --search-zip",
                unless="-e --regexp -f --file --files",
            ),
        ),
        (
            "sort",
            _spec(
                valued="-k -t -S -T --key --field-separator --buffer-size --temporary-directory --batch-size"
                " --parallel --random-source",
                files="--files0-from",
                writes="-o --output",
                risky="--compress-program",
            ),
        ),
        ("uniq", _spec("second", valued="-f -s -w --skip-fields --skip-chars --check-chars")),
        ("shuf", _spec(valued="-n -i --head-count --input-range --random-source", writes="-o --output")),
        ("tree", _spec(valued="-L -P -I --filelimit --charset --timefmt", writes="-o", risky="-R")),
        ("xxd", _spec("second", valued="-c -cols -g -l -len -s -seek -o -n")),
        ("iconv", _spec(valued="-f -t --from-code --to-code", writes="-o --output")),
        (
            "jq",
            _spec(
                skip=1,
                files="-f --from-file",
                valued="--indent -L --arg --argjson --slurpfile --rawfile",
                unless="-f --from-file",
            ),
        ),
        (
            "less",
            _spec(
                valued="-x -j -y -z -b", risky="-o -O -k --log-file --LOG-FILE --lesskey-file --lesskey-src +"
            ),
        ),
        ("more", _spec(risky="+")),
        (
            "date",
            _spec("none", files="-r --reference -f --file", valued="-d --date", risky="-s --set"),
        ),
        ("sdiff", _spec(writes="-o --output", risky="--diff-program")),
        ("wdiff", _spec(risky="-t --terminal")),
        *_named(
            "echo printf true false : test [ pwd exit return break continue shift set wait jobs type sleep"
            " usleep seq yes factor bc expr basename dirname uname whoami id groups who users w uptime free"
            " ps top pgrep nproc lscpu arch tty printenv locale cal ncal tr which whereis ulimit umask times"
            " logname getconf let caller dirs",
            _spec("none"),
        ),
        ("hostname", _spec("none", risky="-F --file -b")),
        *_named(
            "touch mkdir mkfifo mknod",
            _spec("write", files="-r --reference", valued="-d -t -m --date --mode --time"),
        ),
        ("tee", _spec("write")),
        ("truncate", _spec("write", files="-r --reference", valued="-s --size")),
        *_named(
            "cp install", _spec("last", valued=_COPY, writes="-t --target-directory", risky="--strip-program")
        ),
        ("ln", _spec("last", valued="-S --suffix", writes="-t --target-directory")),
        ("mv", _spec("move", valued="-S --suffix --backup", writes="-t --target-directory")),
        *_named(
            "chmod chown chgrp chattr setfattr",
            _spec("write", skip=1, valued="--from", files="--reference", unless="--reference"),
        ),
        *_named("rm unlink rmdir", _spec("delete")),
        ("shred", _spec("delete", valued="-n -s --iterations --size --random-source")),
        ("mktemp", _spec("none", valued="--suffix -p --tmpdir")),
        (
            "patch",
            _spec("write", valued="-p --strip -F -V -D -g -B -Y -z", writes="-o -r -d", risky="-e --ed"),
        ),
        ("split", _spec("second", valued=SPLIT, risky="--filter")),
        *_named("dos2unix unix2dos", _spec("write")),
    )
)

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

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "mksh", "rbash", "fish"})
BUILDERS = names(
    "make gmake ninja cmake ctest meson bazel pytest py.test tox nox cargo go mvn gradle gradlew ant"
    " rake bundle tsc jest mocha vitest eslint prettier ruff mypy black isort flake8 pylint"
    " pre-commit coverage hypothesis sphinx-build mkdocs node deno bun ruby php lua Rscript java"
    " javac gcc g++ cc c++ clang clang++ rustc pdflatex xelatex latexmk dotnet swift julia ghc cabal"
    " stack sbt perl npx poetry pipenv hatch pdm uvx rspec phpunit just task jupyter papermill"
    " streamlit flask django-admin gunicorn uvicorn alembic celery snakemake nextflow dvc"
    " docker-compose"
)
"""Programs that run what files of the folder say."""
