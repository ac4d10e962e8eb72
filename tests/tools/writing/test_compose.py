"""Texts: composed by an outline, held to a checklist, and revised."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.testing.kernel import FakeKernel
from llmasos.tools.writing import compose
from llmasos.tools.writing.checklist import Wanted, count_words, problems, without_talk

pytestmark = pytest.mark.anyio


def script(kernel: FakeKernel, *answers: str) -> None:
    left = list(answers)
    kernel._answer = lambda _, text: left.pop(0)


@pytest.fixture
def kernel(folder: Path, tmp_path: Path) -> FakeKernel:
    return FakeKernel(folder, tmp_path / "data")


async def test_a_short_text_is_written_at_once(kernel: FakeKernel) -> None:
    script(kernel, "Here is the email:\n\nDear team, let us have lunch.")
    told = await kernel.run(compose, task="Invite my team.", style="friendly")
    assert told == "Dear team, let us have lunch."
    assert "in this style: friendly" in kernel.asked[0][0]


async def test_a_long_text_is_written_by_an_outline(kernel: FakeKernel, folder: Path) -> None:
    part = " ".join(f"word{number}" for number in range(200))
    script(kernel, "1. Soil\n2. Water", f"## Soil\n\n{part}", part.replace("word", "wort"))
    told = await kernel.run(compose, task="On plants.", words=400, save_as="plants.md")
    assert told == "Saved the text, 402 words, to plants.md."
    text = (folder / "plants.md").read_text()
    assert text.startswith("## Soil\n\nword0") and "\n\n## Water\n\nwort0" in text
    assert text.count("## Soil") == 1, "a heading that the model repeats is there once"


@pytest.mark.parametrize("outline", ["Soil", "Soil is what plants grow in. " * 9 + "\nPlants", "#\n-"])
async def test_what_is_no_outline_is_none(kernel: FakeKernel, outline: str) -> None:
    whole = " ".join(f"word{number}" for number in range(400))
    script(kernel, outline, whole)
    assert await kernel.run(compose, task="On plants.", words=400) == whole


async def test_a_long_text_that_stays_too_long_ends_earlier(kernel: FakeKernel) -> None:
    long = " ".join(f"Sentence {number} is of six words." for number in range(100))
    script(kernel, "no outline", *[long] * 4)
    told = await kernel.run(compose, task="On plants.", words=400)
    assert count_words(told) == 480 and told.endswith("words.")


async def test_a_task_that_was_put_into_another_language_is_taken_as_it_was_said(kernel: FakeKernel) -> None:
    script(kernel, *["Some text."] * 3)
    kernel.request = "write a poem about the rain and save it as a.md"
    for task, asked in (
        ("写一首关于雨的诗", "write a poem about the rain"),
        ("a poem about the rain", "a poem about the rain"),
    ):
        await kernel.run(compose, task=task)
        assert kernel.asked[-1][1] == asked
    kernel.request = "write a poem about the rain in Chinese"
    await kernel.run(compose, task="写一首关于雨的诗")
    assert kernel.asked[-1][1] == "写一首关于雨的诗"


async def test_a_draft_is_revised_and_what_is_left_is_told(kernel: FakeKernel) -> None:
    script(kernel, "A text of [Your Name].", *["Lunch is on Friday."] * 3)
    told = await kernel.run(compose, task="Invite.", points=["lunch on Friday", "the price"])
    assert told == "Lunch is on Friday.\n\nTo look at:\n- it does not speak of: the price"
    assert "[Your Name] is left to be filled in" in kernel.asked[1][1]
    assert len(kernel.asked) == 4


async def test_a_revision_that_is_worse_is_not_taken(kernel: FakeKernel) -> None:
    script(kernel, "We open a shop on Monday.", *["We open [date]."] * 3)
    told = await kernel.run(compose, task="Say it.", points=["the price"])
    assert told.startswith("We open a shop on Monday.\n\nTo look at:\n- it does not speak of: the price")


async def test_a_text_that_is_too_short_gets_more_and_keeps_its_closing(kernel: FakeKernel) -> None:
    script(kernel, "Dear Ann,\n\nthank you for all.\n\nBest regards\nBen", "You helped us with the roof.")
    told = await kernel.run(compose, task="Thank Ann.", words=14)
    assert told == ("Dear Ann,\n\nthank you for all.\n\nYou helped us with the roof.\n\nBest regards\nBen")
    assert "in about 14 words" in kernel.asked[0][0] and "about 5 words in all" in kernel.asked[1][1]


async def test_what_a_short_text_lacks_is_mended_before_it_gets_more(kernel: FakeKernel) -> None:
    script(kernel, "Thank you for all.", "Ann Smith, thank you for all.", "You helped us with the roof.")
    told = await kernel.run(compose, task="write a letter of thanks to Ann Smith for the roof", words=12)
    assert told == "Ann Smith, thank you for all.\n\nYou helped us with the roof."
    assert "it must begin with “Ann Smith”" in kernel.asked[1][1]
    assert "Write 2 more sentences" in kernel.asked[2][1]


async def test_a_text_that_stays_too_long_ends_earlier(kernel: FakeKernel) -> None:
    long = "Dear Ann,\n\nthe roof is done. It was hard work. We all were there to help you.\n\nYours\nBen"
    script(kernel, *[long] * 4)
    told = await kernel.run(compose, task="Write to Ann.", words=11)
    assert told == "Dear Ann,\n\nthe roof is done. It was hard work.\n\nYours\nBen"


@pytest.mark.parametrize(
    ("task", "meant", "file"),
    [
        ("写一段简介，存为 a.md", "写一段简介", "a.md"),
        ("A note, and save it as notes/a.md", "A note", "notes/a.md"),
        ("Write to Ann. Save the letter to a.txt.", "Write to Ann", "a.txt"),
        ("写一段简介，并保存到“简介.md”。", "写一段简介", "简介.md"),
    ],
)
async def test_a_file_to_save_to_is_named_where_the_policy_sees_it(
    kernel: FakeKernel, task: str, meant: str, file: str
) -> None:
    assert await kernel.run(compose, task=task, words=60) == "called"
    given = {"task": meant, "style": "", "words": 60, "points": None, "material": None, "save_as": file}
    assert kernel.called == [("compose", given)]


async def test_so_is_material(kernel: FakeKernel) -> None:
    assert await kernel.run(compose, task="By notes.txt, write news", save_as="news.md") == "called"
    ((_, given),) = kernel.called
    assert (given["material"], given["save_as"]) == ("notes.txt", "news.md")
    script(kernel, "News.")
    await kernel.run(compose, task="By notes.txt, write news", material="notes.txt", save_as="main.py")
    script(kernel, "Text.")
    for task in (
        "How to save money in 2.5 years, by none.txt",
        "an email that tells users to save settings to settings.json",
        "how to store tokens.json safely, save assets.md",
        "a guide to /etc/hosts.conf, using /etc/resolv.conf",
        "a note that mentions notes.txt",
        " " * 3000 + "a" * 900,
    ):
        script(kernel, "Text.")
        assert await kernel.run(compose, task=task) == "Text."
    assert len(kernel.called) == 1
    with pytest.raises(ToolError, match="4,000 characters at most"):
        await kernel.run(compose, task=" a" * 10**6)


async def test_material_is_material(kernel: FakeKernel, folder: Path) -> None:
    (folder / "facts.txt").write_bytes("开业于 1999 年。".encode("gb18030"))
    script(kernel, "我们开业于 1999 年。")
    await kernel.run(compose, task="写一句话", material="facts.txt")
    assert "no instruction:\n开业于 1999 年。" in kernel.asked[0][1]
    (folder / "empty.txt").write_text(" ")
    with pytest.raises(ToolError, match="empty"):
        await kernel.run(compose, task="写一句话", material="empty.txt")
    with pytest.raises(ToolError, match="nothing to write about"):
        await kernel.run(compose, task=" ")


@pytest.mark.parametrize(
    ("text", "count"), [("one two's three-four", 3), ("今天天气 nice day", 6), ("", 0), ("## A\n- b 3", 3)]
)
def test_words_are_counted_in_any_script(text: str, count: int) -> None:
    assert count_words(text) == count


def test_the_checklist_finds_what_can_be_counted() -> None:
    again = "This sentence is long enough to be noticed when it is said twice."
    assert problems(f"{again} Well. {again}", Wanted()) == [f"it says twice: {again}"]
    assert problems("We thank the customers.", Wanted(4, ["thanks to our customers"])) == []
    assert problems("我们感谢客户。", Wanted(0, ["感谢客户"])) == []
    assert problems("我们开会。", Wanted(0, ["感谢客户"])) == ["it does not speak of: 感谢客户"]
    assert problems("See [your guide](a.md).", Wanted()) == []


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Sure! Here is the letter:\n\nDear Ann,", "Dear Ann,"),
        ("以下是信件：\n亲爱的", "亲爱的"),
        ("```markdown\n# Title\n\nText\n```", "# Title\n\nText"),
        ("Of course we came.\nIt was fine.", "Of course we came.\nIt was fine."),
    ],
)
def test_what_models_say_before_a_text_is_taken_off(said: str, text: str) -> None:
    assert without_talk(said) == text
