"""Every language's catalogue has what is said, and nothing else."""

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from llmasos.language.catalogue import Catalogue, read_catalogue, same_said
from scripts.phrases import CATALOGUES, TABLES, UNSEEN_ERRORS, UNSEEN_FILES, collect

FILES = sorted(CATALOGUES.glob("*.po"))
GAP = re.compile(r"(?<!\{)\{(\d*)(:[nw])?\}(?!\})")
LABEL = re.compile(r"[a-z]+ {2,}")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    return {same_said(phrase): where for phrase, where in collect().items()}


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.stem)
def entries(request: pytest.FixtureRequest) -> dict[str, str]:
    return read_catalogue(request.param)


def test_there_are_catalogues() -> None:
    assert [file.stem for file in FILES] == ["zh"]


def test_everything_that_is_said_is_translated(said: dict[str, str], entries: dict[str, str]) -> None:
    known = {same_said(phrase) for phrase in entries}
    missing = {phrase: where for phrase, where in said.items() if phrase not in known}
    assert not missing, "add them to the catalogue; `python -m scripts.phrases` lists them, too"


def test_nothing_is_translated_that_nobody_says(said: dict[str, str], entries: dict[str, str]) -> None:
    assert not [phrase for phrase in entries if same_said(phrase) not in said]


def test_each_phrase_stands_there_once(entries: dict[str, str]) -> None:
    assert len({same_said(phrase) for phrase in entries}) == len(entries)
    for file in FILES:
        assert file.read_text().count('\nmsgid "') - 1 == len(read_catalogue(file)), "a line cannot be read"


def test_gaps_come_through(entries: dict[str, str]) -> None:
    for phrase, instead in entries.items():
        wanted = sorted(gap[0] for gap in GAP.findall(phrase))
        assert wanted == sorted(gap[0] for gap in GAP.findall(instead)), phrase
        assert wanted == sorted(map(str, range(len(wanted)))), phrase


def test_commands_names_and_addresses_come_through(entries: dict[str, str]) -> None:
    code = re.compile(r"`[^`]+`|--[a-z][a-z-]+|LLMASOS_[A-Z_]+|https?://\S+?(?=[ ,]|$)")
    for phrase, instead in entries.items():
        for part in code.findall(phrase):
            bare = part if "{" not in part else ""
            assert bare.rstrip(".") in instead, f"{part} of {phrase}"


def test_labels_keep_their_width(entries: dict[str, str]) -> None:
    labels = [(phrase, instead) for phrase, instead in entries.items() if LABEL.match(phrase)]
    assert len(labels) > 30
    for phrase, instead in labels:
        found, translation = LABEL.match(phrase), re.match(r"\S+ +", instead)
        assert found and translation, phrase
        assert cell_len(translation[0]) == cell_len(found[0]), phrase


def test_every_phrase_finds_its_own_translation(entries: dict[str, str]) -> None:
    catalogue = Catalogue(entries)
    for phrase, instead in entries.items():
        given = {gap[0]: "7" if gap[1] == ":n" else "/x" for gap in GAP.findall(phrase)}
        assert catalogue.translated(filled(phrase, given)) == filled(instead, given), phrase


def filled(template: str, given: dict[str, str]) -> str:
    return GAP.sub(lambda gap: given[gap[1]], template).replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("name", ["{0}", "\x1b[31m", "failed", "*", "a b"])
def test_names_are_never_translated(entries: dict[str, str], name: str) -> None:
    assert name in Catalogue(entries).translated(f"There is no session {name}.")


def test_exceptions_are_still_ones() -> None:
    root = CATALOGUES.parent
    source = "".join(file.read_text() for file in root.rglob("*.py"))
    for name in (*UNSEEN_FILES, *TABLES):
        assert list(root.glob(f"{name}*")) or (root / name).exists(), name
    for error in UNSEEN_ERRORS:
        assert f"class {error}(" in source


def test_new_words_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent" / "policy").mkdir(parents=True)
    (tmp_path / "shell").mkdir()
    (tmp_path / "agent" / "policy" / "builtin.toml").write_text(
        '[[rule]]\nreason = "{tool} is a test rule."\n'
    )
    (tmp_path / "errors.py").write_text(
        "class LLMasOSError(Exception): ...\nclass OddError(LLMasOSError): ...\n"
    )
    (tmp_path / "shell" / "odd.py").write_text(
        "def odd(file, number, more):\n"
        "    why = 'it is odd' if more else f'it has {number:,} eyes'\n"
        "    say(f'{count(number, \"odd thing\")} came.')\n"
        "    raise OddError(f'{file} cannot be: {why}.', hint='Make it even.' if more else '')\n"
        "def even():\n"
        "    raise ToolError('The model is told this.')\n"
    )
    monkeypatch.setattr("scripts.phrases.PACKAGE", tmp_path)
    found = set(collect())
    assert {
        "{0} cannot be: it is odd.",
        "{0} cannot be: it has {1:n} eyes.",
        "Make it even.",
        "{0:w} came.",
        "{0:n} odd thing",
        "{0:n} odd things",
        "{0} is a test rule.",
    } <= found
    assert "The model is told this." not in found
