"""Ten thousand passages: how long it takes to find one by a question, and how often it is found."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np

from llmasos.knowledge import Collection, DocumentInfo, Embedder, Passage, choose_embedder

PASSAGES = 10_000
_QUESTIONS = 100
_BOUND_MS = 50.0
_SHORTEST, _LONGEST = 60, 400
_MOST = 5
_NAMES = (
    "asyncio collections concurrent email http importlib json logging multiprocessing unittest urllib xml"
    " numpy pandas sqlalchemy pydantic rich starlette networkx sympy matplotlib sklearn anyio httpx2"
    " prompt_toolkit typer torch transformers"
)
_PACKAGES = tuple(_NAMES.split())


async def measure() -> list[str]:
    """Return the lines of the section."""
    embedder = choose_embedder()
    assert embedder is not None, "this needs the extra `knowledge`"
    passages = list(_docstrings(PASSAGES))
    with tempfile.TemporaryDirectory(prefix="llmasos-bench-") as name:
        collection = Collection(Path(name) / "c.sqlite", embedder.name)
        began = time.perf_counter()
        vectors = await embedder.passages([f"{one.heading}\n{one.text}" for one in passages])
        indexing = time.perf_counter() - began
        info = DocumentInfo("library.txt", "0" * 64, 0, datetime.now(UTC), len(passages))
        collection.add(info, passages, vectors)
        rows = [await _row(collection, embedder, passages, way) for way in ("both", "words", "meaning")]
    await embedder.close()
    return [
        f"The first sentences of {_QUESTIONS} of {len(passages):,} docstrings of Python libraries ask for",
        "the rest of them, the passages: found is how often that is first, or among five. Indexing took",
        f"{indexing / len(passages) * 1000:.0f} ms a passage.",
        "",
        "| search | bound | median | slowest of 20 | found first | among five |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


async def _row(collection: Collection, embedder: Embedder, passages: list[Passage], way: str) -> str:
    """Return how a way of searching does, embedding the question included."""
    asked = [passages[at] for at in np.linspace(0, len(passages) - 1, _QUESTIONS, dtype=int)]
    seconds, first, five = [], 0, 0
    await embedder.query("warm")
    collection.search("warm", await embedder.query("warm"), 1)
    for one in asked:
        question = one.place
        began = time.perf_counter()
        vector = None if way == "words" else await embedder.query(question)
        found = collection.search("" if way == "meaning" else question, vector, _MOST)
        seconds.append((time.perf_counter() - began) * 1000)
        keys = [each.passage.heading for each in found]
        first += keys[:1] == [one.heading]
        five += one.heading in keys
    bound = f"{_BOUND_MS:.0f} ms" if way == "both" else ""
    worst = sorted(seconds)[int(len(seconds) * 0.95)]
    named = "words and meaning" if way == "both" else way
    return (
        f"| {named} | {bound} | {statistics.median(seconds):.1f} ms | "
        f"{worst:.1f} ms | {first} of {_QUESTIONS} | {five} of {_QUESTIONS} |"
    )


def _docstrings(most: int) -> Iterator[Passage]:
    """Yield passages: docstrings without their first sentences, which are the questions."""
    seen: set[str] = set()
    for name, text in _documented():
        first, _, rest = " ".join(text.split()).partition(". ")
        rest = rest[:_LONGEST]
        key = hashlib.sha256(first.encode()).hexdigest()
        if len(first) < 25 or len(rest) < _SHORTEST or key in seen:
            continue
        seen.add(key)
        yield Passage(rest, name, first)
        if len(seen) == most:
            return


def _documented() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        for module in _modules(package):
            for name, value in sorted(vars(module).items()):
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                found = [(name, value)]
                if inspect.isclass(value):
                    found += [
                        (f"{name}.{key}", each) for key, each in sorted(vars(value).items()) if callable(each)
                    ]
                for inner, each in found:
                    text = getattr(each, "__doc__", None)
                    if isinstance(text, str):
                        yield f"{module.__name__}.{inner}", text


def _modules(package: str) -> Iterator[ModuleType]:
    try:
        top = importlib.import_module(package)
    except Exception:
        return
    yield top
    for info in pkgutil.walk_packages(getattr(top, "__path__", []), f"{package}."):
        if "test" in info.name or "__main__" in info.name or info.name.count(".") > 2:
            continue
        try:
            yield importlib.import_module(info.name)
        except BaseException:
            continue
