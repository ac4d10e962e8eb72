"""The archive of policies: kept by version, and refused when they were altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.agent.explain import PolicyArchive
from llmasos.agent.policy import Call, Facts, Policy, Rule, When, decide, load_policy
from llmasos.errors import ConfigError


def test_what_was_kept_decides_the_same(tmp_path: Path) -> None:
    policy = load_policy(administrator=tmp_path / "none", user=tmp_path / "none")
    PolicyArchive(tmp_path).keep(policy)
    again = PolicyArchive(tmp_path).load(policy.version)
    assert again.version == policy.version
    call, facts = Call(tool="run_shell"), Facts(effects=frozenset({"executes"}), copied=frozenset({"web"}))
    assert decide(call, facts, again) == decide(call, facts, policy)
    (file,) = (tmp_path / "policies").iterdir()
    assert file.parent.stat().st_mode & 0o077 == 0


def test_keeping_twice_writes_once(tmp_path: Path) -> None:
    archive = PolicyArchive(tmp_path)
    policy = Policy.of([Rule(id="a", decision="deny", when=When(tool=("x",)))])
    archive.keep(policy)
    (file,) = (tmp_path / "policies").iterdir()
    file.unlink()
    archive.keep(policy)
    assert not file.exists()
    PolicyArchive(tmp_path).keep(policy)
    assert file.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "was not kept"),
        (b"", "cannot be read any more"),
        (b"\xff{", "cannot be read any more"),
        (b'{"rules": [{"id": "a", "decision": "maybe"}]}', "cannot be read any more"),
        (b'{"rules": [{"id": "a", "decision": "allow", "when": {"tool": ["x"]}}]}', "was altered"),
    ],
)
def test_what_is_not_the_same_any_more_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    policy = Policy.of([Rule(id="a", decision="deny", when=When(tool=("x",)))])
    archive = PolicyArchive(tmp_path)
    archive.keep(policy)
    (file,) = (tmp_path / "policies").iterdir()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        archive.load(policy.version)


@pytest.mark.parametrize("version", ["", "../../etc/passwd", "1", "\0", "g" * 16])
def test_what_is_no_version_is_no_file(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigError, match="does not say which policy"):
        PolicyArchive(tmp_path).load(version)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "policies").write_text("")
    with pytest.raises(ConfigError, match="Cannot use the folder"):
        PolicyArchive(tmp_path).keep(Policy.of([]))
