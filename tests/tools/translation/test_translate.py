"""The tool `translate`: files in, files out, gone on with where it was stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.testing.kernel import FakeKernel
from llmasos.tools.translation import translate
from llmasos.tools.translation.glossary import proposed, read_glossary
from llmasos.tools.translation.language import detect, language
from llmasos.tools.translation.opening import open_document

pytestmark = pytest.mark.anyio
LINES = [f"The {number}th of our lines says something." for number in range(20, 45)]


def french(instructions: str, text: str) -> str:
    """Translate lines into a sentence with their number, and all else by putting a word before."""
    if instructions.startswith("List"):
        return ""
    if found := re.search(r"The (\d+)th of our lines", text):
        return f"Voilà ce que nous dit la phrase {found[1]}."
    return f"Voilà {text.rpartition(chr(10))[2]}"


@pytest.fixture
def kernel(folder: Path, tmp_path: Path) -> FakeKernel:
    (folder / "lines.md").write_text("\n\n".join(LINES) + "\n")
    return FakeKernel(folder, tmp_path / "data", french)


async def test_a_text_is_answered_with_its_translation(kernel: FakeKernel) -> None:
    assert await kernel.run(translate, target_language="French", text="Good night") == "Voilà Good night"


async def test_a_file_is_saved_in_its_format(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.md").write_bytes(b"# Hello there\r\n\r\n```\r\nkept\r\n```\r\n")
    told = await kernel.run(translate, target_language="French", path="a.md", save_as="a.fr.md")
    assert (folder / "a.fr.md").read_bytes() == b"# Voil\xc3\xa0 Hello there\r\n\r\n```\r\nkept\r\n```\r\n"
    assert told.startswith("Saved the French translation, 1 passage, to a.fr.md.")


async def test_a_western_file_is_read_and_written_as_it_is(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.txt").write_bytes("Bitte prüfen Sie die Größe für 5 €.\n".encode("cp1252"))
    kernel._answer = lambda _, text: "Vérifiez la taille pour 5 €, s'il vous plaît."
    await kernel.run(translate, target_language="French", path="a.txt", save_as="b.txt")
    assert "Bitte prüfen Sie die Größe für 5 €." in kernel.asked[0][1]
    told = (folder / "b.txt").read_bytes().decode("cp1252")
    assert told == "Vérifiez la taille pour 5 €, s'il vous plaît.\n"


async def test_what_is_in_the_language_already_is_counted(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.md").write_text(
        "Il fait beau aujourd'hui à Paris, n'est-ce pas ?\n\nGood night, my friend.\n"
    )
    told = await kernel.run(translate, target_language="French", path="a.md", save_as="b.md")
    assert "1 passage is in French already, and left so." in told
    assert (folder / "b.md").read_text().startswith("Il fait beau aujourd'hui")


async def test_an_answer_in_english_is_no_translation_into_another_language(
    kernel: FakeKernel, folder: Path
) -> None:
    (folder / "a.md").write_text("Wir sehen uns am Montag um acht Uhr wieder im Büro.\n")
    kernel._answer = lambda _, text: "We will see each other again in the office on Monday at eight o'clock."
    told = await kernel.run(translate, target_language="French", path="a.md", save_as="b.md")
    assert "line 1: it is in English" in told and len(kernel.asked) > 1
    told = await kernel.run(translate, target_language="English", path="a.md", save_as="b.md")
    assert "to look at" not in told


async def test_a_language_that_nothing_knows_is_said_to_be_unchecked(kernel: FakeKernel) -> None:
    told = await kernel.run(translate, target_language="the way my grandma talks", text="Guten Morgen")
    assert told.endswith("nothing could check that this is in it.")
    with pytest.raises(ToolError, match="There is no language 'xx-yy'") as refused:
        await kernel.run(translate, target_language="xx-yy", text="Guten Morgen")
    assert "such as fr" in refused.value.hint


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
async def test_a_file_keeps_its_encoding(kernel: FakeKernel, folder: Path, encoding: str) -> None:
    (folder / "a.txt").write_bytes("今天天气很好，我们去公园。\n".encode(encoding))
    await kernel.run(translate, target_language="French", path="a.txt", save_as="b.txt")
    assert (folder / "b.txt").read_bytes().decode(encoding) == "Voilà 今天天气很好，我们去公园。\n"


async def test_letters_that_an_encoding_lacks_are_written_in_utf8(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.txt").write_bytes("Déjà vu, à bientôt çà\n".encode("latin-1") + b"\xff\xfe\n")
    kernel._answer = lambda _, text: "今天天气很好"
    told = await kernel.run(translate, target_language="Chinese", path="a.txt", save_as="b.txt")
    assert (folder / "b.txt").read_text() == "今天天气很好\n"
    assert "It is in UTF-8: cp1252 has no letters for it." in told


async def test_the_same_text_is_asked_for_once(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.csv").write_text("id,mood\n" + "".join(f"{n},so good today\n" for n in range(50)))
    told = await kernel.run(translate, target_language="French", path="a.csv", save_as="b.csv")
    assert len(kernel.asked) == 1
    assert "Columns: mood" in told
    assert (folder / "b.csv").read_text().splitlines()[-1] == "49,Voilà so good today"


async def test_a_long_document_gets_a_glossary_of_its_own(folder: Path, tmp_path: Path) -> None:
    def answer(instructions: str, text: str) -> str:
        return "lines = lignes\nnothing = rien" if instructions.startswith("List") else french("", text)

    (folder / "lines.md").write_text("\n\n".join(LINES))
    kernel = FakeKernel(folder, tmp_path / "data", answer)
    told = await kernel.run(translate, target_language="French", path="lines.md", save_as="out.md")
    assert all("lines = lignes" in instructions for instructions, _ in kernel.asked[1:])
    assert "25 passages to look at:\n  line 1: the glossary's word 'lignes' is missing" in told
    assert "and 5 more" in told


async def test_what_was_done_before_a_stop_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    asked: list[str] = []

    def answer(instructions: str, text: str) -> str:
        if len(asked) == 11:
            raise Stopped
        asked.append(text)
        return french(instructions, text)

    (folder / "lines.md").write_text("\n\n".join(LINES))
    kernel = FakeKernel(folder, tmp_path / "data", answer)
    run = {"target_language": "French", "path": "lines.md", "save_as": "out.md"}
    with pytest.raises(Stopped):
        await kernel.run(translate, **run)
    assert not (folder / "out.md").exists()
    journals = list((tmp_path / "data" / "translations").iterdir())
    assert len(journals) == 1
    with journals[0].open("a") as file:
        file.write('["cut off when the mach')
    again = FakeKernel(folder, tmp_path / "data", french)
    await again.run(translate, **run)
    assert again.shown == ["Going on: 10 passages were translated before.\n"]
    assert len(again.asked) == 15
    assert again.steps[0][1:] == (10, 25)
    assert again.steps[-1][1:] == (25, 25)
    assert (folder / "out.md").read_text().count("Voilà") == 25
    assert not list((tmp_path / "data" / "translations").iterdir())


async def test_another_language_is_another_work(kernel: FakeKernel) -> None:
    await kernel.run(translate, target_language="French", text="Good night")
    await kernel.run(translate, target_language="Spanish", text="Good night")
    asked = [text.partition(":")[0] for _, text in kernel.asked]
    assert asked == ["Translate into French", "Translate into Spanish"]


async def test_a_page_that_keeps_the_parser_busy_is_given_up() -> None:
    with pytest.raises(ToolError, match=r"a\.html could not be taken apart within 0\.5 s"):
        await open_document('<p title="' * 200_000, "a.html", (), seconds=0.5)


async def test_a_large_document_is_taken_apart_elsewhere(kernel: FakeKernel, folder: Path) -> None:
    (folder / "a.md").write_text("# One and the same\n\n" * 3000)
    told = await kernel.run(translate, target_language="French", path="a.md", save_as="b.md")
    assert "3,000 passages" in told
    assert (folder / "b.md").read_text() == "# Voilà One and the same\n\n" * 3000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either a text or a path"),
        ({"text": "a", "path": "b"}, "either a text or a path"),
        ({"text": " \n"}, "is empty"),
        ({"path": "missing.md"}, "missing.md"),
        ({"text": "Hello there", "columns": ["a"]}, "has no columns"),
        ({"text": "Hello there you " * 2000}, "too long to be shown"),
        (
            {"path": "lines.md", "glossary": "bad.txt"},
            "Line 2 of the glossary bad.txt is no pair of words: nothing",
        ),
        ({"path": "image.png"}, "binary file"),
    ],
)
async def test_bad_input_is_named(
    kernel: FakeKernel, folder: Path, arguments: dict[str, object], message: str
) -> None:
    (folder / "bad.txt").write_text("gate = portail\nnothing\n")
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(ToolError, match=message):
        await kernel.run(translate, target_language="French", **arguments)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("French", "fr"),
        ("法语", "fr"),
        ("de", "de"),
        ("Deutsch", "de"),
        ("pt-BR", "pt"),
        ("英文", "en"),
        ("zh", "zh"),
    ],
)
def test_languages_are_known_by_their_names_in_any_language(name: str, code: str) -> None:
    assert language(name).code == code


def test_a_manner_of_speaking_is_no_error() -> None:
    assert language("the way my grandma talks").name == "the way my grandma talks"
    assert language("Traditional Chinese").variant
    assert language("pt-BR").name == "Portuguese (Brazil)"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("今天天气很好", "zh"),
        ("漢字だけではない", "ja"),
        ("안녕하세요 여러분", "ko"),
        ("This is plainly written in English.", "en"),
        ("Il fait beau aujourd'hui à Paris, n'est-ce pas ?", "fr"),
        ("OK", ""),
        ("12 + 5", ""),
    ],
)
def test_languages_of_texts_are_found_where_they_are_sure(text: str, code: str) -> None:
    assert detect(text) == code


def test_a_glossary_is_read_in_the_forms_that_people_write() -> None:
    text = "term,translation\n# a remark\ngate = guichet\nledger\tregistre\n关卡：gate\n\nopen source,libre\n"
    terms = read_glossary(text, "g.csv").terms
    assert terms == {"gate": "guichet", "ledger": "registre", "关卡": "gate", "open source": "libre"}
    glossary = read_glossary("gate = guichet\n门 = gate", "g.txt")
    assert glossary.of("The Gate, not the gates") == {"gate": "guichet"}
    assert glossary.of("一扇门开了") == {"门": "gate"}


def test_of_what_a_model_proposes_only_words_that_occur_often_are_kept() -> None:
    texts = ["The gate opens", "a gate", "Gate", "chain"]
    assert proposed("gate = porte\n- chain = chaîne\nx\ngate = other\nsame = same", texts).terms == {
        "gate": "porte"
    }
