"""Languages: what somebody means by a name, and which one a text is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from llmasos.errors import ToolError

_SURE = 0.8
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_READ = 4000
_ENOUGH_LETTERS = 12
_HAN, _KANA, _HANGUL = r"[\u3400-\u9fff\uf900-\ufaff]", r"[\u3040-\u30ff]", r"[\uac00-\ud7af\u1100-\u11ff]"
_SCRIPTS = tuple(
    (re.compile(pattern), code) for pattern, code in ((_KANA, "ja"), (_HANGUL, "ko"), (_HAN, "zh"))
)


@dataclass(frozen=True)
class Language:
    """A language to translate into.

    Args:
        name: As models are told.
        code: Its code by ISO 639, such as `fr`; empty for one that has none.
        variant: It is one variant of several, such as traditional Chinese.
    """

    name: str
    code: str = ""
    variant: bool = False

    @property
    def suffix(self) -> str:
        """What names of files in this language may say."""
        return self.code or "translated"


def language(name: str) -> Language:
    """Return the language that a name in any language means, or a tag such as `pt-BR`.

    Raises:
        ToolError: It looks like a tag, and is none.
    """
    import langcodes

    said = " ".join(name.split())
    try:
        found = langcodes.get(said) if langcodes.tag_is_valid(said) else langcodes.find(said)
    except LookupError:
        if _TAG.fullmatch(said):
            raise ToolError(
                f"There is no language {said!r}.", hint="Name it, such as French, or by its code, such as fr."
            ) from None
        # Models know languages that have no code, and manners of speaking.
        return Language(said)
    tag = langcodes.standardize_tag(found.to_tag(), macro=True)
    full = langcodes.get(tag)
    variant = bool(full.script or full.territory)
    return Language(full.display_name("en") if full.is_valid() else said, str(full.language or ""), variant)


def detect(text: str) -> str:
    """Return the code of the language that a text is in; empty where that is not sure."""
    text = text[:_READ]
    letters = sum(map(str.isalpha, text))
    for pattern, code in _SCRIPTS:
        # A few signs of Japanese are enough, and names in Latin letters stand in any text.
        if len(pattern.findall(text)) > letters * (0.1 if code == "ja" else 0.4):
            return code
    if letters < _ENOUGH_LETTERS:
        return ""
    found, sure = _identifier().classify(text)
    return str(found) if sure >= _SURE else ""


def name_of(code: str) -> str:
    """Return the English name of a language."""
    import langcodes

    return langcodes.get(code).display_name("en")


def names_language(text: str) -> bool:
    """Return whether a text names a language: in English, in Chinese, or as the language names itself."""
    told = text[:_READ].casefold()
    return any(
        name in told if _SCRIPTS[-1][0].search(name) else re.search(rf"\b{re.escape(name)}\b", told)
        for name in _names()
    )


@cache
def _names() -> frozenset[str]:
    import langcodes

    codes = [langcodes.get(str(code)) for code in _identifier().labels]
    names = {
        name for code in codes for name in (code.display_name("en"), code.display_name("zh"), code.autonym())
    }
    # 英文 is English as well as 英语 is.
    names |= {f"{name[:-1]}文" for name in names if name.endswith("语")}
    return frozenset(name.casefold() for name in names if len(name) > 1)


@cache
def _identifier() -> Any:
    from py3langid.langid import LanguageIdentifier

    with resources.as_file(resources.files("py3langid") / "data" / "model.npz.xz") as path:
        return LanguageIdentifier.from_modelpath(path, norm_probs=True)
