"""The engine decides as the rules say, and tells what would have changed its mind."""

from typing import Any

import pytest

from llmasos.agent.policy import Call, Facts, Policy, Rule, builtin, decide, flipped, takes_effect_later

POLICY = Policy.of(builtin())
OURS = ("reads", "writes", "executes")
CHECK = {"effects": {"executes"}, "untrusted": {"file"}, "commands": ["pytest -q"]}


def facts(**known: Any) -> Facts:
    return Facts.model_validate({"capabilities": OURS, "effects": {"reads", "writes"}, **known})


ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"effects": {"reads"}}, "allow", "read"),
    ({"effects": {"reads"}, "copied": {"file"}, "untrusted": {"file"}}, "allow", "read"),
    ({}, "allow", "view"),
    ({"in_place": True}, "allow", "in-place"),
    ({"effects": {"unknown"}}, "allow", "view"),
    ({"effects": {"unknown"}, "untrusted": {"file"}}, "ask", "unasked-effect"),
    ({"effects": {"unknown"}, "untrusted": {"file"}, "given": 1}, "allow", "view"),
    (
        {"tool": "run_shell", "effects": {"unknown"}, "untrusted": {"file"}, "given": 1},
        "ask",
        "unknown-program",
    ),
    (
        {"tool": "run_shell", "effects": {"unknown"}, "untrusted": {"file"}, "given": 1, "dictated": True},
        "allow",
        "view",
    ),
    ({"tool": "run_shell", "effects": {"executes"}, "untrusted": {"file"}, "given": 1}, "allow", "view"),
    ({"untrusted": {"web"}}, "ask", "unasked-effect"),
    ({"untrusted": {"web"}, "given": 1}, "allow", "view"),
    ({"untrusted": {"web"}, "given": 1, "dynamic": True}, "ask", "dynamic"),
    ({"untrusted": {"web"}, "given": 1, "dynamic": True, "dictated": True}, "allow", "view"),
    ({"dynamic": True}, "allow", "view"),
    ({"untrusted": {"web"}, "given": 1, "sinks": {"web"}}, "ask", "untrusted-target"),
    ({"untrusted": {"web"}, "given": 1, "copied": {"web"}}, "ask", "copied-command"),
    ({"untrusted": {"web"}, "given": 1, "identifiers": {"link"}}, "ask", "untrusted-identifier"),
    ({"untrusted": {"web"}, "given": 1, "ungiven": ("b.py",)}, "ask", "unasked-change"),
    ({"untrusted": {"web"}, "given": 1, "ungiven": ("b.py",), "effects": {"executes"}}, "allow", "view"),
    ({"ungiven": ("b.py",)}, "allow", "view"),
    ({"untrusted": {"web"}, "given": 1, "gains": {"network"}}, "ask", "untrusted-program"),
    ({"untrusted": {"web"}, "given": 1, "gains": {"reads", "writes"}}, "allow", "view"),
    ({"gains": {"network"}}, "allow", "view"),
    ({"given": 1, "effects": {"network"}, "carries": {"file"}}, "ask", "carried-out"),
    ({"given": 1, "carries": {"file"}}, "allow", "view"),
    ({"writes": (".git/hooks/pre-commit",)}, "ask", "takes-effect-later"),
    ({"commands": ("git config core.pager x",)}, "ask", "configures-programs"),
    ({"commands": ("git config --get core.pager",), "effects": {"reads"}}, "allow", "read"),
    ({"commands": ("git status",)}, "allow", "view"),
    ({"disguised": ("\u0430.py",)}, "ask", "disguised-path"),
    ({"tool": "background_jobs", "untrusted": {"web"}}, "allow", "jobs"),
    ({"tool": "run_shell", **CHECK}, "allow", "checks"),
    ({"tool": "run_shell", **CHECK, "commands": ["go test ./...", "tail -n 5"]}, "allow", "checks"),
    ({"tool": "run_shell", **CHECK, "commands": ["pytest -q", "./x"]}, "ask", "unasked-effect"),
    ({"tool": "run_shell", **CHECK, "effects": {"executes", "writes"}}, "ask", "unasked-effect"),
    ({"tool": "run_shell", **CHECK, "effects": {"executes", "unknown"}}, "ask", "unasked-effect"),
    ({"tool": "run_shell", **CHECK, "copied": {"file"}}, "ask", "copied-command"),
    ({"tool": "run_shell", **CHECK, "in_place": True}, "ask", "unasked-effect"),
    ({"tool": "background_jobs", "plugin": "mcp:x"}, "ask", "foreign"),
    ({"effects": {"network"}, "secrets": True}, "ask", "secret-leaves"),
    ({"secrets": True}, "allow", "view"),
    ({"hosts": ("example.org",)}, "deny", "network"),
    ({"hosts": ("example.org",), "access": "open"}, "ask", "network-closed"),
    ({"hosts": ("example.org",), "open_hosts": ("example.org",)}, "allow", "view"),
    ({"hosts": ("a.example.org",), "open_hosts": ("*.example.org",)}, "allow", "view"),
    ({"hosts": ("example.org",), "open_hosts": ("*.example.org",)}, "deny", "network"),
    ({"hosts": ("example.org:22",), "open_hosts": ("example.org",)}, "deny", "network"),
    ({"hosts": ("localhost", "127.0.0.1")}, "allow", "view"),
    ({"hosts": ("localhost",), "plugin": "mcp:x", "given": 1}, "deny", "network-loopback"),
    ({"outside": ("../other",)}, "deny", "outside"),
    ({"outside": ("/dev/null",), "writes": ("/dev/null",)}, "allow", "view"),
    ({"outside": ("/usr/bin/python3",)}, "allow", "view"),
    ({"outside": ("/usr/../etc/shadow",)}, "deny", "outside"),
    ({"outside": ("/usr/bin/x",), "writes": ("/usr/bin/x",)}, "deny", "outside-change"),
    ({"access": "read-only"}, "deny", "read-only"),
    ({"access": "read-only", "effects": {"reads"}}, "allow", "read"),
    ({"asking": "always"}, "ask", "asks-always"),
    ({"asking": "always", "effects": {"reads"}}, "allow", "read"),
    ({"asking": "never", "untrusted": {"web"}}, "deny", "unasked-effect"),
    ({"effects": {"deletes"}, "untrusted": {"web"}, "given": 1}, "allow", "view"),
    ({"effects": {"deletes"}, "untrusted": {"web"}, "given": 1, "writes": (".",)}, "ask", "deletes-all"),
    (
        {"effects": {"deletes"}, "untrusted": {"web"}, "given": 1, "writes": ("a",), "in_place": True},
        "ask",
        "deletes-in-place",
    ),
    ({"plugin": "mcp:x"}, "ask", "foreign"),
    ({"plugin": "mcp:x", "given": 1}, "allow", "foreign-given"),
    ({"plugin": "mcp:x", "given": 1, "effects": {"unknown"}}, "ask", "foreign-unknown"),
    ({"plugin": "mcp:x", "given": 1, "secrets": True}, "ask", "secret-to-plugin"),
    ({"plugin": "mcp:x", "effects": {"reads"}}, "allow", "read"),
    ({"plugin": "mcp:x", "given": 1, "ungiven": ("eve@example.net",)}, "ask", "foreign-unnamed"),
    ({"plugin": "mcp:x", "given": 1, "ungiven": ("a",), "effects": {"reads"}}, "allow", "read"),
    ({"capabilities": (), "effects": {"unknown"}}, "ask", "undeclared"),
    ({"plugin": "plugin:x", "capabilities": ("confined", "cost:0.5")}, "ask", "costs"),
    ({"capabilities": (), "effects": ()}, "ask", "nothing-allows"),
]


