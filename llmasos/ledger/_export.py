"""The ledger as one page that checks itself, or as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from llmasos.ledger._digest import canonical
from llmasos.ledger._proofs import place, prove, shown
from llmasos.ledger.chains.port import Chain
from llmasos.store import Store

WAITING = "llmasos.waiting/1"
"""The format of a line about a record that is not on the chain yet."""


async def export_html(
    store: Store,
    chain: Chain,
    contract: str,
    numbers: Sequence[int],
    *,
    up_to: int | None = None,
    bodies: bool = True,
) -> AsyncIterator[str]:
    """Yield a page that shows records and checks their proofs in the browser, with nothing but itself.

    Args:
        numbers: The records' numbers; those that are not on the chain yet are shown as such.
        up_to: A later block whose hash somebody outside vouches for.
        bodies: Whether the bodies go into the page.

    Raises:
        NotProvable: A record is unknown, the block lies before one, or the page would be too large.
        ChainError: The chain cannot be reached, or does not give what a proof is made of.
    """
    mined, waiting = await _split(store, chain, contract, numbers, bodies)
    document = await prove(store, chain, contract, mined, up_to=up_to, bodies=bodies) if mined else None
    data = {"document": document, "waiting": waiting, "made": datetime.now(UTC).isoformat(timespec="seconds")}
    home = files("llmasos.ledger").joinpath("explorer")
    page, style, check, script = (
        home.joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "style.css", "check.js", "page.js")
    )
    before, rest = page.split("%DATA%")
    middle, after = rest.split("%SCRIPT%")
    yield before.replace("%STYLE%", style)
    # Inside a script element only `<` could end it; JSON has another spelling for it.
    yield json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    yield middle + check + script.replace('"use strict";\n', "", 1) + after


async def export_lines(
    store: Store, chain: Chain, contract: str, numbers: Sequence[int], *, bodies: bool = True
) -> AsyncIterator[str]:
    """Yield a line of JSON per record: its proof file, or the record alone while it is not on the chain.

    Raises:
        NotProvable: A record is unknown.
        ChainError: The chain cannot be reached, or does not give what a proof is made of.
    """
    for number in sorted(set(numbers)):
        mined, waiting = await _split(store, chain, contract, [number], bodies)
        if mined:
            line: Any = await prove(store, chain, contract, mined, bodies=bodies)
        else:
            line = {"format": WAITING, "record": waiting[0]}
        yield canonical(line).decode() + "\n"


async def _split(
    store: Store, chain: Chain, contract: str, numbers: Sequence[int], bodies: bool
) -> tuple[list[int], list[dict[str, Any]]]:
    placed = await store.run(
        lambda session: list(place(session, sorted(set(numbers)), chain.chain_id, contract))
    )
    waiting = [shown(one.row, bodies) for one in placed if one.tx_hash is None]
    return [one.row.number for one in placed if one.tx_hash is not None], waiting
