"""Words of a text as the full-text search knows them, also in scripts that write no spaces."""

from __future__ import annotations

import re
import unicodedata

_RUN = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)|([^\W_]+)")
_MOST = 64
# Words that say nothing of what a question is about.
_ENGLISH = (
    "a about an and are as at be by can do does for from had has have how i if in is it its me my of on or"
    " our should so that the their there they this to was we what when where which who whom why will with you"
    " your"
)
_CHINESE = (
    "什么 怎么 如何 哪些 哪里 多少 是否 可以 能否 请问 我们 你们 是什 么是 有哪 的是 吗 呢 的 了 是 在 我 你"
)
_EMPTY = frozenset((*_ENGLISH.split(), *_CHINESE.split()))


def words(text: str) -> list[str]:
    """Return the words of a text in their order: of Chinese and the like, each pair of signs."""
    found: list[str] = []
    for dense, word in _runs(text):
        found += [word] if word else _pairs(dense)
    return found


def indexed(text: str) -> str:
    """Return a text's words for a full-text index in which `phrases` are looked for."""
    # A sign at the end begins no pair, and is looked for by itself, too.
    ends = dict.fromkeys(dense[-1] for dense, _ in _runs(text) if len(dense) > 1)
    return " ".join((*words(text), *ends))


def phrases(query: str) -> list[str]:
    """Return a query's parts, between its blanks, as phrases of SQLite's full-text search."""
    found: dict[str, None] = {}
    for part in query.split():
        each = words(part)
        alone = len(each) == 1 and _RUN.fullmatch(each[0]) is not None and not each[0].isascii()
        if each:
            # A sign by itself is looked for at the beginning of pairs.
            found['"' + " ".join(each) + '"' + ("*" if alone and len(each[0]) == 1 else "")] = None
    return list(found)


def _runs(text: str) -> list[tuple[str, str]]:
    """Return runs of signs that have no blanks between words, and words of other scripts."""
    return _RUN.findall(unicodedata.normalize("NFKC", text).casefold())


def _pairs(dense: str) -> list[str]:
    return [dense] if len(dense) == 1 else [dense[at : at + 2] for at in range(len(dense) - 1)]


def telling(question: str) -> list[str]:
    """Return the words of a question that say what it is about, each once; all where none does."""
    each = list(dict.fromkeys(words(question)))
    return ([word for word in each if word not in _EMPTY] or each)[:_MOST]
