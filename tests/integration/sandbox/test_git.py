"""Git in a real view does what a developer expects, and the person's repository is whole afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmasos.config import HIDDEN
from llmasos.sandbox import JailProvider, Workspace
from llmasos.sandbox.identity import Identity, read_identity
from llmasos.sandbox.port import ViewKind
from tests.integration.sandbox.places import Place
from tests.sandbox.conftest import fill

pytestmark = [pytest.mark.anyio, pytest.mark.integration]
NOBODY = Identity()
SECRETS = (".env", "deep/server.key")
WHO = {f"GIT_{role}_{name}": "ann@x" for role in ("AUTHOR", "COMMITTER") for name in ("NAME", "EMAIL")}
WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "version 4": ("git update-index --index-version 4",),
    "split": ("git update-index --split-index", "echo more >> a.txt; git commit -qam more"),
    "packed": ("git gc -q",),
    "SHA-256": ("rm -rf .git; git init -q -b main --object-format=sha256; git add -f .; git commit -qm all",),
}


def git(folder: Path, line: str) -> str:
    """Run a line of bash as the person does."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1", **WHO}
    done = subprocess.run(line, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository that tracks secrets."""
    place = Place(tmp_path).folder
    place.mkdir()
    files: dict[str, bytes | str] = dict.fromkeys(SECRETS, "SECRET\n")
    fill(place, files | {"a.txt": "one\n", "b.txt": "two\n"})
    git(place, "git init -q -b main; git add -f .; git commit -qm first")
    return place


@pytest.fixture(params=["overlay", "snapshot"])
def kind(request: pytest.FixtureRequest) -> ViewKind:
    kind: ViewKind = request.param
    return kind


class Inside:
    """Commands in a view of the folder."""

    def __init__(self, folder: Path, provider: JailProvider) -> None:
        self._provider = provider
        self.space = Workspace.open(folder, folder.parent / "data/state", hidden=HIDDEN)

    async def run(self, *lines: str, identity: Identity = NOBODY) -> list[str]:
        """Run lines of bash in a fresh sandbox, and return what each has printed."""
        view = await self.space.view(self._provider.view_kind)
        sandbox = await self._provider.open(view, session="s")
        try:
            await sandbox.furnish({".gitconfig": identity.config(view.kind)})
            return [
                (await sandbox.run_command(line, timeout=60, env=WHO)).output.rstrip("\n") for line in lines
            ]
        finally:
            await sandbox.close()


@asynccontextmanager
async def inside(folder: Path, kind: ViewKind) -> AsyncIterator[Inside]:
    provider = JailProvider(Place(folder.parent).settings(), view_kind=kind)
    try:
        yield Inside(folder, provider)
    finally:
        await provider.close()


@pytest.mark.parametrize("way", WAYS)
async def test_hidden_files_are_unchanged_for_git_and_survive_commits(
    folder: Path, kind: ViewKind, way: str
) -> None:
    for line in WAYS[way]:
        git(folder, line)
    tracked = git(folder, "git ls-files -s .env deep")
    async with inside(folder, kind) as view:
        assert await view.run("git status --porcelain", "ls -A deep", "ls .env 2>/dev/null") == ["", "", ""]
        assert await view.space.changes() == []
        said = await view.run(
            "echo more >> b.txt; echo n > new; git stash -q -u; git stash pop -q;"
            "git add -A && git commit -qam second && git checkout . 2>/dev/null && git reset -q --hard",
            "git status --porcelain",
            "git show --stat --format=%s HEAD",
            "cat .env deep/server.key 2>/dev/null",
        )
        assert said[0] == said[1] == said[3] == ""
        assert "b.txt" in said[2] and "new" in said[2] and "env" not in said[2] and "key" not in said[2]
        assert not (await view.space.commit()).left
    assert git(folder, "git ls-files -s .env deep") == tracked
    # Before anything has git look at its files again.
    assert git(folder, "git ls-files -t .env deep").split()[::2] == ["H", "H"]
    assert git(folder, "git status --porcelain; git fsck 2>&1 >/dev/null") == ""
    assert git(folder, "git log --format=%s -1; cat .env b.txt new") == "second\nSECRET\ntwo\nmore\nn\n"


async def test_a_sparse_checkout_stays_one(folder: Path, kind: ViewKind) -> None:
    git(folder, "mkdir far; echo x > far/x; git add far; git commit -qm far")
    git(folder, "git sparse-checkout set --cone --sparse-index deep")
    async with inside(folder, kind) as view:
        commands = (
            "git status --porcelain; echo more >> b.txt; git commit -qam second; git status --porcelain"
        )
        assert await view.run(commands, "ls") == ["", "a.txt\nb.txt\ndeep"]
        await view.space.commit()
    assert git(folder, "git ls-files -t --sparse") == "H .env\nH a.txt\nH b.txt\nH deep/server.key\nS far/\n"
    assert git(folder, "git status --porcelain; git show --format= --stat HEAD").startswith(" b.txt")


async def test_what_is_staged_is_offered_in_words_and_a_look_is_not(folder: Path, kind: ViewKind) -> None:
    async with inside(folder, kind) as view:
        # The folder's own times are new, so that git would have something to remember.
        git(folder, "touch a.txt b.txt")
        assert await view.run("echo $GIT_OPTIONAL_LOCKS; git status -s; git diff; git status -s") == ["0"]
        await view.run("GIT_OPTIONAL_LOCKS=1 git status; git update-index --refresh")
        assert await view.space.changes() == []
        await view.run("echo n > new; git add new; echo o > other; git rm -q --cached b.txt")
        details = {change.path: change.detail for change in (await view.space.diff())[0]}
    assert details[".git/index"] == "git's list of files to commit: adds new; drops b.txt"


async def test_a_commit_of_the_person_meanwhile_is_kept(folder: Path, kind: ViewKind) -> None:
    async with inside(folder, kind) as view:
        await view.run("echo n > new; git add new; git restore --staged new; echo m > more")
        assert ".git/index" not in {change.path for change in await view.space.changes()}
        git(folder, "echo mine > mine; git add mine; git commit -qm mine")
        assert await view.run("git status --porcelain") == ["?? more\n?? new"]
        await view.space.commit()
    assert git(folder, "git status --porcelain") == "?? more\n?? new\n"
    assert git(folder, "git log -1 --format=%s") == "mine\n"


async def test_submodules_are_seen_like_the_repository(folder: Path, kind: ViewKind, tmp_path: Path) -> None:
    git(folder, f"git clone -q . {tmp_path}/other")
    git(
        folder, f"git -c protocol.file.allow=always submodule add -q {tmp_path}/other lib; git commit -qm lib"
    )
    async with inside(folder, kind) as view:
        assert await view.run("git status --porcelain; cd lib; ls -A; git status --porcelain") == [
            ".git\na.txt\nb.txt\ndeep"
        ]
        await view.run("cd lib && echo more >> a.txt && git commit -qam more && cd .. && git commit -qam lib")
        await view.space.commit()
    assert git(folder, "git status --porcelain; git -C lib status --porcelain") == ""
    assert git(folder, "cat lib/.env; git -C lib log -1 --format=%s") == "SECRET\nmore\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("printf DIRCxx > .git/index", "index file smaller than expected"),
        ("touch .git/index.lock", "index.lock"),
        ("rm -rf .git; echo 'gitdir: /nowhere' > .git", "not a git repository"),
        ("rm -rf .git", "not a git repository"),
    ],
)
async def test_a_broken_repository_says_so_itself(
    folder: Path, kind: ViewKind, damage: str, said: str
) -> None:
    git(folder, damage)
    async with inside(folder, kind) as view:
        [found] = await view.run("git add a.txt 2>&1; echo more >> a.txt")
        assert said in found
        assert [change.path for change in await view.space.changes()] == ["a.txt"]


async def test_looking_at_a_large_repository_reads_no_file_again(folder: Path, kind: ViewKind) -> None:
    fill(folder, {f"src/{number}": f"{number}\n" for number in range(500)})
    git(folder, "git add .; git commit -qm many; touch -d '1 hour ago' $(git ls-files); git status")
    async with inside(folder, kind) as view:
        # What git would have to read again is listed here, as it does not look into files.
        assert await view.run("git diff-files") == [""]


MINE = """[user]
\tname = Ann \\"Æ\\" \\\\ O'Neil
\temail = ann@example.org
\tsigningKey = ABCD
[commit]
\tgpgSign = true
[credential]
\thelper = store --file=/secret/place
[core]
\thooksPath = /home/hooks
[include]
\tpath = more
"""


async def test_nothing_but_the_name_and_the_address_goes_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert read_identity(folder) == NOBODY
    (folder.parent / ".gitconfig").write_text(MINE)
    (folder.parent / "more").write_text("[user]\n\temail = ann@work.example\n")
    # What a repository says of itself is in the view, and may name files that are none of its business.
    git(folder, "git config user.name Mallory; git config include.path ../more")
    identity = read_identity(folder)
    assert (identity.name, identity.email) == ('Ann "Æ" \\ O\'Neil', "ann@work.example")
    async with inside(folder, "overlay") as view:
        lines = "git config --global --list; cd /tmp; git config user.name; cat ~/.gitconfig | wc -l"
        assert await view.run(lines, identity=identity) == [
            'user.name=Ann "Æ" \\ O\'Neil\nuser.email=ann@work.example\nAnn "Æ" \\ O\'Neil\n3'
        ]


NAMELESS = ('[user]\n\tname = "a\\nb"', "[user\n", "[user]\nname =", "[user]\nname\n")


@pytest.mark.parametrize("text", NAMELESS)
def test_a_name_that_is_none_is_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (folder.parent / ".gitconfig").write_text(text)
    assert read_identity(folder) == NOBODY


def test_without_git_nobody_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    (folder.parent / ".gitconfig").write_text(MINE)
    monkeypatch.setenv("PATH", str(folder))
    assert read_identity(folder) == NOBODY