@pytest.mark.parametrize(("known", "verdict", "rule"), ROWS)
def test_the_built_in_rules(known: dict[str, Any], verdict: str, rule: str) -> None:
    call = Call(tool=known.get("tool", "tool"))
    found = facts(**{name: value for name, value in known.items() if name != "tool"})
    decision = decide(call, found, POLICY)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.flips
    for flip in decision.flips:
        assert decide(*flipped(call, found, flip), POLICY).verdict == flip.verdict


def test_no_built_in_rule_is_without_a_call_that_it_decides() -> None:
    assert {rule.id for rule in builtin()} == {rule for _, _, rule in ROWS} - {"nothing-allows"}


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/pre-commit", ".GIT/config", "sub/.git/config", ".git ", ".git./config",
        ".gi\u200dt/config",
        "．git/config", ".github/workflows/ci.yml", "a/.envrc", ".vscode/tasks.json", ".BASHRC", "x.pth",
        "lib/sitecustomize.py", ".ssh/authorized_keys", ".llmasos/policy.toml", "a\\.git\\config",
        ".git::$INDEX_ALLOCATION/config", "./.git/config", "a//.git/config", "lefthook.yml", "Jenkinsfile",
    ],
)  # fmt: skip
def test_what_takes_effect_later_is_asked_about(path: str) -> None:
    decision = decide(Call(tool="write_file"), facts(writes=("ok.txt", path), given=3), POLICY)
    assert decision.rule == "takes-effect-later"
    assert path in decision.reason and "ok.txt" not in decision.reason
    assert takes_effect_later(["ok.txt", path]) == (path,)


