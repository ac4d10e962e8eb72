"""Forms: what a browser posts, from a page of ours and from nobody else's."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from llmasos.service.access import Login
from llmasos.service.refusals import Refusal

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20_000


class ForeignForm(Refusal):
    """A form that no page of the console sent."""

    code = "form"
    status = 403


class Form:
    """The fields of a form."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def get(self, name: str) -> str:
        """Return a field; empty when it is not there."""
        return self.all(name)[0] if self.all(name) else ""

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self._fields.get(name, [])


Handler = Callable[[Request, Form], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def posted(handler: Handler) -> Endpoint:
    """Return the endpoint that hands on forms of whoever is logged in, sent by the console's own pages."""

    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        login: Login = request.state.login
        if not hmac.compare_digest(form.get("csrf").encode(), login.csrf.encode()):
            raise ForeignForm(
                "This form is of an earlier login.", hint="Go back, load the page again, and retry."
            )
        return await handler(request, form)

    return endpoint


async def read_form(request: Request) -> Form:
    """Return a form that a page of this origin sent.

    Raises:
        ForeignForm: Another origin's page sent it, or nothing says whose page it was.
        Refusal: It is no form.
    """
    _check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal("This is no form.", hint="Use the console's own pages, or the API under /v1.")
    try:
        text = (await request.body()).decode("ascii")
        fields = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refusal("The form cannot be read.", hint="Load the page again.") from None
    return Form(fields)


def _check_origin(request: Request) -> None:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    # Before a proxy the scheme is another one, so hosts are compared.
    ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if site not in (None, "same-origin") or not ours:
        raise ForeignForm("This form was sent by another site.", hint="Use the console's own pages.")
