"""Collections: passages go in with their document, and are found by words and by meaning."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.errors import KnowledgeError
from llmasos.knowledge import (
    Block,
    Collection,
    DocumentInfo,
    FakeEmbedder,
    Library,
    Passage,
    passages,
    telling,
    words,
)

EMBEDDER = FakeEmbedder()
TEXTS = {
    "pets.md": ["Dogs need a walk every day.", "Cats sleep most of the day."],
    "shop.md": ["The shop opens at nine.", "Refunds take 30 days after the purchase."],
    "店.txt": ["商品签收后三十天内可以退货。", "我们接受支付宝。"],
}


def put(collection: Collection, name: str, texts: list[str]) -> None:
    pieces = [Passage(text, "About", f"line {number}") for number, text in enumerate(texts, 1)]
    info = DocumentInfo(name, "0" * 64, 10, datetime.now(UTC), len(texts))
    collection.add(info, pieces, anyio.run(EMBEDDER.passages, texts))


def found(collection: Collection, question: str, most: int = 3) -> list[str]:
    vector = anyio.run(EMBEDDER.query, question)
    return [each.passage.text for each in collection.search(question, vector, most)]


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    made = Collection(tmp_path / "c.sqlite", EMBEDDER.name)
    for name, texts in TEXTS.items():
        put(made, name, texts)
    return made


def test_passages_are_found_by_what_they_say(collection: Collection) -> None:
    assert found(collection, "How many days do refunds take?")[0] == TEXTS["shop.md"][1]
    assert found(collection, "退货要几天内？")[0] == TEXTS["店.txt"][0]
    assert found(collection, "支付宝可以吗")[0] == TEXTS["店.txt"][1]
    # Words of one stem are one word.
    best = collection.search("sleeping cat", None, 1)[0]
    assert best.passage == Passage(TEXTS["pets.md"][1], "About", "line 2")
    assert best.document == "pets.md"
    assert best.share == pytest.approx(1.0)


def test_what_is_nowhere_has_no_share(collection: Collection) -> None:
    best = collection.search("quantum chromodynamics", anyio.run(EMBEDDER.query, "quantum chromodynamics"), 1)
    assert best[0].share == 0
    assert best[0].likeness == pytest.approx(0, abs=0.01)
    assert collection.search("?!", None, 3) == []


def test_an_empty_collection_has_nothing(tmp_path: Path) -> None:
    empty = Collection(tmp_path / "c.sqlite", EMBEDDER.name)
    assert empty.search("dogs", anyio.run(EMBEDDER.query, "dogs"), 3) == []
    assert empty.documents() == []


@pytest.mark.parametrize(
    "question", ['"', "a OR b", "NEAR(a b)", "x* -y ^z", "col:val", "'; DROP TABLE passages"]
)
def test_no_question_is_a_command_to_the_search(collection: Collection, question: str) -> None:
    collection.search(question, None, 3)
    assert len(collection.documents()) == 3


def test_a_document_takes_the_place_of_the_one_with_its_name(collection: Collection) -> None:
    assert found(collection, "dogs walk")[0] == TEXTS["pets.md"][0]
    put(collection, "pets.md", ["Fish need clean water."])
    assert TEXTS["pets.md"][0] not in found(collection, "dogs walk", 10)
    assert found(collection, "fish water")[0] == "Fish need clean water."
    assert {one.name: one.passages for one in collection.documents()} == {
        "pets.md": 1,
        "shop.md": 2,
        "店.txt": 2,
    }
    assert collection.remove("pets.md")
    assert not collection.remove("pets.md")
    assert "Fish need clean water." not in found(collection, "fish water", 10)


def test_what_is_removed_is_gone_from_the_file(tmp_path: Path) -> None:
    made = Collection(tmp_path / "c.sqlite", EMBEDDER.name)
    put(made, "secret.md", ["The password is xyzzy-plugh."])
    made.remove("secret.md")
    put(made, "other.md", ["Nothing."])
    assert b"plugh" not in (tmp_path / "c.sqlite").read_bytes()


def test_vectors_of_two_models_are_never_compared(tmp_path: Path) -> None:
    Collection(tmp_path / "c.sqlite", "one")
    with pytest.raises(KnowledgeError, match="made with the embedding model 'one'"):
        Collection(tmp_path / "c.sqlite", "two")
    (tmp_path / "broken.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(KnowledgeError, match="cannot be read as a collection"):
        Collection(tmp_path / "broken.sqlite", "one")


def test_a_library_has_collections_by_name(tmp_path: Path) -> None:
    library = Library(tmp_path / "knowledge", "fake")
    assert library.all() == []
    with pytest.raises(KnowledgeError, match="There is no collection 'support'"):
        library.get("support")
    put(library.get("support", make=True), "a.md", ["One."])
    assert [(one.name, one.documents, one.passages) for one in library.all()] == [("support", 1, 1)]
    with pytest.raises(KnowledgeError, match="cannot be named"):
        library.get("../x", make=True)
    assert list(library.documents("support")) == ["a.md"]
    assert library.documents("nothing") == {}
    library.sweep(3600)
    assert library.names() == ["support"]
    library.get("old", make=True)
    os.utime(tmp_path / "knowledge" / "old.sqlite", (0, 0))
    library.sweep(3600)
    assert library.names() == ["support"]
    library.remove("support")
    assert list((tmp_path / "knowledge").iterdir()) == []


def test_passages_stay_under_their_heading_and_are_about_as_long() -> None:
    blocks = [Block(f"Sentence {n} of the part. " * 4, "A" if n < 8 else "B", f"page {n}") for n in range(16)]
    made = list(passages(blocks))
    assert {each.heading for each in made} == {"A", "B"}
    assert all(len(each.text) <= 700 for each in made)
    assert all(f"Sentence {n} " in "".join(each.text for each in made) for n in range(16))
    assert made[0].place == "page 0"


@given(st.lists(st.text(alphabet="ab 。.\n中", max_size=1500), max_size=6))
def test_no_letter_is_lost_in_passages(texts: list[str]) -> None:
    made = list(passages(Block(text) for text in texts))
    letters = "".join("".join(text.split()) for text in texts)
    told = "".join("".join(each.text.split()) for each in made)
    assert len(told) >= len(letters)
    assert set(told) == set(letters)


def test_words_are_pairs_of_signs_where_there_are_no_spaces() -> None:
    assert words("Warranty für 电池保修 2 年") == ["warranty", "für", "电池", "池保", "保修", "2", "年"]
    assert telling("What is the warranty of this?") == ["warranty"]
    assert telling("what is this") == ["what", "is", "this"]
