"""What a person has approved becomes a rule that allows what is like it, and nothing that is not."""

from typing import Any

import pytest

from llmasos.agent.policy import (
    Call,
    Facts,
    Logged,
    Policy,
    Rule,
    builtin,
    collect,
    decide,
    pattern,
    suggest,
)
from llmasos.decisions import Decision
from llmasos.events import ApprovalResolved, CallDecided, Event

UNASKED: dict[str, Any] = {"capabilities": ("reads",), "effects": {"executes"}, "untrusted": {"file"}}


def shell(*commands: str, **known: Any) -> tuple[Call, Facts]:
    facts = Facts.model_validate({**UNASKED, "commands": commands, **known})
    return Call(tool="run_shell", arguments={"command": " && ".join(commands)}), facts


def writes(*paths: str, **known: Any) -> tuple[Call, Facts]:
    facts = Facts.model_validate({**UNASKED, "effects": {"writes"}, "writes": paths, **known})
    return Call(tool="write_file", arguments={"path": paths[0]}), facts


def mail(to: str, **known: Any) -> tuple[Call, Facts]:
    facts = {"capabilities": ("network",), "effects": {"network"}, "plugin": "mcp:mail", **known}
    return Call(tool="send", arguments={"to": to, "text": "Hello there"}), Facts.model_validate(facts)


def allowed(rule: Rule, call: tuple[Call, Facts]) -> bool:
    return decide(*call, Policy.of([*builtin(), rule])).verdict == "allow"


RUNS = writes("a.py", gains={"executes"})


@pytest.mark.parametrize(
    ("approved", "like", "unlike"),
    [
        (shell("npm start"), shell("npm start -- dev"), shell("npm publish")),
        (shell("npm start"), shell("npm start -s"), shell("npm start -- --watch=false")),
        (shell("npm run build"), shell("npm run build -q"), shell("npm run deploy")),
        (shell("npm run build"), shell("npm run build x"), shell("npm run build --script-shell=./x")),
        (shell("npm run build"), shell("npm run build x"), shell("npm run build --prefix x")),
        (shell("npm start -- --fix"), shell("npm start -- --fix"), shell("npm start")),
        (shell("npm start"), shell("npm start x", "npm start"), shell("npm start", "npm publish")),
        (shell("npm start"), shell("npm start"), shell("npm starting")),
        (shell("npm start"), shell("npm start"), shell("npm start", dynamic=True)),
        (shell("npm start"), shell("npm start"), shell("npm start", effects={"executes", "network"})),
        (shell("python -m pytest -q"), shell("python -m pytest tests"), shell("python -m http.server")),
        (shell("pytest -q"), shell("pytest -x tests/a.py"), shell("pytest -p evil")),
        (shell("pytest -q"), shell("pytest"), shell("pytest --import-mode=importlib x.py")),
        (shell("pytest -p cov"), shell("pytest -p cov"), shell("pytest -p evil")),
        (shell("pytest -q", "npm start"), shell("pytest", "npm start x"), shell("pytest", "npm start @x")),
        (shell("go test ./..."), shell("go test -race ./a"), shell("go test -exec ./evil.sh")),
        (shell("cargo test"), shell("cargo test --release"), shell("cargo test --config x")),
        (shell("prettier --check ."), shell("prettier --check src"), shell("prettier --write src")),
        (shell("ruff check ."), shell("ruff check src"), shell("ruff check --fix src")),
        (shell("git commit -m x"), shell("git commit -am y"), shell("git commit --amend")),
        (shell("python tidy.py"), shell("python tidy.py"), shell("python tidy.py --all")),
        (shell("sh build.sh"), shell("sh build.sh"), shell("sh other.sh")),
        (shell("ls [ab]*"), shell("ls [ab]*"), shell("ls a")),
        (shell("git commit -m x"), shell("git commit -m y"), shell("git push")),
        (shell("git -c x=y commit"), shell("git -c x=y commit"), shell("git -c x=z commit")),
        (shell("make test"), shell("make test"), shell("make test SHELL=./x")),
        (shell("uv run pytest -q"), shell("uv run pytest"), shell("uv run python x.py")),
        (shell("uv run python x.py"), shell("uv run python x.py"), shell("uv run python -c 1")),
        (shell("docker run a"), shell("docker run a"), shell("docker run b")),
        (shell("npm install a"), shell("npm install a"), shell("npm install b")),
        (shell("git checkout a"), shell("git checkout a"), shell("git checkout .")),
        (shell("npm exec jest"), shell("npm exec jest"), shell("npm exec jest x")),
        (shell("bundle exec rspec"), shell("bundle exec rspec x"), shell("bundle exec rake")),
        (shell("git bisect start"), shell("git bisect start"), shell("git bisect run ./x")),
        (shell("uv pip list"), shell("uv pip list"), shell("uv pip install x")),
        (shell("npm audit"), shell("npm audit"), shell("npm audit fix")),
        (shell("npm run-script a"), shell("npm run-script a"), shell("npm run-script b")),
        (shell("go generate ./a"), shell("go generate ./a"), shell("go generate ./b")),
        (shell("terraform plan"), shell("terraform plan"), shell("terraform plan -var a=b")),
        (shell("podman run a"), shell("podman run a"), shell("podman run -v /:/x a")),
        (shell("git clean -n"), shell("git clean -n"), shell("git clean -fdx")),
        (shell("poetry run python x.py"), shell("poetry run python x.py"), shell("poetry run python y.py")),
        (writes("a.md", folder="/a"), writes("a.md", folder="/a"), writes("a.md", folder="/b")),
        (writes("a.md", folder="/a"), writes("a.md", folder="/a"), writes("a.md", folder="/a/b")),
        (writes("a.md", folder="/a/b"), writes("a.md", folder="/a/b"), writes("a.md", folder="/a")),
        (writes("a.md", folder="/a*"), writes("a.md", folder="/a*"), writes("a.md", folder="/ab")),
        (writes("a.md", folder="/a"), writes("a.md", folder="/a"), writes("a.md")),
        (writes("docs/a.md"), writes("docs/b/c.md"), writes("src/a.md")),
        (writes("docs/a.md"), writes("docs/b.md"), writes("docs/b.md", "src/a.md")),
        (writes("docs/a.md"), writes("docs/b.md"), writes("docs/../src/a.md")),
        (writes("a.md"), writes("a.md"), writes("b/a.md")),
        (writes("a.py"), writes("a.py"), writes("a.py", gains={"executes"})),
        (RUNS, RUNS, writes("a.py", gains={"network"})),
        (writes("a.md"), writes("a.md"), writes("a.md", in_place=True)),
        (writes("!a.md"), writes("!a.md"), writes("b.md")),
        (mail("bob@example.org"), mail("bob@example.org"), mail("eve@example.org")),
        (mail("bob@example.org"), mail("bob@example.org"), mail("bob@example.org", sinks={"web"})),
    ],
)  # fmt: skip
def test_a_pattern_allows_what_is_like_it(
    approved: tuple[Call, Facts], like: tuple[Call, Facts], unlike: tuple[Call, Facts]
) -> None:
    rule = pattern(*approved)
    assert rule is not None and rule.layer == "user" and rule.reason.startswith(approved[0].tool)
    assert allowed(rule, approved)
    assert allowed(rule, like)
    assert not allowed(rule, unlike)


