"""The line that says how things stand."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmasos.api import KernelInfo, LedgerInfo, SessionInfo
from llmasos.events import Usage
from llmasos.shell.status import amount, status_line

NOW = datetime(2026, 11, 24, tzinfo=UTC)
INFO = KernelInfo(
    version="1",
    pid=1,
    started=NOW,
    data_dir="/data",
    model="small",
    model_resident=True,
    sandbox="docker",
    sessions=0,
    ledger=LedgerInfo(backend="embedded", head_block=3, records=7, confirmed=5),
)
SESSION = SessionInfo(id="s-1", folder="/home/ada", created=NOW, updated=NOW)


def test_before_a_session() -> None:
    assert status_line(Path("/home/ada/reports"), INFO, None) == "reports · small · docker · ledger 5/7"


def test_all_that_there_is_to_say() -> None:
    usage = Usage(requests=3, input_tokens=12_000, output_tokens=345, seconds=61.4)
    session = SESSION.model_copy(update={"model": "large", "usage": usage, "in_place": True})
    info = INFO.model_copy(update={"spent": 0.01234, "ledger": INFO.ledger.model_copy(update={"error": "x"})})
    assert status_line(Path("/"), info, session) == (
        "/ · large · 12.3k tokens in 61 s · spent 0.0123 · docker · in place · ledger 5/7 ! · s-1"
    )


def test_a_chain_that_starts() -> None:
    info = INFO.model_copy(update={"ledger": LedgerInfo(backend="embedded")})
    assert (
        status_line(Path("/a"), info, SESSION) == "a · small · docker · ledger: the chain is starting · s-1"
    )


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (999, "999"), (1000, "1.0k"), (12_345, "12.3k"), (4_500_000, "4.5M")]
)
def test_amounts(number: int, shown: str) -> None:
    assert amount(number) == shown
