"""The line that says how things stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmasos.language import translated

if TYPE_CHECKING:
    from llmasos.api import KernelInfo, SessionInfo


def status_line(folder: Path, info: KernelInfo, session: SessionInfo | None) -> str:
    """Return it: folder, model, tokens and time of the session, what models cost, sandbox, ledger, session.

    Args:
        folder: The folder that is worked on.
        info: The kernel.
        session: The session, if there is one.
    """
    model = session.model if session is not None and session.model else info.model
    parts = [folder.name or str(folder), model]
    if session is not None and session.usage.requests:
        usage = session.usage
        tokens = usage.input_tokens + usage.output_tokens
        parts.append(translated(f"{amount(tokens)} tokens in {usage.seconds:,.0f} s"))
    if info.spent is not None:
        parts.append(translated(f"spent {info.spent:,.4f}"))
    parts.append(info.sandbox)
    if session is not None and session.in_place:
        parts.append(translated("in place"))
    ledger = info.ledger
    if ledger.head_block is None:
        parts.append(translated("ledger: the chain is starting"))
    else:
        parts.append(
            translated(f"ledger {ledger.confirmed}/{ledger.records}") + (" !" if ledger.error else "")
        )
    if session is not None:
        parts.append(session.id)
    return " · ".join(parts)


def amount(number: int) -> str:
    """Return a number as short as a line needs it, such as `950`, `12.3k` and `4.5M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
