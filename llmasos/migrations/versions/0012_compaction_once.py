"""Compactions: each entry once, in the row that told its turn in short first."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

compactions = sa.table(
    "compactions",
    sa.column("session", sa.String),
    sa.column("turn", sa.Integer),
    sa.column("entries", sa.Text),
)


def upgrade() -> None:
    bind = op.get_bind()
    keys = sa.select(compactions.c.session, compactions.c.turn)
    before = ("", 0)
    for session, turn in bind.execute(keys.order_by(compactions.c.session, compactions.c.turn)).fetchall():
        here = (compactions.c.session == session, compactions.c.turn == turn)
        if before[0] == session:
            stored = bind.execute(sa.select(compactions.c.entries).where(*here)).scalar_one()
            fresh = [entry for entry in json.loads(stored) if entry["number"] > before[1]]
            bind.execute(sa.update(compactions).where(*here).values(entries=json.dumps(fresh)))
        before = (session, turn)
