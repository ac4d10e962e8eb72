"""Sessions say what they were forked from, and how many turns and tokens they have had."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("parent", sa.String(), nullable=False, server_default=""))
    for name in ("parent_turn", "parent_seq", "turns"):
        op.add_column("sessions", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("usage", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    totals: dict[str, list[str]] = {}
    for session, usage in connection.execute(sa.text("SELECT session, usage FROM turns")):
        totals.setdefault(session, []).append(usage)
    update = sa.text("UPDATE sessions SET turns = :turns, usage = :usage WHERE id = :id")
    for session, usages in totals.items():
        values = {"id": session, "turns": len(usages), "usage": json.dumps(_sum(usages))}
        connection.execute(update, values)


def _sum(usages: list[str]) -> dict[str, float]:
    total: dict[str, float] = {}
    for usage in filter(None, usages):
        for name, value in json.loads(usage).items():
            total[name] = total.get(name, 0) + value
    return total
