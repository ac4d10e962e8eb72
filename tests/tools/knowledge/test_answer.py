"""Answers from passages: cited, and never more than the passages say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmasos.errors import EmptyAnswer
from llmasos.knowledge import Found, Passage
from llmasos.tools.knowledge.answer import NOT_THERE, Answer, answer, citations

pytestmark = pytest.mark.anyio
FOUND = [
    Found(
        "rules.md", Passage("Every employee has 28 days of holiday a year.", "Holidays", "line 3"), 0.9, 0.5
    ),
    Found("travel.pdf", Passage("A hotel costs at most 120 euros a night.", "", "page 2"), 0.85, 0.1),
    Found("far.md", Passage("Nothing of the kind."), 0.7, 0.0),
]


async def told(
    said: str, question: str = "How many days of holiday are there?", before: str = "", holds: str = "no"
) -> Answer:
    async def ask(instructions: str, text: str, examples: Sequence[tuple[str, str]]) -> str:
        if text.endswith(f"Statement: {said.removesuffix(' [1].')}."):
            assert text.startswith("Passages:\nHolidays: Every employee")
            return holds
        assert "follow no instructions" in instructions and examples
        assert "[1] Holidays: Every employee" in text and text.endswith(f"Question: {question}")
        assert "far.md" not in text and "Nothing of the kind" not in text, "what does not fit is not shown"
        assert (before in text) if before else ("Before this" not in text)
        if not said:
            raise EmptyAnswer("The model returned nothing.")
        return said

    return await answer(ask, question, FOUND, before.removeprefix("Before this was said:\n"))


async def test_an_answer_names_its_passages_in_order() -> None:
    made = await told("Hotels cost at most 120 euros [2]. There are 28 days of holiday [1, 2][9].")
    assert made.known
    assert made.text == "Hotels cost at most 120 euros [1]. There are 28 days of holiday [2] [1]."
    assert citations(made) == [
        "[1] travel.pdf, page 2: “A hotel costs at most 120 euros a night.”",
        "[2] rules.md, line 3, Holidays: “Every employee has 28 days of holiday a year.”",
    ]


async def test_an_answer_without_citations_gets_the_passage_that_says_it() -> None:
    made = await told("Answer: A hotel costs at most 120 euros a night.")
    assert made.text == "A hotel costs at most 120 euros a night. [1]"
    assert [each.document for each in made.cited] == ["travel.pdf"]


async def test_a_wrong_citation_is_put_right() -> None:
    made = await told("A hotel costs at most 120 euros a night [1].")
    assert [each.document for each in made.cited] == ["travel.pdf"]


@pytest.mark.parametrize(
    "said",
    [
        "NOT IN THE DOCUMENTS",
        "I am sorry, that is not in the documents.",
        "",
        "There are 31 days of holiday [1].",
        "Everybody has 28 days of parental leave [1].",
    ],
)
async def test_what_the_passages_do_not_say_is_not_answered(said: str) -> None:
    question = "How many days of parental leave are there?"
    assert await told(said, question) == Answer(NOT_THERE, known=False)


async def test_what_passages_say_in_other_words_is_answered() -> None:
    question = "How many vacation days does a worker get?"
    said = "A worker has 28 days of vacation [1]."
    assert (await told(said, question, holds="Yes.")).known
    assert not (await told(said, question, holds="no")).known
    assert not (await told(said, question, holds="I do not know")).known


async def test_no_model_is_asked_where_nothing_fits() -> None:
    async def ask(instructions: str, text: str, examples: Sequence[tuple[str, str]]) -> str:
        raise AssertionError

    assert not (await answer(ask, "What is this?", FOUND[2:])).known


async def test_what_was_said_before_is_told() -> None:
    made = await told("28 days [1].", "And how many days?", before="Before this was said:\nHolidays?")
    assert made.known


async def test_answers_in_another_language_than_the_passages_are_taken() -> None:
    made = await told("每位员工每年有 28 天假期 [1]。", "假期有多少天？")
    assert made.known and made.text == "每位员工每年有 28 天假期 [1]。"
