"""A chain in this process with accounts and the audit log, and what JSON-RPC says of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmasos.ledger import _contract
from llmasos.ledger._digest import session_key, use_native_code
from llmasos.ledger.node.evm import CHAIN_ID, CallReverted, Evm
from llmasos.ledger.node.methods import Methods

FIRST_SECOND = 1_700_000_000
GAS, DEPLOY_GAS = 2_000_000, 3_000_000
ETHER = 10**18
# With a tip the account of the blocks' producer is not empty, which chains treat differently.
TIP = 10**9


class Account:
    """An account whose key is known, which counts its own transactions."""

    def __init__(self, number: int) -> None:
        use_native_code()
        from eth_account import Account as Signer

        self._signer: Any = Signer.from_key(number.to_bytes(32, "big"))
        self.address = str(self._signer.address).lower()
        self.bytes = bytes.fromhex(self.address[2:])
        self.nonce = 0

    def sign(self, to: bytes | None, data: bytes, **fields: Any) -> bytes:
        """Return the bytes of the next transaction."""
        signed: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": self.nonce,
            "maxFeePerGas": 100 * 10**9,
            "maxPriorityFeePerGas": TIP,
            "gas": DEPLOY_GAS if to is None else GAS,
            "value": 0,
            "data": data,
        } | fields
        if to is not None:
            signed["to"] = to
        self.nonce += 1
        return bytes(self._signer.sign_transaction(signed).raw_transaction)

    def legacy(self, to: bytes, data: bytes) -> bytes:
        """Return the bytes of the next transaction, in the form that has no type."""
        fields = {"chainId": CHAIN_ID, "nonce": self.nonce, "gasPrice": 100 * 10**9, "gas": GAS, "value": 0}
        self.nonce += 1
        return bytes(self._signer.sign_transaction({**fields, "to": to, "data": data}).raw_transaction)


class Bench:
    """A contract on a chain in this process, with two accounts.

    Args:
        folder: Where the chain's file is.
        code: The contract's creation code; the audit log's if none is given.
    """

    def __init__(self, folder: Path, code: bytes | None = None) -> None:
        seconds = itertools.count(FIRST_SECOND, 3)
        self.account, self.other = Account(1), Account(2)
        self.evm = Evm(folder / "chain.db", self.account.bytes, clock=lambda: next(seconds))
        self.methods = Methods(self.evm)
        self.sent: list[bytes] = []
        self.contract = bytes.fromhex(_contract.created_address(self.account.address, 0)[2:])
        self.send(self.account.sign(None, code or _contract.deploy_code()))
        self.send(self.account.sign(self.other.bytes, b"", value=10 * ETHER))
        self._keys = itertools.count()

    def key(self) -> bytes:
        """Return the key of a session that was not used yet."""
        return session_key(f"session {next(self._keys)}")

    def send(self, raw: bytes) -> dict[str, Any]:
        """Mine a transaction and return its receipt."""
        self.sent.append(raw)
        receipt: dict[str, Any] = self.ask("eth_getTransactionReceipt", "0x" + self.evm.send(raw).hex())
        return receipt

    def do(self, data: bytes, account: Account | None = None) -> dict[str, Any]:
        """Call the contract in a transaction and return the receipt."""
        return self.send((account or self.account).sign(self.contract, data))

    def refusal(self, data: bytes, account: Account | None = None) -> bytes:
        """Return the encoded error of a call; nothing at all if the contract takes it."""
        try:
            self.evm.call((account or self.account).bytes, self.contract, data, GAS, "latest")
        except CallReverted as error:
            return error.data
        return b""

    def session(self, key: bytes) -> _contract.SessionState:
        """Return a session as the contract stores it."""
        output = self.evm.call(self.account.bytes, self.contract, _contract.sessions_call(key), GAS, "latest")
        return _contract.session_state(output)

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of a JSON-RPC request."""
        answer = self.methods.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        assert "result" in answer, answer
        return answer["result"]

    def refused(self, method: str, *params: Any) -> tuple[int, str]:
        """Return the code and the message that a JSON-RPC request is refused with."""
        answer = self.methods.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        return answer["error"]["code"], answer["error"]["message"]

    def inspect(self, turn: Callable[[], None] = lambda: None) -> list[str]:
        """Return what is wrong with the chain's file, and do something else after each page."""
        cursor, problems, before = None, [], -1
        while True:
            page = self.ask("llmasos_inspect", cursor)
            problems += page["problems"]
            assert before <= page["percent"] <= 100
            cursor, before = page["cursor"], page["percent"]
            if cursor is None:
                return problems
            turn()


def call(name: str, *values: Any) -> bytes:
    """Return the call data of a function of the audit log, as eth_abi encodes it."""
    from eth_abi.abi import encode

    signature = next(text for text in _contract.artifact()["selectors"] if text.startswith(name + "("))
    types = [part for part in signature[len(name) + 1 : -1].split(",") if part]
    return bytes.fromhex(_contract.artifact()["selectors"][signature]) + encode(types, values)
