"""Settings that differ are found without telling what they are."""

from pathlib import Path

from llmasos.config import Settings
from llmasos.fingerprints import differing, fingerprints


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path, **given})


def test_only_what_was_given_and_differs_is_named(tmp_path: Path) -> None:
    kernel = settings(tmp_path, model_key="sk-secret-one", service={"console": True}, sandbox_hosts=["a.org"])
    known = fingerprints(kernel, "k")
    assert "sk-secret-one" not in str(known) and "service.console" in known
    same = settings(tmp_path, model_key="sk-secret-one", sandbox_hosts=["a.org"])
    assert differing(same, known, "k") == []
    other = settings(
        tmp_path,
        model_key="sk-secret-two",
        shell={"keys": "vi"},
        models={"upstreams": {"far": "http://x/v1"}},
    )
    assert differing(other, known, "k") == ["model_key", "models.upstreams", "shell.keys"]


def test_another_key_gives_other_fingerprints(tmp_path: Path) -> None:
    one, two = (fingerprints(settings(tmp_path), key) for key in ("k", "l"))
    assert one.keys() == two.keys() and not set(one.values()) & set(two.values())


def test_a_kernel_that_knows_less_settings_differs_in_none_of_those(tmp_path: Path) -> None:
    assert differing(settings(tmp_path, model="m"), {}, "k") == []
