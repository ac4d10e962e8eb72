"""The redactor: takes secrets out of every text that is kept, shown, or read by a model."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from llmasos.secrets.disguised import disguised
from llmasos.secrets.forms import forms_of
from llmasos.secrets.needles import Needles
from llmasos.secrets.randomness import COMMON
from llmasos.secrets.shapes import KINDS, Found, find
from llmasos.secrets.stream import Redaction
from llmasos.secrets.wraps import Beginnings, unspaced, unwrapped

T = TypeVar("T")
CANARY = "canary"
KNOWN = "known-secret"
_MARKER = re.compile(rf"\[redacted:(?:{'|'.join(sorted({*KINDS, CANARY, KNOWN}))}):[0-9a-f]{{6}}\]")
# A shape says more of a secret than that it is known; a canary is nothing else.
_TELLING = {CANARY: 0, "secret": 2, KNOWN: 3}
_SHORTEST = 8
_LONGEST = 16_384
# Characters, and how many of them any text counts for.
_REMEMBERED, _SHARE = 4_000_000, 200


def marked(text: str) -> bool:
    """Tell whether a marker stands in a text where there was a secret."""
    return "[redacted:" in text and _MARKER.search(text) is not None


class Redactor:
    """Replaces secrets by markers such as `[redacted:github-token:3f9a2c]`.

    What is known is found exactly, in any of its forms; what is not, by its shape. The same secret has the
    same marker, for as long as the redactor lives.

    Args:
        known: Secrets to begin with.
        on_canary: Called with the canary when one is found.
    """

    def __init__(
        self, known: Iterable[str] = (), *, on_canary: Callable[[str], None] = lambda canary: None
    ) -> None:
        self.on_canary = on_canary
        self._key = secrets.token_bytes(32)
        self._kinds: dict[str, str] = {}
        # Longest first, so that a part never hides that there is more.
        self._forms: dict[str, str] = {}
        # A model is sent the same messages again and again.
        self._done: dict[str, str] = {}
        self._remembered = 0
        self.beginnings = Beginnings(())
        self.needles = Needles()
        self.learn(known)

    def learn(self, known: Iterable[str], kind: str = KNOWN) -> None:
        """Redact more values from now on; short and common ones are left out.

        Args:
            known: The values.
            kind: What they are called in their markers: `known-secret`, `canary` or a shape's kind.
        """
        new = {value.strip() for value in known} - self._kinds.keys()
        new = {value for value in new if _SHORTEST <= len(value) <= _LONGEST and value.lower() not in COMMON}
        if not new:
            return
        self._kinds |= dict.fromkeys(new, kind)
        self._forget()
        for value in new:
            self.needles.add(value)
        forms = {unspaced(form): value for value in new for form in forms_of(value)}
        forms |= self.needles.signs | self._forms
        self._forms = dict(sorted(forms.items(), key=lambda pair: -len(pair[0])))
        self.beginnings = Beginnings(self._forms)

    def text(self, text: str) -> str:
        """Return a text without its secrets."""
        if (done := self._done.get(text)) is None:
            done = self.replace(text, self.found(text))
            self._remember(text, done)
        return done

    def _remember(self, text: str, done: str) -> None:
        size = _SHARE + len(text) + (len(done) if done != text else 0)
        if self._remembered + size > _REMEMBERED:
            self._forget()
        if size <= _REMEMBERED:
            # A text without secrets is kept once.
            self._done[text] = text if done == text else done
            self._remembered += size

    def _forget(self) -> None:
        self._done.clear()
        self._remembered = 0

    def value(self, value: T) -> T:
        """Return a value, whatever it is made of, with every text in it redacted; names of fields, too."""
        return cast(T, self._value(value))

    def stream(self) -> Redaction:
        """Return what redacts a text that comes in pieces."""
        return Redaction(self)

    def found(self, text: str) -> list[Found]:
        """Return the secrets in a text, in order; those that overlap are one."""
        if len(text) < _SHORTEST:
            return []
        found = [*self._known(text), *find(text)]
        if not found:
            return []
        markers = [match.span() for match in _MARKER.finditer(text)] if "[redacted:" in text else []
        merged: list[Found] = []
        for one in sorted(found, key=lambda one: (one.start, -one.end)):
            if any(start <= one.start and one.end <= end for start, end in markers):
                continue
            if merged and one.start < merged[-1].end:
                merged[-1] = _merged(merged[-1], one)
            else:
                merged.append(one)
        return merged

    def replace(self, text: str, found: Iterable[Found]) -> str:
        """Return a text with markers in place of what was found in it, in order."""
        parts, at = [], 0
        for one in found:
            parts += [text[at : one.start], self._marker(one.secret or text[one.start : one.end], one.kind)]
            at = one.end
        return "".join([*parts, text[at:]]) if at else text

    def _known(self, text: str) -> Iterable[Found]:
        touched = set()
        for start, end, secret, certain in disguised(text, self.needles):
            touched.add(secret)
            if certain:
                yield self._hit(start, end, secret)
        # What is written exactly has the letters of what it is, unless it has few.
        forms = self.needles.signs
        if touched:
            forms = forms | {form: secret for form, secret in self._forms.items() if secret in touched}
        if not forms:
            return
        for flat in unwrapped(text):
            for form, secret in forms.items():
                if form in flat.text:
                    yield from (self._hit(*span, secret) for span in flat.find(form))

    def _hit(self, start: int, end: int, secret: str) -> Found:
        kind = self._kinds[secret]
        if kind == CANARY:
            self.on_canary(secret)
        return Found(start, end, kind, secret)

    def _marker(self, secret: str, kind: str) -> str:
        tag = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:6]
        return f"[redacted:{kind}:{tag}]"

    def _changed(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts of a value that are not as they were when their secrets are taken out."""
        return {name: new for name, old in parts.items() if (new := self._value(old)) is not old}

    def _named(self, name: Any, value: Any) -> Any:
        """Return what stands under a name, which may tell that it is a secret."""
        if not isinstance(value, str) or not isinstance(name, str):
            return self._value(value)
        before = f"{name}="
        text = self.text(before + value)
        return text.removeprefix(before) if text.startswith(before) else self.text(value)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, BaseModel):
            parts = {name: getattr(value, name) for name in type(value).model_fields}
            return value.model_copy(update=new) if (new := self._changed(parts)) else value
        if is_dataclass(value) and not isinstance(value, type):
            parts = {part.name: getattr(value, part.name) for part in fields(value) if part.init}
            return replace(value, **new) if (new := self._changed(parts)) else value
        if isinstance(value, Mapping):
            named = {self._value(name): self._named(name, item) for name, item in value.items()}
            return value if named == value else named
        if isinstance(value, list | tuple):
            items = [self._value(item) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else type(value)(items)
        return value


def _merged(first: Found, second: Found) -> Found:
    """Return two secrets that overlap as one, of the kind that says more."""
    kind = min(first.kind, second.kind, key=lambda kind: _TELLING.get(kind, 1))
    end = max(first.end, second.end)
    secret = first.secret if first.end == end else second.secret if second.start == first.start else ""
    return Found(first.start, end, kind, secret)
