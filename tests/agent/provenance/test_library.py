"""What was read is found by words, by three words and by letters; the oldest gives way."""

from llmasos.agent.provenance.library import Library
from llmasos.agent.provenance.normal import grams
from llmasos.decisions import Source


def test_texts_are_found_by_their_words() -> None:
    library = Library(10_000_000)
    for name in ("one", "two", "three"):
        library.add(f"The Mirror of {name} is at-tacker.io", Source(kind="web", name=name), decoded=False)
    assert [text.source.name for text in library.with_words(["of", "two", "is"])] == ["two"]
    assert not list(library.with_words(["two", "of"])) and not list(library.with_words([]))
    wanted = set(grams(["mirror", "of", "one"])) | set(grams(["the", "mirror", "of"]))
    hits = {text.source.name: len(found) for text, found in library.with_grams(wanted)}
    assert hits == {"one": 2, "two": 1, "three": 1}
    assert len(list(library.with_letters("attackerio"))) == 3
    assert not list(library.with_letters("mirrorofo"))


def test_the_oldest_texts_give_way_and_the_rest_is_still_found() -> None:
    library = Library(100_000)
    for number in range(100):
        words = " ".join(f"word{number}x{place}" for place in range(50))
        library.add(words, Source(kind="web", name=str(number)), decoded=False)
    assert library.forgot
    assert not list(library.with_words(["word0x0", "word0x1"]))
    assert [text.source.name for text in library.with_words(["word99x0", "word99x1"])] == ["99"]
    wanted = set(grams(["word99x7", "word99x8", "word99x9"]))
    assert [text.source.name for text, _ in library.with_grams(wanted)] == ["99"]
