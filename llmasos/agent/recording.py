"""Recording: every record of the agent says who asked, and goes through here."""

from __future__ import annotations

from llmasos.agent.approvals import encodable
from llmasos.agent.asker import asker
from llmasos.ledger import Entry, Kind, Ledger

_LONGEST_NAME = 200


async def record(
    ledger: Ledger, session: str, kind: Kind, *, action: str = "", tool: str = "", **body: object
) -> None:
    """Record one thing; it is on the disk when this returns.

    Args:
        body: The facts as JSON; those that are None or empty text are left out.

    Raises:
        LedgerError: It cannot be written, so what it stands for must not happen.
    """
    facts = {name: value for name, value in body.items() if value is not None and value != ""}
    facts["asked_by"] = asker().fields()
    # A model, or code, may call a tool by any name at all.
    name = ledger.redactor.text(encodable(tool))[:_LONGEST_NAME]
    body = ledger.redactor.value(encodable(facts))
    await ledger.record(Entry(session=session, kind=kind, action=action, tool=name, body=body))
