"""Names that no setting has are found, and no name that something reads is taken for one."""

import re
from pathlib import Path

import pytest

from llmasos.strays import Stray, strays

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("LLMASOS_SHELL_KEYS", "LLMASOS_SHELL__KEYS"),
        ("LLMASOS_SHELL__KYES", "LLMASOS_SHELL__KEYS"),
        ("LLMASOS_MODEL_URI", "LLMASOS_MODEL_URL"),
        ("LLMASOS_XYZZY", ""),
    ],
)
def test_a_variable_that_sets_nothing_is_named(variable: str, meant: str, tmp_path: Path) -> None:
    found = list(strays({variable: "1", "PATH": "/bin"}, tmp_path / "config.toml"))
    assert found == [Stray(variable, meant)]


def test_a_key_that_sets_nothing_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        "modle = 'x'\nkeys = 'vi'\n[shell]\nkey = 'vi'\n[shel]\nkeys = 'vi'\n"
        "[mcp.files]\ncomand = ['x']\nurl = 'https://example.org'\n"
        "[models.upstreams]\nanything = 'http://localhost/v1'\n"
    )
    assert [(stray.name, stray.file) for stray in strays({}, file)] == [
        (name, str(file)) for name in ("modle", "keys", "shell.key", "shel", "mcp.files.comand")
    ]
    assert [stray.meant for stray in strays({}, file)][:4] == ["model", "shell.keys", "shell.keys", "shell"]


def test_what_is_read_anywhere_is_no_stray(tmp_path: Path) -> None:
    read: set[str] = set()
    for folder, kind in (("llmasos", "*.py"), ("scripts", "*"), ("docs", "*.md"), ("benchmarks", "*.py")):
        for file in (ROOT / folder).rglob(kind):
            if file.is_file() and "__pycache__" not in file.parts:
                read |= set(
                    re.findall(r"\bLLMASOS_[A-Z][A-Z_]*[A-Z]\b(?!_)", file.read_text(errors="replace"))
                )
    assert {"LLMASOS_CONFIG_DIR", "LLMASOS_MODEL_URL"} < read
    assert list(strays(dict.fromkeys(read, "x"), tmp_path / "none.toml")) == []
