"""Git in a session: the person's name, the person's files, and nothing of it outside of the sandbox."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.integration.system.conftest import Machine, call

pytestmark = pytest.mark.integration

MINE = """[user]
\tname = Ann \\"Æ\\" O'Neil
\temail = ann@example.org
\tsigningkey = ABCD
[commit]
\tgpgsign = true
[credential]
\thelper = store --file=/secret/place
[core]
\thooksPath = /home/hooks
[includeIf "gitdir:**/folder/.git"]
\tpath = at-work
"""


def git(machine: Machine, *arguments: str) -> str:
    """Run git as the person does, with the name of somebody else."""
    who = ["-c", "user.name=Seed", "-c", "user.email=seed@example.org", "-c", "commit.gpgsign=false"]
    line = ["git", *who, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *arguments]
    done = subprocess.run(
        line, cwd=machine.folder, env=machine.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(machine: Machine) -> Machine:
    """A machine whose folder is a repository that tracks a secret."""
    machine.env["GIT_CONFIG_NOSYSTEM"] = "1"
    (machine.folder / ".env").write_text("TOKEN=hunter2-hunter2\n")
    git(machine, "init", "-q", "-b", "main")
    git(machine, "add", "-f", ".")
    git(machine, "commit", "-qm", "first")
    return machine


def said(machine: Machine, command: str, *options: str) -> tuple[str, dict[str, Any]]:
    """Have the model run a command, and return what it printed, with the turn's result."""
    machine.endpoint.replies = [call("run_shell", command=command), "Done."]
    code, result = machine.ask("Do what I need with git, whatever it is.", *options)
    assert code == 0, result
    return json.dumps(machine.endpoint.requests[-1]["messages"], ensure_ascii=False), result


def test_a_commit_inside_is_the_persons_and_leaves_their_secrets_alone(repository: Machine) -> None:
    (repository.base / ".gitconfig").write_text(MINE)
    told, result = said(
        repository,
        "git status --short; echo more >> notes.txt; git commit -qam 'second one'; git status --short",
    )
    assert " D .env" not in told and "fatal" not in told
    session = result["session"]
    offered = repository.run("diff", session).stdout
    assert "git's list of files to commit: changes notes.txt" in offered
    assert "Runs by itself" not in offered and "programs obey" not in offered
    assert repository.run("commit", session).returncode == 0
    assert git(repository, "log", "-1", "--format=%s %an <%ae>") == (
        'second one Ann "Æ" O\'Neil <ann@example.org>\n'
    )
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "show", "HEAD:.env") == "TOKEN=hunter2-hunter2\n"


def test_a_name_for_some_folders_and_one_of_the_repository_come_first(repository: Machine) -> None:
    (repository.base / ".gitconfig").write_text(MINE)
    (repository.base / "at-work").write_text("[user]\n\temail = ann@work.example\n")
    git(repository, "config", "user.name", "Dr. Ann")
    told, _ = said(repository, "git commit -q --allow-empty -m x; git log -1 --format='by %an at %ae.'")
    assert "by Dr. Ann at ann@work.example." in told


def test_without_a_name_git_says_so_itself(repository: Machine) -> None:
    told, _ = said(repository, "git commit -q --allow-empty -m x; git log --format=%s")
    assert "Please tell me who you are" in told


def test_what_a_repository_has_git_run_runs_inside_only(repository: Machine) -> None:
    ran = repository.base / "ran-outside"
    script = repository.folder / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {ran} /workspace/ran-inside\n")
    script.chmod(0o755)
    for setting in ("core.fsmonitor", "core.pager", "filter.x.clean", "core.sshCommand", "alias.st"):
        git(repository, "config", setting, f"{'!' if setting == 'alias.st' else ''}{script.name}")
    git(repository, "config", "core.fsmonitor", "/workspace/evil.sh")
    hook = repository.folder / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script.read_text())
    hook.chmod(0o755)
    told, result = said(repository, "git status --short; echo x >> notes.txt; git add notes.txt; ls")
    assert "ran-inside" in told
    session = result["session"]
    for command in (("diff", session), ("commit", session), ("undo", session), ("history", session)):
        assert repository.run(*command).returncode == 0
    assert not ran.exists()


def test_code_that_git_would_run_later_is_told(repository: Machine) -> None:
    command = "git config core.fsmonitor ./x; echo > .git/hooks/post-checkout; git commit -qm x --allow-empty"
    repository.endpoint.replies = [call("run_shell", command=command), "Done."]
    done = repository.run("run", "Do what I need with git, whatever it is.", "--yes")
    assert (
        "Runs by itself, outside of the sandbox, once it is written: "
        ".git/config (git: core.fsmonitor), .git/hooks/post-checkout (git)\n"
    ) in done.stderr
    assert "obey" not in done.stderr
    _, result = said(repository, "git config core.fsmonitor ./y", "--yes")
    assert {change["path"]: change["runs"] for change in result["changes"]} == {
        ".git/config": "git: core.fsmonitor"
    }
