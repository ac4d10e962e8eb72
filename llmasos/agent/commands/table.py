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
        harmless: Its other options, where those that are not known may do anything.
        shape: What its operands look like, where others may do anything.
    """

    operands: Operands = "read"
    skip: int = 0
    valued: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    risky: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    harmless: frozenset[str] = frozenset()
    shape: str = ""

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
    harmless: str = "",
    shape: str = "",
) -> Spec:
    return Spec(
        operands,
        skip,
        names(valued),
        names(writes),
        names(risky),
        names(unless),
        names(files),
        names(harmless),
        shape,
    )


def _named(names: str, spec: Spec) -> Iterator[tuple[str, Spec]]:
    for name in names.split():
        yield name, spec


_GREP = _spec(
    skip=1,
    files="-f --file --exclude-from",
    valued="-e --regexp -A -B -C -m -d -D --after-context --before-context --context --max-count"
    " --include --exclude --exclude-dir --label --binary-files --devices --directories",
    unless="-e --regexp -f --file",
)
SPLIT = (
    "-a -b -C -l -n -t --bytes --lines --number --line-bytes --suffix-length --separator --additional-suffix"
)
_COPY = "-S --suffix --no-preserve --sparse"

SPECS: dict[str, Spec] = dict(
    (
        *_named(
            "cat tac rev sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum cmp zcmp"
            " colrm look lsattr getfacl findmnt mountpoint zipinfo realpath readlink lsof pathchk namei"
            " tsort lsblk readelf bc",
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
        ("od", _spec(valued="-A -j -N -S -t --address-radix --format --skip-bytes --read-bytes")),
        *_named("hexdump hd", _spec(valued="-e -n -s --format --length --skip", files="-f --format-file")),
        ("strings", _spec(valued="-n -t -e -T -s -U --bytes --radix --encoding --target")),
        *_named(
            "ls dir vdir",
            _spec(
                valued="-I -T -w --block-size --format --hide --ignore --indicator-style"
                " --quoting-style --sort --tabsize --time --time-style --width"
            ),
        ),
        ("stat", _spec(valued="-c --format --printf")),
        (
            "du",
            _spec(
                files="-X --exclude-from --files0-from",
                valued="-B -d -t --block-size --exclude --max-depth --threshold",
            ),
        ),
        ("df", _spec(valued="-B -t -x --block-size --type --exclude-type")),
        (
            "file",
            _spec(
                files="-f --files-from",
                valued="-e -F -P --exclude --separator",
                risky="-C --compile -m --magic-file -z -Z --uncompress --uncompress-noreport",
            ),
        ),
        *_named(
            "diff diff3 zdiff",
            _spec(
                valued="-C -F -I -L -U -W -x -D --exclude --label --width --ifdef --horizon-lines",
                files="-X --exclude-from --from-file --to-file",
                risky="--diff-program",
            ),
        ),
        (
            "column",
            _spec(valued="-c -E -H -N -O -o -R -s -T -W --separator --output-separator --table-columns"),
        ),
        ("pr", _spec(valued="-D -h -l -N -o -w -W")),
        ("numfmt", _spec("none", valued="-d")),
        *_named("nm size", _spec(risky="--plugin @", valued="-f -t")),
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
        ("iconv", _spec(valued="-f -t --from-code --to-code", writes="-o --output")),
        (
            "less",
            _spec(
                valued="-x -j -y -z -b -p -P -h --tabs --pattern --jump-target --window --prompt",
                risky="+",
                harmless="-N -n -S -R -r -F -X -i -I -e -E -s -m -M -q -Q -c -C -f -g -G -w -W -J -L -a -A -u"
                " -U -d -V -? --LINE-NUMBERS --line-numbers --chop-long-lines --RAW-CONTROL-CHARS --no-init"
                " --raw-control-chars --quit-if-one-screen --ignore-case --IGNORE-CASE --quit-at-eof --mouse"
                " --squeeze-blank-lines --long-prompt --quiet --silent --force --no-lessopen --help",
            ),
        ),
        ("more", _spec(risky="+")),
        (
            "date",
            _spec(
                "none",
                files="-r --reference -f --file",
                valued="-d --date",
                harmless="-u -I -R --utc --universal --iso-8601 --rfc-email --rfc-2822 --rfc-3339 --debug"
                " --resolution --help --version",
                shape=r"(?s)\+.*",
            ),
        ),
        ("sdiff", _spec(writes="-o --output", risky="--diff-program")),
        ("wdiff", _spec(risky="-t --terminal -a --auto-pager")),
        *_named(
            "echo true false : pwd exit return break continue shift type sleep usleep seq yes factor expr"
            " basename dirname uname whoami id groups who users w uptime free ps top pgrep nproc lscpu"
            " arch tty printenv locale cal ncal tr which whereis ulimit umask times logname getconf caller"
            " dirs",
            _spec("none"),
        ),
        (
            "hostname",
            _spec("none", harmless="-f -d -i -I -s -A -y -a --fqdn --long --short --domain", shape="-"),
        ),
        ("blkid", _spec(writes="-c --cache-file", valued="-n -o -s -t -L -U -O -S -u")),
        ("touch", _spec("write", files="-r --reference", valued="-d -t --date --time")),
        *_named("mkdir mkfifo mknod", _spec("write", valued="-m --mode")),
        ("mktemp", _spec("write", valued="--suffix", writes="-p --tmpdir")),
        ("tee", _spec("write")),
        ("truncate", _spec("write", files="-r --reference", valued="-s --size")),
        ("cp", _spec("last", valued=_COPY, writes="-t --target-directory")),
        (
            "install",
            _spec(
                "last",
                valued="-S --suffix -m -o -g --mode --owner --group",
                writes="-t --target-directory",
                risky="--strip-program",
            ),
        ),
        ("ln", _spec("last", valued="-S --suffix", writes="-t --target-directory")),
        ("mv", _spec("move", valued="-S --suffix", writes="-t --target-directory")),
        *_named(
            "chmod chown chgrp chattr",
            _spec("write", skip=1, valued="--from", files="--reference", unless="--reference"),
        ),
        ("setfattr", _spec("write", valued="-n -v -x --name --value --remove", risky="--restore")),
        *_named("rm unlink rmdir", _spec("delete")),
        ("shred", _spec("delete", valued="-n -s --iterations --size --random-source")),
        (
            "patch",
            _spec("write", valued="-p --strip -F -V -D -g -B -Y -z", writes="-o -r -d", risky="-e --ed"),
        ),
        ("split", _spec("second", valued=SPLIT, risky="--filter")),
        *_named("dos2unix unix2dos", _spec("write")),
    )
)

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
