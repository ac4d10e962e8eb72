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
    for dense, word in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if word:
            found.append(word)
        elif len(dense) == 1:
            found.append(dense)
        else:
            found += (dense[at : at + 2] for at in range(len(dense) - 1))
    return found


def telling(question: str) -> list[str]:
    """Return the words of a question that say what it is about, each once; all where none does."""
    each = list(dict.fromkeys(words(question)))
    return ([word for word in each if word not in _EMPTY] or each)[:_MOST]
