"""Known secrets are found in every form; equal ones have equal markers."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from llmasos.secrets import Redactor
from tests.secrets.written import AROUND, SECRETS, WRITTEN, leaks


@pytest.mark.parametrize("form", WRITTEN)
@settings(max_examples=30, deadline=None)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_no_form_of_a_known_secret_is_left(form: str, secret: str, before: str, after: str) -> None:
    # What a line begins with may be the quote's or the secret's.
    assume(form != "quoted mail" or not set(secret) & set(">|#*"))
    redactor = Redactor([secret])
    written = WRITTEN[form](secret)
    # What stands around it may happen to be a part of it.
    assume(not leaks(secret, written, f"{before} {after}"))
    shown = redactor.text(f"{before}{written}{after}")
    assert "[redacted:" in shown
    assert not leaks(secret, written, shown)
    stream, text = redactor.stream(), f"{before}{written}{after}"
    pieces = [stream.feed(text[at : at + 5]) for at in range(0, len(text), 5)]
    assert not leaks(secret, written, "".join(pieces) + stream.close())


@settings(max_examples=100, deadline=None)
@given(
    secret=SECRETS, before=AROUND, after=AROUND, sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20)
)
def test_a_known_secret_does_not_slip_through_between_pieces(
    secret: str, before: str, after: str, sizes: list[int]
) -> None:
    redactor = Redactor([secret])
    stream, text, shown = redactor.stream(), f"{before}{secret}{after} {secret}\n", ""
    while text:
        for size in sizes:
            shown, text = shown + stream.feed(text[:size]), text[size:]
    shown += stream.close()
    assert secret not in shown
    assert shown.count("[redacted:") >= 1


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=300), known=st.lists(SECRETS, max_size=3))
def test_redacting_again_changes_nothing(text: str, known: list[str]) -> None:
    redactor = Redactor(known)
    once = redactor.text(" ".join([text, *known, text]))
    assert redactor.text(once) == once


def test_equal_secrets_have_equal_markers() -> None:
    redactor = Redactor(["correct-horse-7"])
    encoded = base64.b64encode(b"correct-horse-7").decode()
    markers = redactor.text(f"correct-horse-7, {encoded}, correct-\nhorse-7").split(", ")
    assert len(set(markers)) == 1
    assert markers[0].startswith("[redacted:known-secret:")
    other = Redactor(["correct-horse-7"]).text("correct-horse-7")
    assert other != markers[0], "a marker can be told from outside"


def test_a_longer_secret_is_not_shown_by_a_shorter_one_in_it() -> None:
    redactor = Redactor(["hunter2-x9", "prefix-hunter2-x9-suffix"])
    assert "suffix" not in redactor.text("is prefix-hunter2-x9-suffix")


@pytest.mark.parametrize("value", ["short", "", "password", "localhost", "Production"])
def test_short_and_common_values_are_not_redacted(value: str) -> None:
    assert Redactor([value]).text(f"a {value} b") == f"a {value} b"


def test_a_false_marker_hides_nothing() -> None:
    redactor = Redactor(["a1b2c3d4e5f6a7b8"])
    assert "a1b2c3d4e5f6a7b8" not in redactor.text("[redacted:a1b2c3d4e5f6a7b8:abcdef]")


class _Form(BaseModel, frozen=True):
    name: str
    fields: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True)
class _Row:
    cells: list[str]
    count: int = 0


def test_values_are_redacted_all_through() -> None:
    redactor = Redactor(["correct-horse-7"])
    form = _Form(name="a", fields=({"correct-horse-7": [1, None, "x correct-horse-7"]},))
    row = _Row(["correct-horse-7", "b"], 3)
    assert "correct" not in redactor.value(form).model_dump_json()
    assert "correct" not in str(redactor.value({"row": (row, 2.5)}))
    same = _Form(name="b")
    assert redactor.value(same) is same
    assert redactor.value({"a": [1, "b"]}) == {"a": [1, "b"]}


def test_the_name_of_a_value_tells_that_it_is_secret() -> None:
    assert "hunter2" not in str(Redactor().value({"password": "hunter2!x9", "path": "a.txt"}))


# Quadratic searches would take hours, and the test would be stopped.
@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ", "eyJaaaaaaaaa.", "sk-", "password=", "token==", "secret ", "AIza", "://", "aws", " ", "\n"),
        *("bearer ", "login a password ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "f0", "a.", "\n> "),
    ],
)
def test_the_time_is_linear(piece: str) -> None:
    redactor = Redactor(["correct horse battery staple", "a" * 20 + "b"])
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    assert len(redactor.text(text)) > 1
    stream, text = redactor.stream(), text[:100_000]
    assert "".join(stream.feed(text[at : at + 4096]) for at in range(0, len(text), 4096)) + stream.close()
