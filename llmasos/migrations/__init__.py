"""The database's schema, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import inspect, text

from llmasos.errors import ConfigError
from llmasos.store import Store, usable

_HERE = Path(__file__).parent


def upgrade(store: Store, progress: Callable[[str], None] = lambda text: None) -> None:
    """Bring the database to the newest schema.

    Args:
        store: The database.
        progress: Told how far it is while something takes long.

    Raises:
        ConfigError: The database cannot be used, or was written by a newer version.
    """
    with usable():
        present = _revision(store)
        # Alembic takes long to load.
        if present != _head():
            _upgrade(store, present, progress)


def _upgrade(store: Store, present: str, progress: Callable[[str], None]) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    try:
        with store.durable_engine.begin() as connection:
            config.attributes |= {"connection": connection, "progress": progress}
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"The database has the schema {present!r}, which this version does not know.",
            hint="Use the version of LLMasOS that wrote it, or another LLMASOS_DATA_DIR.",
        ) from error


def _head() -> str:
    """Return the newest revision, with which the name of its file begins."""
    return max(path.name for path in _HERE.glob("versions/[0-9]*.py")).partition("_")[0]


def _revision(store: Store) -> str:
    with store.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
