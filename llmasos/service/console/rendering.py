"""Rendering: the console's templates, in which every text is shown so that it cannot act or hide."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from llmasos.amounts import size
from llmasos.api import KeyScope
from llmasos.display import display, display_name
from llmasos.flips import otherwise
from llmasos.markdown import html
from llmasos.service.access import Access, Login
from llmasos.service.artifacts import is_picture
from llmasos.service.console.diffs import diff_lines
from llmasos.service.console.texts import Texts, texts_for
from llmasos.service.refusals import CONSOLE

PLACES: tuple[tuple[str, KeyScope], ...] = (
    ("sessions", "agent"),
    ("models", "models"),
    ("runs", "agent"),
    ("decisions", "agent"),
    ("ledger", "admin"),
)
"""The pages that the navigation names, each with the scope that it needs."""


class Renderer:
    """Makes pages, and parts of them, in the language of whoever asks."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("llmasos.service.console"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "name": display_name,
            "bytes": size,
            "when": _when,
            "value": _value,
            "code": _code,
            "markdown": _markdown,
            "path": lambda text: quote(text, safe=""),
            "difflines": diff_lines,
            "picture": is_picture,
            "otherwise": lambda flip: otherwise(flip.facts, flip.verdict),
        }

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a whole page."""
        return HTMLResponse(self.part(request, template, **values), status_code=status)

    def part(self, request: Request, template: str, **values: Any) -> str:
        """Return a template, filled in."""
        return self._environment.get_template(template).render(**_common(request), **values)


def allowed(access: Access | None) -> list[str]:
    """Return the pages that whoever asks may see."""
    return [place for place, scope in PLACES if access is None or access.may(scope)]


def _common(request: Request) -> dict[str, Any]:
    texts: Texts = texts_for(request.headers.get("accept-language", ""))
    login: Login | None = getattr(request.state, "login", None)
    access: Access | None = getattr(request.state, "access", None)
    return {
        "t": texts,
        "lang": texts.language,
        "home": CONSOLE,
        "here": request.url.path,
        "login": login,
        "csrf": login.csrf if login else "",
        "places": allowed(access) if login else [],
        "may": lambda scope: access is None or access.may(scope),
    }


def _shown(value: Any) -> Any:
    """Return what a template puts out: text as a person may see it, and markup of our own as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return display(value, keep_newlines=True)
    return "" if value is None else value


def _when(at: datetime | None) -> Markup | str:
    if at is None:
        return ""
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(), f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
    )


def _code(text: str) -> Markup:
    """Return a text of the catalogue, with what stands between backticks as code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
        for place, piece in enumerate(text.split("`"))
    )


def _markdown(text: str) -> Markup:
    """Return a model's text as it meant it, beneath the headings of a turn."""
    return Markup(html(text, 4))  # noqa: S704 - it is made so that it cannot act


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