@pytest.mark.parametrize(
    "path", ["git.py", "docs/github.md", "profile", "a.git.txt", "environment", "src/ssh.py"]
)
def test_what_only_looks_like_it_is_not(path: str) -> None:
    assert decide(Call(tool="write_file"), facts(writes=(path,)), POLICY).verdict == "allow"


def test_priorities_and_quantifiers() -> None:
    def rule(ident: str, decision: str, priority: int, **when: Any) -> Rule:
        return Rule.model_validate({"id": ident, "decision": decision, "priority": priority, "when": when})

    def verdict(*rules: Rule, **known: Any) -> tuple[str, str]:
        found = decide(Call(tool="t", arguments={"n": 3, "to": ["a", "b"]}), facts(**known), Policy.of(rules))
        return found.verdict, found.rule

    ask, allow = rule("x", "ask", 5, writes="a/**"), rule("y", "allow", 5, writes="a/**")
    assert verdict(ask, allow, writes=("a/1",)) == ("ask", "x")
    assert verdict(ask, rule("y", "allow", 6, writes="a/**"), writes=("a/1",)) == ("allow", "y")
    assert verdict(rule("z", "deny", 0, tool="t"), rule("y", "allow", 900, tool="t")) == ("deny", "z")
    assert verdict(allow, writes=("a/1", "b/1")) == ("ask", "nothing-allows")
    assert verdict(allow) == ("ask", "nothing-allows")
    assert verdict(rule("z", "deny", 0, writes="a/**"), writes=("b", "a/1")) == ("deny", "z")
    assert verdict(rule("y", "allow", 0, arguments={"n": "3", "to": ["a", "b"]})) == ("allow", "y")
    assert verdict(rule("y", "allow", 0, arguments={"to": "a"})) == ("ask", "nothing-allows")
    assert verdict(rule("z", "deny", 0, only_effects=["reads", "writes", "network"])) == ("deny", "z")
    assert verdict(rule("z", "deny", 0, only_effects=["reads"])) == ("ask", "nothing-allows")
    assert verdict(rule("y", "allow", 0, given=2), given=1) == ("ask", "nothing-allows")
    assert verdict(rule("y", "allow", 0, given=2), given=2) == ("allow", "y")
    assert verdict(rule("y", "allow", 0, commands="ls*"), commands=("ls",)) == ("allow", "y")
    assert verdict(rule("y", "allow", 0, commands="ls*"), commands=("ls",), dynamic=True)[0] == "ask"
