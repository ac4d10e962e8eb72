"""Translating text and files with the session's model, or the one that the settings give for it."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.errors import EmptyAnswer, ToolError
from llmasos.paths import private_dir
from llmasos.tools._lanes import in_order
from llmasos.tools._text import decode, encoding_of
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool
from llmasos.tools.translation.document import Document, Passage
from llmasos.tools.translation.glossary import Glossary, proposed, read_glossary
from llmasos.tools.translation.journal import Journal
from llmasos.tools.translation.language import Language, detect, language, name_of
from llmasos.tools.translation.marks import words_in
from llmasos.tools.translation.markup import relabelled
from llmasos.tools.translation.opening import HTML, open_document
from llmasos.tools.translation.passages import Translated, Translator

_LARGEST = 8_000_000
_LONGEST_TOLD = 20_000
_AT_ONCE = 2
_LONG = 12  # passages from which on a document gets a glossary of its own
_SHOWN = 6000
_NAMED_PROBLEMS = 20
_TERMS = (
    "List the names of products, organisations and people, and the technical terms, that occur often in the "
    "user's text, each with its {language} translation, one on each line, as: term = translation. Twenty at "
    "most. Keep names as they are where {language} does."
)


@kernel_tool(
    capabilities=Capabilities(
        reads=True,
        writes=True,
        asks_model=True,
        inputs=("glossary",),
        targets=("save_as",),
        sources={"*": "file"},
    ),
    examples=[
        ("how do you say good night in Spanish", 'translate(target_language="Spanish", text="good night")'),
        (
            "把 manual.txt 译成日语，写到 manual.ja.txt",
            'translate(target_language="Japanese", path="manual.txt", save_as="manual.ja.txt")',
        ),
        (
            "translate poem.md to Chinese and check it",
            'translate(target_language="Chinese", path="poem.md", check=True)',
        ),
    ],
)
async def translate(
    ctx: KernelContext,
    target_language: str,
    text: str | None = None,
    path: str | None = None,
    save_as: str | None = None,
    columns: list[str] | None = None,
    glossary: str | None = None,
    check: bool = False,
) -> str:
    """Translates a text, or a whole file (path), and can save the translation (save_as).

    Args:
        target_language: The language to translate into.
        text: The text to translate.
        path: The file to translate instead of a text; Markdown, HTML, subtitles and CSV keep their structure.
        save_as: The file to write the translation to.
        columns: Which columns of a CSV; those with sentences if none are named.
        glossary: A file of words to use, each line: term = translation.
        check: Translate back as well, and name passages that look wrong.
    """
    if (text is None) == (path is None):
        raise ToolError("Give translate either a text or a path, not both.")
    encoding = "utf-8"
    if path is not None:
        text, encoding = await _read(ctx, path)
    assert text is not None
    if not text.strip():
        raise ToolError(f"{path or 'The text'} is empty; there is nothing to translate.")
    if save_as is None and len(text) > _LONGEST_TOLD:
        raise ToolError(
            f"{path or 'The text'} is too long to be shown ({len(text):,} characters).",
            hint="Say where the translation is to be saved: save_as.",
        )
    target = language(target_language)
    crlf = "\r\n" in text
    source = text.replace("\r\n", "\n")
    document = await open_document(source, path or "", columns or ())
    words = Glossary({}) if glossary is None else read_glossary((await _read(ctx, glossary))[0], glossary)
    job = _Job(ctx, document, target, words, check=check)
    results = await job.run()
    joined = document.joined([result.text for result in results])
    if path is not None and path.lower().endswith(HTML):
        joined = relabelled(joined, target.code)
    if crlf:
        joined = joined.replace("\n", "\r\n")
    told = job.told(results)
    if save_as is None:
        job.journal.end()
        return "\n\n".join((joined, *told)) if check or not target.code else joined
    if not joined.endswith("\n"):
        joined += "\r\n" if crlf else "\n"
    data, note = _encoded(joined, encoding)
    await ctx.sandbox.write(save_as, data)
    job.journal.end()
    first = (
        f"Saved the {target.name} translation, {_count(len(results), 'passage')}{job.whence}, to {save_as}."
    )
    return "\n".join((first, *document.notes, *note, *told))


class _Job:
    """One document on its way into another language."""

    def __init__(
        self, ctx: KernelContext, document: Document, target: Language, glossary: Glossary, *, check: bool
    ) -> None:
        self._ctx = ctx
        self._document = document
        self._target = target
        self._glossary = glossary
        self._check = check
        spoken = " ".join(passage.text for passage in document.passages[:200])
        self.source = detect(spoken)
        terms = "\n".join(f"{term}={meant}" for term, meant in sorted(glossary.terms.items()))
        folder = private_dir(ctx.settings.data_dir / "translations")
        what = (target.name, ctx.model, str(check), terms, *(passage.text for passage in document.passages))
        self.journal = Journal(folder, what)
        self.left = 0

    @property
    def whence(self) -> str:
        """From which language, in words."""
        return f" from {name_of(self.source)}" if self.source else ""

    async def run(self) -> list[Translated]:
        """Return what comes of each passage; each text is translated once."""
        passages, texts = self._document.passages, dict[str, Passage]()
        known = self.journal.known
        done = {text: Translated(said, tuple(problems)) for text, (said, problems) in known.items()}
        given = Translator(self._say, self._target, self._glossary, check=self._check)
        for passage in passages:
            if given.done_already(passage):
                done.setdefault(passage.text, Translated(passage.text))
                self.left += bool(words_in(passage.text))
            elif passage.text not in done:
                texts.setdefault(passage.text, passage)
        if done and known:
            self._ctx.output("stdout", f"Going on: {len(known):,} passages were translated before.\n")
        todo, total = list(texts.values()), len(texts) + len(known)
        what = f"Translating{self.whence} into {self._target.name}"
        if not todo and not known:
            return [done[passage.text] for passage in passages]
        self._ctx.progress(what, len(known), total, "passages")
        translator = Translator(self._say, self._target, await self._words(todo), check=self._check)

        async def work(number: int) -> Translated:
            return await translator.translate(todo[number])

        def take(number: int, result: Translated) -> None:
            done[todo[number].text] = result
            self.journal.add(todo[number].text, result.text, result.problems)
            self._ctx.progress(what, len(known) + number + 1, total, "passages")

        await in_order(work, len(todo), _AT_ONCE, take)
        return [done[passage.text] for passage in passages]

    def told(self, results: Sequence[Translated]) -> list[str]:
        """Return what a person should look at, a line for each passage."""
        passages = self._document.passages
        found = [
            f"  line {self._document.line(passage)}: {'; '.join(result.problems)}"
            for passage, result in zip(passages, results, strict=True)
            if result.problems
        ]
        lines = [f"{_count(len(found), 'passage')} to look at:", *found[:_NAMED_PROBLEMS]] if found else []
        if len(found) > _NAMED_PROBLEMS:
            lines.append(f"  and {len(found) - _NAMED_PROBLEMS:,} more")
        if self._check and not found:
            lines.append("Translated back, each passage says what it said before.")
        if self.left:
            are = "is" if self.left == 1 else "are"
            lines.append(f"{_count(self.left, 'passage')} {are} in {self._target.name} already, and left so.")
        if not self._target.code:
            lines.append(
                f"No language is known as {self._target.name}: nothing could check that this is in it."
            )
        return lines

    async def _words(self, todo: Sequence[Passage]) -> Glossary:
        """Return the words that are given, with those of a long document that it uses again and again."""
        texts = [passage.text for passage in todo]
        if len(todo) < _LONG or self.journal.known:
            return self._glossary
        instructions = _TERMS.format(language=self._target.name)
        try:
            own = proposed(await self._say(instructions, "\n".join(texts)[:_SHOWN], 400), texts)
        except EmptyAnswer:
            return self._glossary
        return Glossary({**own.terms, **self._glossary.terms})

    async def _say(self, instructions: str, text: str, most: int) -> str:
        return await self._ctx.ask(instructions, text, max_tokens=most)


async def _read(ctx: KernelContext, path: str) -> tuple[str, str]:
    content = await ctx.sandbox.read(path, limit=_LARGEST)
    if content.size > len(content.data):
        raise ToolError(
            f"{path} is too large to translate ({content.size:,} bytes; {_LARGEST:,} are the most).",
            hint="Translate it in parts.",
        )
    return decode(content.data, path), encoding_of(content.data, path)


def _encoded(text: str, encoding: str) -> tuple[bytes, list[str]]:
    try:
        return text.encode(encoding), []
    except UnicodeEncodeError:
        return text.encode(), [f"It is in UTF-8: {encoding} has no letters for it."]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
