"""Pastes: short ones are typed, long ones are attached."""

from llmasos.shell.screen.pastes import Pastes


def test_a_short_paste_is_typed() -> None:
    pastes = Pastes()
    assert pastes.take("one\r\ntwo\rthree") == "one\ntwo\nthree"
    assert pastes.line("one").attachments == ()


def test_long_pastes_are_attached_by_their_marks() -> None:
    pastes = Pastes()
    log, word = "line\n" * 30, "x" * 5000
    first, second = pastes.take(log), pastes.take(word)
    assert (first, second) == ("[pasted text 1: 30 lines]", "[pasted text 2: 1 line]")
    line = pastes.line(f"compare {second} with {second}")
    assert [(one.name, one.text) for one in line.attachments] == [("pasted text 2", word)]
    assert line.text == f"compare {second} with {second}"


def test_a_mark_that_was_typed_is_only_text() -> None:
    pastes = Pastes()
    pastes.take("line\n" * 30)
    assert pastes.line("[pasted text 7] and [pasted text x]").attachments == ()


def test_a_mark_whose_text_is_gone_is_told() -> None:
    pastes = Pastes()
    mark = pastes.take("line\n" * 30)
    assert pastes.gone(f"look at {mark}") == ""
    assert Pastes().gone(f"look at {mark}") == mark
    assert pastes.gone("[pasted text 7] is what I typed") == ""


def test_the_mark_before_the_cursor() -> None:
    pastes = Pastes()
    mark = pastes.take("line\n" * 30)
    assert pastes.last_mark(f"look at {mark}") == mark
    assert pastes.last_mark(f"{mark} ") == "" and pastes.last_mark("[pasted text 9: 3 lines]") == ""


def test_a_paste_has_an_end() -> None:
    pastes = Pastes()
    mark = pastes.take("x" * 5_000_000)
    assert mark == "[pasted text 1: 1 line, cut to 4,000,000 characters]"
    assert len(pastes.line(mark).attachments[0].text) == 4_000_000
