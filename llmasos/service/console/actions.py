"""An action's page: why it was done, what came of it, and the proof that it was."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners, needs
from llmasos.service.console.rendering import Renderer


def action_routes(kernel: Kernel, renderer: Renderer) -> list[Route]:
    """Return the routes of an action's page and of its proof, each with what it needs."""
    page = _ActionPage(kernel, renderer)
    return [
        *needs("agent", [Route("/actions/{id:path}", page.show)]),
        # The ledger is everybody's, so its proofs are for those who may see all.
        *needs("admin", [Route("/proofs/{id:path}", page.prove)]),
    ]


class _ActionPage:
    def __init__(self, kernel: Kernel, renderer: Renderer) -> None:
        self._kernel = kernel
        self._renderer = renderer
        self._owners = Owners(kernel.store)

    async def show(self, request: Request) -> Response:
        access: Access | None = request.state.access
        named, explainer = request.path_params["id"], self._kernel.explainer
        place = await explainer.find(named, await self._owners.seen(access))
        explanation = await explainer.explain(named, place)
        return self._renderer.page(request, "action.html", found=explanation)

    async def prove(self, request: Request) -> Response:
        """Send the file that proves an action, as `llmasos ledger prove` writes it."""
        named: str = request.path_params["id"]
        proof: dict[str, Any] = await self._kernel.books.prove(named)
        content = json.dumps(proof, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        name = re.sub(r"[^\w-]", "_", named, flags=re.ASCII)[:100]
        headers = {"content-disposition": f'attachment; filename="{name}.proof.json"'}
        return Response(content, media_type="application/json", headers=headers)
