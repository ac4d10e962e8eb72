"""Passages: split, translated, checked, and never out of shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.errors import EmptyAnswer, ToolError
from llmasos.tools._text import decode
from llmasos.tools.translation.document import Passage
from llmasos.tools.translation.glossary import Glossary
from llmasos.tools.translation.language import language
from llmasos.tools.translation.markdown import markdown
from llmasos.tools.translation.markup import markup
from llmasos.tools.translation.passages import Translated, Translator, split


@given(st.text(alphabet="ab。. \n", max_size=300), st.integers(1, 40))
def test_pieces_join_to_the_text(text: str, size: int) -> None:
    pieces = split(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) <= size for piece in pieces)


def test_pieces_end_at_blank_lines() -> None:
    assert split("one one\n\ntwo two\n\nthree\n", 16) == ["one one\n\n", "two two\n\nthree\n"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_is_read_in_its_encoding(encoding: str) -> None:
    assert decode("今天天气很好\n".encode(encoding), "f") == "今天天气很好\n"


def test_a_cut_character_is_dropped() -> None:
    assert decode("中文".encode()[:-1], "f", partial=True) == "中"


def test_binary_is_named() -> None:
    with pytest.raises(ToolError, match=r"data\.bin is a binary file"):
        decode(b"\0\1\2", "data.bin")


class Model:
    """Answers in turn; the last answer for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, instructions: str, text: str, most: int) -> str:
        self.asked.append((instructions, text))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise EmptyAnswer("The model returned nothing.")
        return answer


def passage(source: str) -> Passage:
    return markdown(source).passages[0]


async def translated(model: Model, source: str, target: str = "French", **given: Any) -> Translated:
    glossary = Glossary(given.pop("terms", {}))
    read = given.pop("read", passage)
    return await Translator(model, language(target), glossary, check=given.pop("check", False)).translate(
        read(source)
    )


@pytest.mark.anyio
async def test_marks_come_back_as_what_they_stand_for() -> None:
    model = Model("Lancez {1} puis [ouvrez]{2}.")
    end = await translated(model, "Run `make` and [open](https://example.org).")
    assert end == Translated("Lancez `make` puis [ouvrez](https://example.org).")
    assert model.asked[0][1] == "Translate into French:\n\nRun {1} and [open]{2}."


@pytest.mark.anyio
async def test_what_announces_a_translation_is_no_part_of_it() -> None:
    for answer in ("Here is the French translation:\n\nBonjour.", "Sure! Here's the translation: Bonjour."):
        assert (await translated(Model(answer), "Good morning.")).text == "Bonjour."
    said = "Here is the translation: a book."
    assert (await translated(Model(said), "Here is a translation: a book.")).text == said


@pytest.mark.anyio
async def test_a_model_that_loses_marks_is_asked_again_with_all_markup_as_marks() -> None:
    model = Model("Lancez.", "Lancez {1} et {2}ouvrez{3}.")
    end = await translated(model, "Run `make` and [open](https://example.org).")
    assert end.text == "Lancez `make` et [ouvrez](https://example.org)."
    assert model.asked[1][1].endswith("Run {1} and {2}open{3}.")


@pytest.mark.anyio
async def test_what_stands_between_is_translated_by_itself_when_marks_are_lost_again() -> None:
    model = Model("Non.", "Non.", "Lancez", "et", "ouvrez")
    end = await translated(model, "Run `make` and [open](https://example.org)")
    assert end.text == "Lancez `make` et [ouvrez](https://example.org)"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    ["[Bonjour](https://a.example)", "# Bonjour", "<script>x()</script> Bonjour", "- Bonjour", ""],
)
async def test_what_would_change_the_structure_is_not_taken(answer: str) -> None:
    end = await translated(Model(answer), "Good morning to everybody here")
    assert end.text == "Good morning to everybody here"
    assert "not translated" in end.problems[0]


@pytest.mark.anyio
async def test_tags_that_a_model_tears_apart_are_put_back_in_order() -> None:
    def read(source: str) -> Passage:
        return markup(source).passages[0]

    model = Model("Rouge {2}chaussures{1}.", "{2}{1}", "Rouge", "chaussures", "!")
    end = await translated(model, "<p>Red <b>shoes</b>!</p>", read=read)
    assert end.text == "Rouge <b>chaussures</b>!"


@pytest.mark.anyio
async def test_a_number_that_is_missing_is_asked_for_again_and_told() -> None:
    model = Model("Il y a des fichiers ici.", "Il y a toujours des fichiers ici.")
    end = await translated(model, "There are 2,500 files in here.")
    assert end == Translated("Il y a des fichiers ici.", ("the number 2,500 is missing",))
    assert "the number 2,500 is missing" in model.asked[1][0]


@pytest.mark.anyio
async def test_the_glossary_is_told_and_checked() -> None:
    model = Model("Le portail est ouvert.", "Le guichet est ouvert.")
    terms = {"gate": "guichet", "chain": "chaîne"}
    end = await translated(model, "The gate is open.", terms=terms)
    assert end == Translated("Le guichet est ouvert.")
    assert "gate = guichet" in model.asked[0][0]
    assert "chaîne" not in model.asked[0][0]


@pytest.mark.anyio
async def test_what_stays_in_its_language_is_told() -> None:
    same = "The results will be displayed within a few moments."
    end = await translated(Model(same), same)
    assert end.problems == ("it is not translated",)


@pytest.mark.anyio
async def test_a_translation_that_says_something_else_is_found_by_translating_back() -> None:
    source = "The results will be displayed within a few moments."
    good = Model(
        "Les résultats seront affichés dans quelques instants.", "The results will be shown in moments."
    )
    assert (await translated(good, source, check=True)).problems == ()
    bad = Model("Le chat dort sur le tapis rouge dehors.", "The cat sleeps on the red carpet outside.")
    (problem,) = (await translated(bad, source, check=True)).problems
    assert problem == "translated back, it says: The cat sleeps on the red carpet outside."


@pytest.mark.anyio
async def test_what_models_put_around_a_translation_is_taken_off() -> None:
    assert (await translated(Model('"Bonjour à tous"'), "Good morning everybody")).text == "Bonjour à tous"
    assert (
        await translated(Model("```\nBonjour\nà tous\n```"), "Good morning everybody")
    ).text == "Bonjour à tous"
    quoted = await translated(Model('"Bonjour"'), '"Good morning"')
    assert quoted.text == '"Bonjour"'


@pytest.mark.parametrize(
    ("text", "target", "done"),
    [
        ("12.50", "French", True),
        ("{name}: https://example.org", "French", True),
        ("Ce texte est déjà écrit en français.", "French", True),
        ("今天天气很好", "Chinese", True),
        ("今天天气很好", "Traditional Chinese", False),
        ("This one is not, as one can see.", "French", False),
    ],
)
def test_what_needs_no_translation_is_known(text: str, target: str, done: bool) -> None:
    translator = Translator(Model("x"), language(target), Glossary({}), check=False)
    assert translator.done_already(Passage(0, len(text), text)) == done
