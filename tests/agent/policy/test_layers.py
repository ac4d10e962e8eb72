"""Files of rules count by their layers, and one with a mistake makes the policy stricter, never looser."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.agent.policy import (
    Call,
    Facts,
    Policy,
    Rule,
    When,
    add_rule,
    as_toml,
    builtin,
    decide,
    load_policy,
)
from llmasos.agent.policy.files import STRICT, parse
from llmasos.agent.policy.rules import Layer
from llmasos.errors import ConfigError

ALLOW = '[[rule]]\nid = "mine"\ndecision = "allow"\nwhen.tool = "deploy"\n'
ASK = '[[rule]]\nid = "careful"\ndecision = "ask"\nreason = "Mind {writes}."\nwhen.writes = "money/**"\n'
X = ASK + "\n[[rule]]\nid = 'x'\n"
DENY = '[[rule]]\nid = "never"\ndecision = "deny"\n[rule.when]\nprograms = ["rm"]\n'


class Files:
    def __init__(self, root: Path) -> None:
        self.administrator = root / "etc" / "policy.toml"
        self.user = root / "config" / "policy.toml"
        self.folder = root / "folder"
        self.project = self.folder / ".llmasos" / "policy.toml"
        for file in (self.administrator, self.user, self.project):
            file.parent.mkdir(parents=True)

    def load(self) -> Policy:
        return load_policy(self.folder, administrator=self.administrator, user=self.user)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def decided(policy: Policy, tool: str = "t", **known: Any) -> tuple[str, str]:
    facts = Facts.model_validate({"capabilities": ["writes"], "effects": ["writes"], **known})
    decision = decide(Call(tool=tool), facts, policy)
    return decision.verdict, decision.rule


DEPLOY: dict[str, Any] = {"tool": "deploy", "plugin": "plugin:x"}


def test_without_files_the_built_in_rules_count(files: Files) -> None:
    policy = files.load()
    assert {rule.id for rule in policy.rules} == {rule.id for rule in builtin()}
    assert policy.notices == ()
    assert policy.version == Policy.of(builtin()).version == Policy.of(reversed(builtin())).version


def test_a_user_allows_what_is_asked_about_softly_but_not_firmly_nor_what_is_denied(files: Files) -> None:
    before = files.load()
    assert decided(before, **DEPLOY) == ("ask", "foreign")
    files.user.write_text(ALLOW)
    policy = files.load()
    assert policy.notices == () and policy.version != before.version
    assert decided(policy, **DEPLOY) == ("allow", "mine")
    assert decided(policy, **DEPLOY, sinks=["web"]) == ("ask", "untrusted-target")
    assert decided(policy, **DEPLOY, outside=["../x"]) == ("deny", "outside")


def test_a_project_may_only_tighten(files: Files) -> None:
    files.project.write_text(ALLOW + ASK + DENY + DENY.replace("never", "outside"))
    policy = files.load()
    assert decided(policy, **DEPLOY) == ("ask", "foreign")
    assert decided(policy, writes=["money/a"]) == ("ask", "careful")
    assert decided(policy, programs=["rm"]) == ("deny", "never")
    assert len(policy.notices) == 2
    assert "rule mine" in policy.notices[0] and str(files.project) in policy.notices[0]
    assert "rule outside" in policy.notices[1] and "replace" in policy.notices[1]
    assert decided(policy, outside=["../x"]) == ("deny", "outside")


def test_a_projects_question_beats_whatever_others_allow(files: Files) -> None:
    files.user.write_text(ALLOW.replace("when", "priority = 99\nwhen"))
    files.administrator.write_text(ALLOW.replace("mine", "theirs").replace("when", "priority = 1000\nwhen"))
    files.project.write_text(ASK.replace("when", "priority = 0\nwhen"))
    policy = files.load()
    assert policy.notices == ()
    assert decided(policy, **DEPLOY) == ("allow", "theirs")
    assert decided(policy, **DEPLOY, writes=["money/a"]) == ("ask", "careful")


def test_rules_of_one_name_replace_each_other_downwards_only(files: Files) -> None:
    files.user.write_text(ALLOW.replace('"mine"', '"undeclared"').replace("deploy", "x"))
    assert decided(files.load(), "x", capabilities=[], effects=["unknown"]) == ("allow", "undeclared")
    files.administrator.write_text(DENY.replace("never", "undeclared"))
    policy = files.load()
    assert decided(policy, programs=["rm"]) == ("deny", "undeclared")
    assert len(policy.notices) == 1 and "administrator" in policy.notices[0]


@pytest.mark.parametrize(
    ("text", "line", "rule", "says"),
    [
        (X + "decision='deny'\nwhen.tool =\n", 10, "", "invalid value"),
        (X + "decision='deny'\nwhen.tols = 'a'\n", 10, "x", "not known"),
        (X + "decision='deny'\nwhen.tool = 3\n", 10, "x", "tool"),
        (X + "decision='deny'\nwhen.effects = ['write']\n", 10, "x", "'write' is none of"),
        (X + "decision='refuse'\nwhen.tool = 'a'\n", 9, "x", "decision"),
        (X + "decision='ask'\nwhen.dynamic = 'yes'\n", 10, "x", "dynamic"),
        (X + "decision='ask'\n", 7, "x", "when: this is missing"),
        (X + "decision='ask'\nwhen = {}\n", 10, "x", "no condition"),
        (X + "decision='ask'\nreason = '{cost}'\nwhen.tool='a'\n", 10, "x", "no fact"),
        (X + "decision='ask'\nwhen.tool='[b-a]'\n", 10, "x", "no glob"),
        (X + "decision='ask'\npriority = 100\nwhen.tool='a'\n", 10, "x", "more than 99"),
        (X + "decision='ask'\nlayer = 'built-in'\nwhen.tool='a'\n", 10, "x", "layer"),
        (ASK + ASK.replace("money", "other"), 7, "careful", "another rule"),
        (ASK + "\n[rules]\nid = 'x'\n", 7, "", "'rules'"),
        (ASK + ASK.replace("[[rule]]", "[rule]"), 6, "", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_rule_and_makes_stricter(
    files: Files, text: str, line: int, rule: str, says: str
) -> None:
    files.user.write_text(ALLOW.replace("mine", "other") + "\n" + text)
    policy = files.load()
    shift = 5
    assert any(
        notice.startswith(f"{files.user}, line {line + shift}{f', rule {rule}' if rule else ''}: ")
        and says in notice
        for notice in policy.notices
    ), policy.notices
    assert decided(policy) == ("ask", "broken-user")
    assert decided(policy, **DEPLOY) == ("ask", "broken-user")
    assert decided(policy, effects=["reads"]) == ("allow", "read")
    if text.startswith(ASK):
        assert "careful" in {each.id for each in policy.rules}


JARGON = (
    "nput",
    "should",
    "alid ",
    "tuple",
    "dictionary",
    "constrained",
    "instance",
    "pattern",
    "Rule",
    "When",
)
FIELDS = [*(f"when.{name}" for name in When.model_fields), *sorted(set(Rule.model_fields) - {"layer"})]


def notices(field: str, value: str) -> list[str]:
    lines = {"id": "'x'", "decision": "'ask'", "priority": "5", "reason": "'r'", "when.tier": "'docker'"}
    if field == "when":
        del lines["when.tier"]
    text = "\n".join(f"{name} = {said}" for name, said in (lines | {field: value}).items())
    return list(parse(f"[[rule]]\n{text}\n", "policy.toml", "user", 99).notices)


@pytest.mark.parametrize(
    "value", ["3.5", "-1", "''", "[]", "[3]", "['']", "{}", "1979-05-27", "{a = {b = 1}}"]
)
@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value_is_told_once_and_in_the_words_of_the_file(field: str, value: str) -> None:
    told = notices(field, value)
    if field == "reason" and value == "''":
        assert not told
        return
    *mistakes, follows = told
    assert mistakes and len({notice.partition(": ")[2].partition(": ")[0] for notice in mistakes}) == len(
        mistakes
    )
    assert all(f": {field}" in notice for notice in mistakes), mistakes
    assert not any(word in notice for notice in told for word in JARGON), told
    assert follows.startswith(
        "policy.toml: until it is corrected, you are asked about everything but reading"
    )


@pytest.mark.parametrize(
    "field", sorted(set(FIELDS) - {"when", "when.arguments", "decision", "id", "reason"})
)
def test_what_a_value_must_be_is_what_is_taken(field: str) -> None:
    [said, _] = notices(field, "1979-05-27")
    word = next(
        (word for word in ("reads", "web", "link", "open", "always") if not notices(field, f"'{word}'")), "a"
    )
    for value, words in (("true", "true"), ("false", "false"), (f"['{word}']", "list"), ("7", "number")):
        assert (not notices(field, value)) is (words in said), (said, value)


def test_a_broken_rule_that_allows_is_only_left_out(files: Files) -> None:
    files.user.write_text(ASK + ALLOW + "when.nothing = true\n")
    policy = files.load()
    assert policy.notices
    assert decided(policy) == ("allow", "view")
    assert decided(policy, **DEPLOY) == ("ask", "foreign")
    assert decided(policy, writes=["money/a"]) == ("ask", "careful")


def test_files_that_cannot_be_read_make_stricter(files: Files) -> None:
    files.administrator.mkdir()
    files.user.write_bytes(b"# \n# \xff\n")
    files.project.write_bytes(b"#" * 300_000)
    policy = files.load()
    assert {"broken-administrator", "broken-user", "broken-project"} <= {rule.id for rule in policy.rules}
    assert any("line 2: it is not UTF-8" in notice for notice in policy.notices)
    assert any("larger" in notice for notice in policy.notices)
    assert decided(policy)[0] == "ask"


@pytest.mark.parametrize(
    "text", ["rule = 3\n", "rule = [3]\n", "[rule]\nid = 'x'\n", "x = 1\n", "[[rule]]\n[[rule]]\n"]
)
def test_what_are_no_rules_makes_stricter(files: Files, text: str) -> None:
    files.user.write_text(text)
    policy = files.load()
    assert policy.notices[0].startswith(f"{files.user}, line 1")
    assert decided(policy) == ("ask", "broken-user")


def test_a_pipe_is_not_waited_for(files: Files) -> None:
    import os

    os.mkfifo(files.user)
    assert decided(files.load()) == ("ask", "broken-user")


@pytest.mark.parametrize("where", ["file", "folder", "nowhere"])
def test_a_link_out_of_the_folder_is_refused(files: Files, tmp_path: Path, where: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "policy.toml").write_text(ASK)
    if where == "folder":
        files.project.parent.rmdir()
        files.project.parent.symlink_to(tmp_path / "elsewhere")
    else:
        files.project.symlink_to(tmp_path / "elsewhere" / ("policy.toml" if where == "file" else "none"))
    policy = files.load()
    assert decided(policy) == ("ask", "broken-project")
    assert "careful" not in {rule.id for rule in policy.rules}
    assert len(policy.notices) == 1 and str(files.project) in policy.notices[0]
    assert policy.notices[0].endswith("Until that is corrected, you are asked about everything but reading.")


def test_a_plain_file_in_place_of_the_folder_of_rules_is_named(files: Files) -> None:
    files.project.parent.rmdir()
    files.project.parent.write_text("")
    policy = files.load()
    assert f"{files.project}: {files.project.parent} is no folder." in policy.notices[0]
    assert decided(policy) == ("ask", "broken-project")


@pytest.mark.parametrize(
    ("text", "layer", "follows"),
    [
        (ALLOW + "when.x = 1\n", "user", "its rules that allow do not count"),
        (ASK + "when.x = 1\n", "user", f"{STRICT}, and its rules that allow do not count"),
        (ASK + "when.x = 1\n", "project", STRICT),
        (ALLOW + "when.x = 1\n", "project", ""),
        ("when.x = [" * 10_000, "user", f"{STRICT}, and its rules that allow do not count"),
    ],
)
def test_what_follows_from_a_mistake_is_told(text: str, layer: Layer, follows: str) -> None:
    told = parse(text, "policy.toml", layer, 99).notices
    assert (told[-1] == f"policy.toml: until it is corrected, {follows}.") is bool(follows)
    assert sum("until" in notice for notice in told) == bool(follows)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200), st.text("[]rule=\"'.{}#\nwhen allow ask deny", max_size=120).map(str.encode)
    )
)
def test_whatever_a_file_holds_nothing_more_is_allowed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("any") / "policy.toml"
    file.write_bytes(ASK.encode() + content)
    policy = load_policy(administrator=file.parent / "none", user=file)
    for known in ({}, DEPLOY, {"outside": ["/x"]}, {"effects": ["reads"]}):
        before, after = decided(Policy.of(builtin()), **known)[0], decided(policy, **known)[0]
        assert ("allow", "ask", "deny").index(after) >= ("allow", "ask", "deny").index(before)
    assert policy.notices or "careful" in {rule.id for rule in policy.rules}


def test_a_rule_is_added_to_a_file_that_keeps_its_words(files: Files) -> None:
    rule = Rule.model_validate(
        {
            "id": "always-1",
            "decision": "allow",
            "reason": 'tab\there "quoted" \x7f 漢字 😀',
            "layer": "user",
            "when": {"tool": ["a[*]b"], "plugin": False, "arguments": {"a b": ["x\\y"], "c": True}},
        }
    )
    files.user.write_text("# my own words\n" + ASK.rstrip())
    files.user.chmod(0o640)
    assert add_rule(files.user, rule)
    assert not add_rule(files.user, rule)
    assert files.user.read_text().startswith("# my own words\n" + ASK)
    assert files.user.stat().st_mode & 0o777 == 0o640
    policy = files.load()
    assert policy.notices == ()
    assert rule in policy.rules
    assert list(files.user.parent.iterdir()) == [files.user]
    assert as_toml(rule) in files.user.read_text()


def test_a_rule_is_not_added_to_a_file_with_a_mistake(files: Files) -> None:
    files.user.write_text("[[rule]]\nid = \n")
    rule = Rule.model_validate({"id": "x", "decision": "allow", "when": {"tool": "a"}, "layer": "user"})
    with pytest.raises(ConfigError, match="line 2"):
        add_rule(files.user, rule)
    assert files.user.read_text() == "[[rule]]\nid = \n"


def test_a_file_is_made_for_the_first_rule(tmp_path: Path) -> None:
    rule = Rule.model_validate({"id": "x", "decision": "allow", "when": {"tool": "a"}, "layer": "user"})
    file = tmp_path / "new" / "policy.toml"
    assert add_rule(file, rule)
    assert file.stat().st_mode & 0o777 == 0o600
    assert rule in load_policy(administrator=tmp_path / "none", user=file).rules


def test_a_policy_survives_its_json() -> None:
    policy = Policy.of(builtin(), ["a notice"])
    again = Policy.model_validate_json(policy.model_dump_json())
    assert again == policy and again.version == policy.version
