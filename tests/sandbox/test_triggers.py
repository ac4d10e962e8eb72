"""What a program of the person runs by itself is told, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmasos.sandbox.workspace.triggers import may_run
from tests.sandbox.conftest import MakeDesk

pytestmark = pytest.mark.anyio
INIT = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
PACKAGE = json.dumps({"name": "x", "scripts": {"build": "tsc", "test": "jest"}})

RUNS = {
    ".git/hooks/pre-commit": ("", "#!/bin/sh\n", "git"),
    ".git/modules/a/hooks/post-checkout": ("", "x\n", "git"),
    "deep/.GIT/hooks/x": ("", "x\n", "git"),
    ".git/config": (INIT, INIT + "[core]\n\tsshCommand = evil\n", "git: core.sshcommand"),
    "a/.git/config": (INIT, INIT + "[alias] st = !evil\n", "git: alias.st"),
    ".git/modules/b/config": (
        INIT,
        INIT + '[filter "lfs"]\nclean = x\nsmudge = y\n',
        "git: filter.clean, filter.smudge",
    ),
    ".git/config.worktree": (
        "",
        "[core]\nfsmonitor = evil\nhooksPath = .\n",
        "git: core.fsmonitor, core.hookspath",
    ),
    "c/.git/config": (INIT, INIT + "[include]\npath = ../x\n", "git: include.path"),
    "d/.git/config": (INIT, INIT + '[remote "o"]\nurl = ext::sh -c evil\n', "git: remote.url"),
    "e/.git/config": (INIT, "# \\\n[core] pager = evil\n", "git: core.pager"),
    "f/.git/config": (INIT, "[core]\nbare = \\\nfalse\n", "git: a line that goes on, or is none, core.false"),
    "g/.git/config": (INIT, "\ufeff[core]\n", "git: a line that goes on, or is none"),
    "h/.git/config": (INIT, "bin\0ary", "git"),
    ".git/commondir": ("", "../x\n", "git, wherever it leads"),
    "sub/.git": ("", "gitdir: ../evil\n", "git, wherever it leads"),
    ".envrc": ("", "evil\n", "direnv"),
    ".github/workflows/ci.yml": ("on: push\n", "on: pull_request_target\n", "GitHub"),
    "x/Jenkinsfile": ("", "x\n", "a build server"),
    ".pre-commit-config.yaml": ("", "x\n", "git, by a hook"),
    ".husky/pre-push": ("", "x\n", "git, by a hook"),
    "lib/sitecustomize.py": ("", "x\n", "Python"),
    "lib/x.pth": ("", "import evil\n", "Python"),
    "package.json": (
        PACKAGE,
        PACKAGE.replace('"build"', '"postinstall": "evil", "build"'),
        "npm: postinstall",
    ),
    ".vscode/tasks.json": ("{}", '{"runOptions": {"runOn": "folderOpen"}}', "VS Code"),
    ".vscode/settings.json": ("{}", '{"python.defaultInterpreterPath": "./evil"}', "VS Code"),
    ".devcontainer/devcontainer.json": ("{}", '{"initializeCommand": "evil"}', "VS Code"),
    ".mcp.json": ("", "{}", "an agent"),
    ".bashrc": ("", "evil\n", "a shell"),
}
RUNS_NOT = {
    ".git/index": ("", "x"),
    ".git/HEAD": ("", "ref: refs/heads/main\n"),
    ".git/COMMIT_EDITMSG": ("", "x\n"),
    ".git/hooks/pre-commit.sample": ("", "x\n"),
    ".git/config": (
        "",
        INIT + '[user]\nname = Ann\n[branch "main"]\nremote = o\nmerge = refs/x\n',
    ),
    "a/.git/config": (INIT, INIT + '[remote "origin"]\nurl = git@host:a/b.git\nfetch = +refs/*:refs/*\n'),
    "b/.git/config": (INIT + "[core]\nsshCommand = mine\n", "[core]\nsshCommand = mine\n" + INIT),
    "lib/.git": ("", "gitdir: ../.git/modules/lib\n"),
    "config": ("", "[core]\nsshCommand = x\n"),
    "src/hooks/use.ts": ("", "x\n"),
    "Makefile": ("", "all:\n"),
    "setup.py": ("", "x\n"),
    "tests/conftest.py": ("", "x\n"),
    "package.json": (PACKAGE, PACKAGE.replace("jest", "vitest")),
    "models/net.pth": ("", "bin\0import evil\n"),
    "paths.pth": ("", "../src\n"),
    ".vscode/settings.json": ("{}", '{"editor.formatOnSave": true}'),
    ".vscode/tasks.json": ("{}", '{"tasks": []}'),
    ".gitignore": ("", "x\n"),
}


@pytest.mark.parametrize("path", RUNS)
async def test_what_runs_by_itself_is_told(make_desk: MakeDesk, path: str) -> None:
    before, after, who = RUNS[path]
    assert await told(make_desk, path, before, after) == who


@pytest.mark.parametrize("path", RUNS_NOT)
async def test_what_has_to_be_called_is_not(make_desk: MakeDesk, path: str) -> None:
    before, after = RUNS_NOT[path]
    assert await told(make_desk, path, before, after) == ""


async def told(make_desk: MakeDesk, path: str, before: str, after: str) -> str:
    """Return what is said of a file when the agent has written it."""
    desk = make_desk({path: before} if before else {"other": "x"})
    agent = await desk.agent()
    above = Path(path).parents
    for folder in reversed(above[:-1] if not before else []):
        agent.mkdir(str(folder))
    agent.write(path, after)
    return next(change for change in (await desk.space.diff())[0] if change.path == path).runs


async def test_a_bare_repository_in_any_folder_counts(make_desk: MakeDesk) -> None:
    desk = make_desk({})
    agent = await desk.agent()
    agent.mkdir("docs")
    agent.mkdir("docs/hooks")
    agent.write("docs/config", "[core]\nfsmonitor = evil\n")
    agent.write("docs/hooks/post-index-change", "evil\n")
    assert not any(change.runs for change in (await desk.space.diff())[0])
    agent.write("docs/HEAD", "ref: refs/heads/main\n")
    found = {change.path: change.runs for change in (await desk.space.diff())[0] if change.runs}
    assert found == {"docs/config": "git: core.fsmonitor", "docs/hooks/post-index-change": "git"}


async def test_links_to_where_programs_look_are_told(make_desk: MakeDesk) -> None:
    desk = make_desk({})
    agent = await desk.agent()
    agent.mkdir(".git")
    agent.link(".git/hooks", "../tools")
    agent.link(".vscode", "tools")
    found = {change.path: change.runs for change in (await desk.space.diff())[0]}
    assert found == {
        ".git": "",
        ".git/hooks": "whoever follows the link",
        ".vscode": "whoever follows the link",
    }


async def test_what_cannot_be_written_or_is_deleted_runs_nowhere(make_desk: MakeDesk) -> None:
    desk = make_desk({".envrc": "x", ".husky/pre-push": "x"}, hidden=(".envrc",))
    agent = await desk.agent()
    agent.write(".envrc", "evil")
    agent.remove(".husky/pre-push")
    assert not any(change.runs for change in (await desk.space.diff())[0])


async def test_many_changes_leave_none_out_that_runs_by_itself(make_desk: MakeDesk) -> None:
    desk = make_desk({})
    agent = await desk.agent()
    for number in range(12):
        agent.write(f"a{number}", "x")
    agent.write("zz.pth", "import evil\n")
    shown, omitted = await desk.space.diff(most_files=5)
    assert (len(shown), omitted, shown[-1].path, shown[-1].runs) == (5, 8, "zz.pth", "Python")


def test_most_names_are_looked_at_no_further() -> None:
    assert not any(map(may_run, ("src/main.py", "README.md", "a/b/c.txt", ".git/objects/ab/cd")))
