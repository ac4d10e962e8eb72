import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos import paths
from llmasos.config import load_settings
from llmasos.errors import ConfigError


def test_variables_beat_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = paths.private_dir(paths.config_dir()) / "config.toml"
    file.write_text('model = "from-file"\n[limits]\nsteps = 3\n')
    assert load_settings().model == "from-file"
    assert load_settings().limits.steps == 3
    monkeypatch.setenv("LLMASOS_MODEL", "from-variable")
    assert load_settings().model == "from-variable"


def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMASOS_SANDBOX", "none")
    with pytest.raises(ConfigError, match="'sandbox' cannot be used") as caught:
        load_settings()
    assert "LLMASOS_SANDBOX" in caught.value.hint


def test_a_wrong_value_of_a_part_is_named_without_what_lies_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LLMASOS_LEDGER__CHAIN", "paper")
    with pytest.raises(ConfigError, match=r"'ledger\.chain' cannot be used.*'paper'") as caught:
        load_settings()
    assert "LLMASOS_LEDGER__CHAIN" in caught.value.hint
    monkeypatch.delenv("LLMASOS_LEDGER__CHAIN")
    monkeypatch.setenv("LLMASOS_LEDGER", '[{"key": "abcdef"}]')
    with pytest.raises(ConfigError, match="'ledger' cannot be used") as caught:
        load_settings()
    assert "abcdef" not in str(caught.value)


def test_a_list_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMASOS_LEDGER__ANCHORS", "file:/mnt/other/anchors.jsonl")
    with pytest.raises(ConfigError, match=r"LLMASOS_LEDGER__.* no JSON") as caught:
        load_settings()
    assert "LLMASOS_LEDGER__ANCHORS='[" in caught.value.hint


def test_a_broken_file_is_named() -> None:
    (paths.private_dir(paths.config_dir()) / "config.toml").write_text("model = ")
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML"):
        load_settings()


@pytest.mark.parametrize("make", [Path.mkdir, lambda file: file.symlink_to("nowhere"), os.mkfifo])
def test_what_lies_where_the_file_belongs_is_named(make: Callable[[Path], None]) -> None:
    make(paths.private_dir(paths.config_dir()) / "config.toml")
    with pytest.raises(ConfigError, match=r"config\.toml is not a file"):
        load_settings()


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", f"/{'a' * 300}")
    with pytest.raises(ConfigError, match=r"a/config\.toml cannot be read: File name too long"):
        load_settings()


def test_the_key_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMASOS_MODEL_KEY", "sk-secret")
    assert "sk-secret" not in repr(load_settings())


def test_a_private_folder_is_private(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    assert paths.private_dir(loose).stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Cannot use the folder"):
        paths.private_dir(tmp_path / "file")


def test_upstreams_are_one_url_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMASOS_MODELS__UPSTREAMS", '{"a": "http://h/v1", "b": ["https://h/v1", "http://i"]}')
    assert load_settings().models.upstreams == {"a": ("http://h/v1",), "b": ("https://h/v1", "http://i")}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"a": ["localhost:11434"]}', "must begin with http"),
        ('{"a": []}', "at least 1 item"),
        ("{a: b}", "no JSON"),
    ],
)
def test_upstreams_that_cannot_be_asked_are_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("LLMASOS_MODELS__UPSTREAMS", value)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings()
    assert "LLMASOS_MODELS" in caught.value.message + caught.value.hint
