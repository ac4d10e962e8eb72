"""What a small model is told beside a result, since it forgets what it was told before its tools."""

from __future__ import annotations

import re
from typing import Literal

_KANA = re.compile(r"[\u3040-\u30ff]")
_CJK = re.compile(r"[\u3400-\u9fff]")
# As languages of Europe call them, and requests that are answered in languages of their own choice.
_OTHER_SCRIPTS = re.compile(
    r"chin|cinese|japan|japon|giappon|mandarin|cantones|kanji|hanzi|китай|япон"
    r"|languages|langues|sprachen|idiomas|lenguas|lingue|язык|translat|unicode",
    re.IGNORECASE,
)
_NOTES = {
    "ja": "日本語で答えてください。",
    "zh": "请用中文回答。",
    "en": "Answer in the language of the request, not in Chinese. Say it in a whole sentence.",
}
_FAILED = {
    "ja": "失敗しました。別の呼び出しを試すか、何が問題かを日本語で伝えてください。",
    "zh": "这次调用失败了。请换一种调用，或用中文告诉用户问题在哪里。",
    "en": "That failed. Try another call, or tell the person what is wrong, in a whole sentence in the "
    "language of the request, not in Chinese.",
}
_GO_ON = {
    "ja": "「{request}」にまだ残りがあれば続けてください。",
    "zh": "如果“{request}”还有没做完的步骤，就继续做。",
    "en": "If “{request}” asks for more, go on with it.",
}
_QUOTED = 400  # characters
# Not "test" or "check": the tool that writes or translates does that, and there is no other step.
_DOES = (
    "write|save|store|put|create|make|add|append|insert|change|edit|replace|update|rename|move|copy|delete|remove"
    "|translate|convert|turn|sort|summari[sz]e|compare|explain|tell|show|list|count|print|give"
    "|send|draft|draw|plot|read|open"
)
_IN_CHINESE = "写存保翻译总生创新建告删改画统发把将给放算"
_STEPS = re.compile(
    rf"\bthen\b(?!\s*(?:[.:?!]|\Z))|\band\s+(?:also\s+|finally\s+)?(?:{_DOES})\b"
    r"|(?:,|und)\s*dann\b|(?:,|\be)\s*poi\b|\b(?:danach|anschließend|puis|ensuite|luego|después)\b"
    rf"|затем|потом|然后|接着|随后|(?:并且?|再)(?=[{_IN_CHINESE}])|そして|それから|その後",
    re.IGNORECASE,
)

Scripts = Literal["any", "begins latin", "latin"]
"""Scripts of an answer: all, all with no Chinese or Japanese at first, or none of these two."""


def language_of(text: str) -> str:
    """Return the language that a text's script tells, as an ISO 639-1 code; `en` stands for all others."""
    if _KANA.search(text):
        return "ja"
    return "zh" if _CJK.search(text) else "en"


def scripts_of(request: str, results: str = "") -> Scripts:
    """Return the scripts of an answer that nobody would be surprised by.

    Told to answer in the language of the request, small models still drift into the one they know best. What
    they say of their own may hold any script, such as a word that was asked for.

    Args:
        request: What was asked.
        results: What was found for it, of which an answer may hold parts; empty when it is the model's own.
    """
    if language_of(request) != "en" or _OTHER_SCRIPTS.search(request):
        return "any"
    return "latin" if results and language_of(results) == "en" else "begins latin"


def steps_of(request: str) -> int:
    """Return how many things a request asks for one after the other, as far as its words tell."""
    return 1 + len(_STEPS.findall(request))


def result_text(tool: str, text: str, request: str, *, more: bool = False, failed: bool = False) -> str:
    """Return the turn that shows a tool's result, with a word on what to do now.

    Args:
        tool: The tool.
        text: What it gave.
        request: What the person asked for.
        more: Whether more steps of that may be left.
        failed: Whether the tool failed.
    """
    language = language_of(request)
    note = _FAILED[language] if failed else _NOTES[language]
    if more and not failed:
        note = f"{_GO_ON[language].format(request=_short(request))} {note}"
    return f"[result of {tool}]\n{text}\n[{note}]"


def _short(request: str) -> str:
    line = " ".join(request.split())
    return line if len(line) <= _QUOTED else f"{line[: _QUOTED // 2]} … {line[-_QUOTED // 2 :]}"
