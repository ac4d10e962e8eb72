"""The signing account: equal to eth-account's bytes, and never shown."""

from __future__ import annotations

import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.errors import LedgerError
from llmasos.ledger._contract import transaction
from llmasos.ledger._digest import use_native_code
from llmasos.ledger.chains.account import Account, account_in, account_of
from llmasos.ledger.chains.port import Fees

KEY = bytes(range(1, 33))


@pytest.fixture(autouse=True, scope="module")
def _libraries() -> None:
    """Import them before hypothesis looks: some change the limit of recursion."""
    theirs(KEY, chainId=1, nonce=0, data=b"", gas=1, value=0, maxFeePerGas=1, maxPriorityFeePerGas=1)


ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def theirs(key: bytes, **fields: Any) -> bytes:
    use_native_code()
    from eth_account import Account as EthAccount

    return bytes(EthAccount.from_key(key).sign_transaction({"type": 2, **fields}).raw_transaction)


@settings(max_examples=80, deadline=None)
@given(
    key=st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big")),
    chain_id=st.integers(1, 2**53),
    nonce=st.integers(0, 2**64 - 2),
    to=st.none() | st.binary(min_size=20, max_size=20),
    data=st.binary(max_size=300),
    gas=st.integers(0, 2**63),
    cap=st.integers(0, 2**128),
    tip=st.integers(0, 2**128),
    value=st.integers(0, 2**128),
)
def test_signed_bytes_are_those_of_eth_account(
    key: bytes,
    chain_id: int,
    nonce: int,
    to: bytes | None,
    data: bytes,
    gas: int,
    cap: int,
    tip: int,
    value: int,
) -> None:
    account, target = Account(key), None if to is None else "0x" + to.hex()
    signed = account.sign(chain_id, nonce, target, data, gas, Fees(cap, tip), value)
    fields: dict[str, Any] = {"chainId": chain_id, "nonce": nonce, "data": data, "gas": gas, "value": value}
    fields |= {"maxFeePerGas": cap, "maxPriorityFeePerGas": tip, **({} if to is None else {"to": to})}
    assert signed.raw == theirs(key, **fields)
    assert signed == account.sign(chain_id, nonce, target, data, gas, Fees(cap, tip), value)
    said = transaction(signed.raw)
    assert (said.chain_id, said.nonce, said.to, said.data) == (chain_id, nonce, target, data)


def test_the_address_is_that_of_eth_account() -> None:
    from eth_account import Account as EthAccount

    assert Account(KEY).address == EthAccount.from_key(KEY).address.lower()


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex(), f"  {KEY.hex().upper()}\n"])
def test_a_key_is_read_with_or_without_its_prefix(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text)
    assert account_of(text).address == account_in(path).address == Account(KEY).address


@pytest.mark.parametrize(
    "text", ["", "hunter2", KEY.hex()[:-2], KEY.hex() + "00", "00" * 32, "ff" * 32, "é" * 64]
)
def test_what_is_not_a_key_is_refused_without_repeating_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(text)
    calls: list[Callable[[], Account]] = [lambda: account_of(text), lambda: account_in(path)]
    for call in calls:
        with pytest.raises(LedgerError, match="cannot be used") as caught:
            call()
        assert not text or text not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_key_is_never_shown() -> None:
    account = Account(KEY)
    for text in (repr(account), str(account), f"{account!r:>10}", repr(vars(account))):
        assert KEY.hex() not in text and str(KEY) not in text
    with pytest.raises(TypeError):
        pickle.dumps(account)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex())
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(LedgerError, match="can be read by other users") as caught:
            account_in(path)
        assert f"chmod 600 {path}" in caught.value.hint
    path.chmod(0o400)
    assert account_in(path).address == Account(KEY).address


def test_a_missing_file_is_made_once_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(LedgerError, match="No such file"):
        account_in(path)
    made = account_in(path, make=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert account_in(path, make=True).address == account_in(path).address == made.address
    assert os.listdir(tmp_path) == ["key"]
    with pytest.raises(LedgerError, match="cannot be used"):
        account_in(tmp_path, make=True)