@pytest.mark.parametrize(
    "call",
    [
        shell("npm start", copied={"web"}),
        shell("$X", dynamic=True),
        writes("docs/.git/config"),
        writes("docs/a.md", sinks={"web"}),
        shell("curl example.org", hosts=("example.org",)),
        mail("bob@example.org", secrets=True),
        (Call(tool="x"), Facts()),
        (Call(tool="x", arguments={"code": "y" * 2000}), Facts.model_validate(UNASKED)),
    ],
)
def test_always_is_not_offered_where_it_would_not_help(call: tuple[Call, Facts]) -> None:
    assert pattern(*call) is None


def test_a_pattern_for_code_is_that_code() -> None:
    def code(text: str) -> tuple[Call, Facts]:
        return Call(tool="run_python", arguments={"code": text}), Facts.model_validate(UNASKED)

    rule = pattern(*code("import x*\nx.go()"))
    assert rule is not None
    assert allowed(rule, code("import x*\nx.go()")) and not allowed(rule, code("import xy\nx.go()"))


def test_a_pattern_counts_under_the_rules_in_force() -> None:
    stricter = Rule.model_validate(
        {"id": "s", "decision": "ask", "priority": 60, "when": {"commands": "npm*"}}
    )
    assert pattern(*shell("npm start"), Policy.of([*builtin(), stricter])) is None
    assert pattern(*shell("make all"), Policy.of([*builtin(), stricter])) is not None


def test_suggestions_gather_like_approvals_and_say_what_they_match() -> None:
    approved = [shell("npm start"), shell("npm start -- now"), shell("npm run seed"), writes("docs/a.md")]
    log = [
        *(Logged(*call, "ask") for call in approved),
        Logged(*shell("npm run seed twice"), "ask"),
        Logged(*shell("npm run seed --fix"), "ask"),
        Logged(*shell("npm start", untrusted=()), "allow"),
        Logged(*shell("npm publish"), "ask"),
    ]
    [found] = suggest(approved, log)
    assert found.approvals == 3
    assert found.matched == {"ask": 4, "allow": 1}
    assert allowed(found.rule, shell("npm run seed twice")) and not allowed(found.rule, shell("npm publish"))
    assert "npm run seed *" in found.toml
    assert len(suggest([*approved, writes("docs/b.md")], log)) == 2
    assert suggest([], log) == []


def test_suggestions_are_made_for_each_folder_alone() -> None:
    here, there = shell("npm start", folder="/here"), shell("npm start", folder="/there")
    assert suggest([here, there], []) == []
    [found] = suggest([here, there, here], [Logged(*here, "ask"), Logged(*there, "ask")])
    assert found.matched == {"ask": 1} and 'folder = ["/here"]' in found.toml
    assert "/here" in found.rule.reason


def test_the_log_tells_what_was_approved() -> None:
    def decided(action: str, call: tuple[Call, Facts]) -> Event:
        return CallDecided(
            session="s",
            action=action,
            tool=call[0].tool,
            arguments=call[0].arguments,
            decision=Decision(verdict="ask", rules=("x",), reason=""),
            facts=call[1].model_dump(mode="json"),
        )

    def answered(action: str, **known: Any) -> Event:
        return ApprovalResolved.model_validate(
            {"session": "s", "action": action, "approved": True, "by": "me", **known}
        )

    once, twice = shell("npm start"), shell("npm run seed")
    events = [
        decided("1", once),
        answered("1"),
        decided("2", twice),
        answered("2", approved=False),
        decided("3", twice),
        answered("3", arguments={"command": "other"}),
        answered("4"),
        decided("5", twice).model_copy(update={"facts": {"unheard": "of"}}),
    ]
    past = collect(events)
    assert past.approved == (once,)
    assert [(each.call, each.facts, each.verdict) for each in past.log] == [
        (*once, "ask"),
        (*twice, "ask"),
        (*twice, "ask"),
    ]
