"""What a person wrote stays in the database: nothing of it is in calldata, chain files or bare proofs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import select

from llmasos.ledger import ChainLedger, EmbeddedChain, Entry
from llmasos.ledger._digest import canonical
from llmasos.ledger._proofs import prove
from llmasos.ledger._tables import OutboxRow
from llmasos.ledger._types import Mode
from llmasos.store import Base, Store

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

SESSION, ACTION, TOOL = "quiet-harbour-session", "quiet-harbour-action", "quiet_harbour_tool"
ARGUMENT, SECRET = "quiet-harbour-argument", "安静的港口"
BODY = {"arguments": {"path": ARGUMENT}, "said": SECRET, "reply": [ARGUMENT, {"deep": SECRET}]}
IN_BODY = (ARGUMENT.encode(), SECRET.encode())
NAMES = (SESSION.encode(), ACTION.encode(), TOOL.encode())
MODES: tuple[Mode, ...] = ("each", "batch", "merkle")


def forms(text: bytes) -> Iterable[bytes]:
    """Return what a text looks like as it is, in hexadecimal, in base64 at every offset, and in JSON."""
    yield text
    yield text.hex().encode()
    yield json.dumps(text.decode())[1:-1].encode()
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + text + bytes(2))
        # The outermost characters depend on the neighbours.
        yield coded[4 : (offset + len(text)) // 3 * 4]


def found(data: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """Return which of some texts are in there, in any form."""
    return [text for text in texts if any(form in data for form in forms(text))]


async def test_nothing_that_was_written_leaves_the_database(tmp_path: Path) -> None:
    for mode in MODES:
        store, chain = Store(f"sqlite:///{tmp_path / 'ledger.db'}"), EmbeddedChain(tmp_path)
        Base.metadata.create_all(store.engine)
        try:
            async with ChainLedger(store, chain, mode=mode, wait=0.0) as ledger:
                for kind in ("intent", "outcome"):
                    entry = {"kind": kind, "action": ACTION, "tool": TOOL, "body": BODY}
                    await ledger.record(Entry.model_validate({"session": f"{SESSION}-{mode}", **entry}))
                assert await ledger.flush(60)
                contract = (await ledger.status()).contract or ""
                if mode == MODES[-1]:
                    numbers = list(range(1, 2 * len(MODES) + 1))
                    bare = canonical(await prove(store, chain, contract, numbers, bodies=False))
                    full = canonical(await prove(store, chain, contract, numbers))
                raws = await store.run(lambda work: work.scalars(select(OutboxRow.raw)).all())
        finally:
            store.close()
    files = [path for path in (tmp_path / "chain").rglob("*") if path.is_file()]
    outside = b"\n".join([*raws, *(path.read_bytes() for path in files)])
    body = canonical(BODY)
    # Nor a hash that could be guessed from what was written.
    hashes = [hashlib.sha256(text).digest() for text in (body, *IN_BODY, ACTION.encode(), TOOL.encode())]
    assert found(outside, [*IN_BODY, *NAMES]) == []
    assert [one for one in hashes if one in outside or one.hex().encode() in outside] == []
    assert found(bare, IN_BODY) == []
    # The search finds what is there.
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert found(kept, [*IN_BODY, *NAMES]) == [*IN_BODY, *NAMES]
    assert found(full, IN_BODY) == [*IN_BODY]
    assert len(files) >= 2
    assert raws
