"""Files that programs of the person run by themselves, outside of the sandbox, once they are written.

What runs only when it is called, such as a Makefile or a test, is none of them, however bad it may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from llmasos.sandbox.workspace.files import join
from llmasos.sandbox.workspace.opening import lstat

_REPOSITORY = re.compile(r"(?:.*/)?\.git(?:/(?:modules|worktrees)/.+)?", re.DOTALL | re.IGNORECASE)
_HOOK = re.compile(r"((?:.*/)?)hooks/[^/]+", re.DOTALL | re.IGNORECASE)
# By the path's end: who runs it.
_ALWAYS = tuple(
    (re.compile(rf"(?:.*/)?(?:{ends})", re.DOTALL | re.IGNORECASE), who)
    for ends, who in (
        (r"\.envrc", "direnv"),
        (r"\.?mise\.toml", "mise"),
        (r"\.github/(?:workflows|actions)/.+", "GitHub"),
        (r"\.gitlab-ci\.ya?ml", "GitLab"),
        (r"\.(?:gitea|forgejo)/workflows/.+", "the repository's server"),
        (
            r"\.circleci/.+|Jenkinsfile|azure-pipelines\.ya?ml|\.travis\.ya?ml|\.drone\.ya?ml|\.woodpecker/.+"
            r"|\.woodpecker\.ya?ml|\.buildkite/.+|bitbucket-pipelines\.ya?ml|\.?appveyor\.ya?ml|\.cirrus\.ya?ml",
            "a build server",
        ),
        (
            r"\.pre-commit-config\.ya?ml|\.husky/.+|\.?lefthook\.(?:ya?ml|toml|json)|\.overcommit\.ya?ml",
            "git, by a hook",
        ),
        (r"(?:site|user)customize\.py", "Python"),
        (r"\.pnpmfile\.c?js", "pnpm"),
        (r"\.yarnrc(?:\.ya?ml)?", "yarn"),
        (r"binding\.gyp", "npm"),
        (r"\.cargo/config(?:\.toml)?", "cargo"),
        (
            r"\.bashrc|\.bash_(?:profile|login|logout|aliases)|\.profile|\.zsh(?:rc|env)|\.z(?:profile|login|logout)"
            r"|\.config/fish/.+",
            "a shell",
        ),
        (r"\.config/(?:autostart|systemd)/.+|autostart/.+\.desktop", "the desktop"),
        (r"\.nvim\.lua|\.nvimrc|\.exrc|\.vimrc|\.dir-locals\.el|\.emacs", "an editor"),
        (r"\.(?:gdbinit|lldbinit)", "a debugger"),
        (r"\.mcp\.json|\.(?:cursor|vscode)/mcp\.json|\.claude/settings(?:\.local)?\.json", "an agent"),
    )
)
_CONTENTS = tuple(
    (re.compile(rf"(?:.*/)?{ends}", re.DOTALL | re.IGNORECASE), re.compile(content, re.MULTILINE), who)
    for ends, content, who in (
        (r"[^/]+\.pth", r"^import[ \t]", "Python"),
        (r"\.vscode/tasks\.json", r"folderOpen", "VS Code"),
        (r"[^/]+\.code-workspace", r"folderOpen", "VS Code"),
        (
            r"\.vscode/settings\.json",
            r"\"[^\"]*(?:[pP]ath|[cC]ommand|[eE]xecutable|[iI]nterpreter|[sS]hell|\benv\b|profiles)[^\"]*\"\s*:",
            "VS Code",
        ),
        (r"\.?devcontainer\.json", r"initializeCommand", "VS Code"),
    )
)
_PACKAGE = re.compile(r"(?:.*/)?package\.json", re.DOTALL | re.IGNORECASE)
_INSTALLING = (
    *("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"),
    "dependencies",
)
_FOLDERS = re.compile(
    r"(?:.*/)?(?:hooks|\.vscode|\.husky|\.devcontainer|\.cargo|\.claude|\.cursor|\.config)", re.DOTALL | re.I
)
_OWN_MODULE = re.compile(r"gitdir: (?:\.\./)*\.git/(?:modules|worktrees)/(?!.*\.\.)[^\n]+\n?")
_HEADER = re.compile(r"\s*\[\s*([\w.-]+)(?:\s+\"((?:[^\"\\]|\\.)*)\")?\s*\]\s*(.*)", re.DOTALL)
_SETTING = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:=\s*(.*?))?\s*", re.DOTALL)
# What git's settings may say without naming code or another file; everything else is told.
_HARMLESS = re.compile(
    r"core\.(?:repositoryformatversion|filemode|bare|logallrefupdates|symlinks|ignorecase|precomposeunicode"
    r"|autocrlf|eol|safecrlf|quotepath|sparsecheckout|sparsecheckoutcone|compression|splitindex|untrackedcache)"
    r"|user\.(?:name|email)|branch\.(?:remote|merge|rebase|description|pushremote|vscode-merge-base)"
    r"|remote\.(?:fetch|push|tagopt|prune)|extensions\.(?:objectformat|worktreeconfig|refstorage|noop)"
    r"|submodule\.(?:active|branch)|init\.defaultbranch|pull\.(?:rebase|ff)|push\.(?:default|autosetupremote)"
    r"|fetch\.prune|merge\.(?:ff|conflictstyle)|rebase\.(?:autostash|autosquash)|index\.version|gc\.auto"
    r"|color\..*|advice\..*"
)
_ADDRESS = re.compile(r"(?:remote\.(?:push)?url|submodule\.url)")
_PLAIN_ADDRESS = re.compile(r"(?!-)(?:(?!::).)*", re.DOTALL)
_UNCLEAR = "a line that goes on, or is none"
_NAMED = 3


def may_run(path: str) -> bool:
    """Tell whether a path may be one that runs by itself, by its name alone."""
    return (
        any(glob.fullmatch(path) for glob, _ in _ALWAYS)
        or any(glob.fullmatch(path) for glob, _, _ in _CONTENTS)
        or any(glob.fullmatch(path) for glob in (_PACKAGE, _FOLDERS))
        or _is_gits(path)
    )


def runs_by_itself(path: str, before: str, after: str | None, roots: tuple[str, ...]) -> str:
    """Return who runs a file by itself once it is written, with what of it is new; nothing when nobody does.

    Args:
        path: The path.
        before: What it held; empty when it is new.
        after: What it holds, or where it leads as a link; None when that is no text.
        roots: The folder and the view's version of it, in which repositories are looked for.
    """
    if who := next((who for glob, who in _ALWAYS if glob.fullmatch(path)), ""):
        return who
    for glob, content, who in _CONTENTS:
        if glob.fullmatch(path) and len(content.findall(after or "")) > len(content.findall(before)):
            return who
    if _PACKAGE.fullmatch(path):
        return _named("npm", _scripts(before, after or ""))
    if _is_gits(path):
        return _gits(path, before, after, roots)
    # A folder holds files that are told by themselves; a link has a program find others there.
    return "whoever follows the link" if after is not None and _FOLDERS.fullmatch(path) else ""


def _is_gits(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name in (".git", "config", "config.worktree", "commondir") or _HOOK.fullmatch(path) is not None


def _gits(path: str, before: str, after: str | None, roots: tuple[str, ...]) -> str:
    """Return what git runs of a file of a repository, which may be a bare one in any folder."""
    folder, _, name = path.rpartition("/")
    if name.lower() == ".git":
        return "" if after is None or _OWN_MODULE.fullmatch(after) else "git, wherever it leads"
    if found := _HOOK.fullmatch(path):
        sample = name.lower().endswith(".sample")
        return "git" if _is_repository(found[1].rstrip("/"), roots) and not sample else ""
    if not _is_repository(folder, roots):
        return ""
    if name.lower() == "commondir":
        return "git, wherever it leads"
    if after is None:
        return "git"
    known = set(_settings(before))
    new = (one for one in _settings(after) if one not in known)
    return _named("git", [key for key, value in new if _runs(key, value)])


def _is_repository(folder: str, roots: tuple[str, ...]) -> bool:
    if _REPOSITORY.fullmatch(folder):
        return True
    return any(lstat(root, join(folder, "HEAD")) is not None for root in roots)


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """Yield the settings of a configuration of git, without the names of their subsections."""
    section = ""
    for line in text.splitlines():
        rest = line
        while (header := _HEADER.fullmatch(rest)) is not None:
            section, rest = header[1].split(".")[0].lower(), header[3]
        if not rest.strip() or rest.lstrip()[0] in "#;":
            continue
        setting = _SETTING.fullmatch(rest)
        if setting is None or rest.endswith("\\"):
            yield _UNCLEAR, rest
        else:
            yield f"{section}.{setting[1].lower()}", setting[2] or ""


def _runs(key: str, value: str) -> bool:
    if _ADDRESS.fullmatch(key):
        return _PLAIN_ADDRESS.fullmatch(value.strip('"')) is None
    return _HARMLESS.fullmatch(key) is None


def _scripts(before: str, after: str) -> list[str]:
    old, new = _read_scripts(before), _read_scripts(after)
    return [name for name in _INSTALLING if new.get(name) and new.get(name) != old.get(name)]


def _read_scripts(text: str) -> dict[str, object]:
    try:
        scripts = json.loads(text)["scripts"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return scripts if isinstance(scripts, dict) else {}


def _named(who: str, names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = " …" if len(names) > _NAMED else ""
    return f"{who}: {', '.join(names[:_NAMED])}{more}" if names else ""
