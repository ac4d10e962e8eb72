"""The embedded chain's checks of itself, page by page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmasos.ledger.chains.embedded import EmbeddedChain
from llmasos.ledger.chains.port import ChainError
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import CallTransport

pytestmark = pytest.mark.anyio

PAGES: dict[str | None, Any] = {
    None: {"problems": [], "cursor": "10", "percent": 40},
    "10": {
        "problems": ["block 12 is not there", "block 13 has another parent"],
        "cursor": "20",
        "percent": 80,
    },
    "20": {"problems": [], "cursor": None, "percent": 100},
}


def inspected(pages: dict[str | None, Any], folder: Path) -> EmbeddedChain:
    async def exchange(question: bytes) -> bytes:
        asked = json.loads(question)
        assert asked["method"] == "llmasos_inspect"
        return json.dumps({"id": asked["id"], "result": pages[asked["params"][0]]}).encode()

    chain = EmbeddedChain(folder)
    chain._client = RpcClient(CallTransport(exchange))
    return chain


async def test_pages_become_problems_and_percentages(tmp_path: Path) -> None:
    found = [item async for item in inspected(PAGES, tmp_path).inspect()]
    assert found == [40, "block 12 is not there", "block 13 has another parent", 80, 100]


@pytest.mark.parametrize(
    "page", [None, [], {}, {"problems": [], "percent": 1}, {**PAGES["20"], "percent": "x"}]
)
async def test_a_page_that_is_none_is_refused(page: Any, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="cannot be read"):
        [item async for item in inspected({None: page}, tmp_path).inspect()]


async def test_the_node_inherits_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-db")
    chain = EmbeddedChain(tmp_path)
    await chain.connect()
    try:
        assert chain._process is not None
        inherited = Path(f"/proc/{chain._process.pid}/environ").read_bytes()
    finally:
        await chain.close()
    assert b"PATH=" in inherited
    assert b"hunter2" not in inherited
