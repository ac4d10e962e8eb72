"""Which chain the settings choose, and what is said when they cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError, LedgerError
from llmasos.ledger.chains.choice import choose_chain

KEY = "0x" + "5e" * 32
RPC: dict[str, Any] = {
    "chain": "rpc",
    "url": "https://node.example.org/hunter2",
    "chain_id": 5,
    "key": SecretStr(KEY),
}


def test_chains_of_our_own_need_no_settings(tmp_path: Path) -> None:
    for name in ("embedded", "anvil"):
        chain = choose_chain(LedgerSettings(chain=name), tmp_path)
        assert chain.name == name
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_chain_is_chosen_with_its_account(tmp_path: Path) -> None:
    chain = choose_chain(LedgerSettings(**RPC), tmp_path)
    assert (chain.name, chain.chain_id) == ("rpc", 5)
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(KEY)
    other = choose_chain(
        LedgerSettings(**{**RPC, "key": SecretStr(""), "key_file": path, "url": "/run/node.ipc"}), tmp_path
    )
    assert other.account == chain.account
    for text in (repr(chain), repr(vars(chain)), repr(LedgerSettings(**RPC))):
        assert "5e5e" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": ""}, "needs the URL"),
        ({"url": "node.example.org/hunter2"}, "does not begin with http"),
        ({"chain_id": 0}, "needs the id"),
        ({"key": SecretStr("")}, "from one place."),
        ({"key_file": Path("/nowhere")}, "there are two"),
        ({"key": SecretStr("5e" * 31)}, "not 32 bytes in hexadecimal"),
        ({"key": SecretStr(""), "key_file": Path("/nowhere")}, "/nowhere cannot be used: No such file"),
    ],
)
def test_a_foreign_chain_says_what_it_lacks(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, LedgerError), match=message) as caught:
        choose_chain(LedgerSettings(**{**RPC, **change}), tmp_path)
    assert caught.value.hint
    assert "5e5e" not in str(caught.value) and "hunter2" not in str(caught.value)
