"""The embedded chain's JSON-RPC methods, as the Ethereum execution API specifies them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmasos.errors import LedgerError
from llmasos.ledger.node import shapes
from llmasos.ledger.node.evm import CHAIN_ID, GAS_LIMIT, CallReverted, Evm, UnknownBlock, to_hex
from llmasos.ledger.node.inspection import inspect
from llmasos.ledger.node.proofs import account_proof

if TYPE_CHECKING:
    from llmasos.ledger.node.store import Mined

PARSE_ERROR, INVALID_REQUEST, NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
SERVER_ERROR, INTERNAL_ERROR, LIMIT_EXCEEDED, REVERTED = -32000, -32603, -32005, 3

MOST_LOGS = 10_000
MOST_FEES = 1024
MOST_SLOTS = 1024
TAGS = ("latest", "pending", "safe", "finalized")


class TooMuch(LedgerError):
    """A question whose answer would be too large."""


class Methods:
    """Answers JSON-RPC requests on one chain; never raises for what a client sends.

    Args:
        evm: The chain.
    """

    def __init__(self, evm: Evm) -> None:
        self._evm = evm
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: "llmasos-embedded/1",
            "net_version": lambda: str(CHAIN_ID),
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_syncing": lambda: False,
            "eth_accounts": lambda: [],
            "eth_blockNumber": lambda: hex(evm.height),
            "eth_gasPrice": lambda: hex(evm.base_fee),
            "eth_maxPriorityFeePerGas": lambda: "0x0",
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": lambda who, block="latest": hex(evm.state(block).get_balance(_bytes(who, 20))),
            "eth_getTransactionCount": lambda who, block="latest": hex(
                evm.state(block).get_nonce(_bytes(who, 20))
            ),
            "eth_getCode": lambda who, block="latest": to_hex(evm.state(block).get_code(_bytes(who, 20))),
            "eth_getStorageAt": lambda who, slot, block="latest": to_hex(
                evm.state(block).get_storage(_bytes(who, 20), int(slot, 16)).to_bytes(32, "big")
            ),
            "eth_getProof": self._proof,
            "eth_sendRawTransaction": lambda raw: to_hex(evm.send(_bytes(raw))),
            "eth_getTransactionReceipt": lambda digest: self._of_transaction(digest, shapes.receipt),
            "eth_getTransactionByHash": lambda digest: self._of_transaction(digest, shapes.transaction),
            "eth_getRawTransactionByHash": self._raw,
            "eth_getBlockByNumber": lambda block, full=False: self._block(self._mined(block), full),
            "eth_getBlockByHash": lambda digest, full=False: self._block(
                evm.store.by_hash(_bytes(digest, 32)), full
            ),
            "eth_getBlockReceipts": self._receipts,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_estimateGas": lambda call, block="latest": hex(evm.estimate(*_addressed(call))),
            "llmasos_inspect": lambda cursor=None: inspect(evm, cursor),
        }

    def answer(self, request: Any) -> dict[str, Any]:
        """Return the response to one request object."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return failure(None, INVALID_REQUEST, "a request is an object with a method")
        ident, name, params = request.get("id"), request["method"], request.get("params") or []
        if not isinstance(ident, str | int | float | None):
            return failure(None, INVALID_REQUEST, "the id of a request is text or a number")
        if not isinstance(params, list):
            return failure(ident, INVALID_PARAMS, f"the parameters of {name[:100]} are a list")
        method = self._methods.get(name)
        if method is None:
            return failure(ident, NOT_FOUND, f"the method {name[:100]} does not exist")
        try:
            return {"jsonrpc": "2.0", "id": ident, "result": method(*params)}
        except CallReverted as error:
            return failure(ident, REVERTED, error.message, to_hex(error.data))
        except TooMuch as error:
            return failure(ident, LIMIT_EXCEEDED, error.message)
        except LedgerError as error:
            return failure(ident, SERVER_ERROR, error.message)
        except sqlite3.Error as error:
            return failure(ident, SERVER_ERROR, f"the chain's file cannot be used: {error}")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            return failure(ident, INVALID_PARAMS, f"wrong parameters of {name}: {_short(error)}")
        except Exception as error:
            # py-evm has a type for each thing that may be missing from a damaged file.
            return failure(
                ident, INTERNAL_ERROR, f"{name} failed: {type(error).__name__}; is the file damaged?"
            )

    def answer_sent(self, requests: list[Any]) -> list[dict[str, Any]]:
        """Return the responses to requests that send transactions, whose blocks are stored together."""
        answers = []
        try:
            with self._evm.together():
                answers = [self.answer(request) for request in requests]
        except sqlite3.Error as error:
            # What was answered before the blocks were on the disk is not true.
            return [
                failure(request.get("id"), SERVER_ERROR, f"the chain's file cannot be used: {error}")
                for request in requests
            ]
        return answers

    def _mined(self, block: str) -> Mined | None:
        number = self._number(block)
        return self._evm.store.by_number(number) if number < 2**63 else None

    def _number(self, block: str) -> int:
        if block in TAGS:
            return self._evm.height
        return 0 if block == "earliest" else int(block, 16)

    def _block(self, mined: Mined | None, full: bool) -> dict[str, Any] | None:
        return None if mined is None else shapes.block(self._evm, mined, full)

    def _of_transaction(self, digest: str, shape: Callable[[Evm, Mined], Any]) -> Any:
        mined = self._evm.store.by_transaction(_bytes(digest, 32))
        return None if mined is None else shape(self._evm, mined)

    def _raw(self, digest: str) -> str | None:
        mined = self._evm.store.by_transaction(_bytes(digest, 32))
        return None if mined is None or mined.tx is None else to_hex(mined.tx)

    def _receipts(self, block: str) -> list[Any] | None:
        by_hash = len(block) == 2 + 64
        mined = self._evm.store.by_hash(_bytes(block, 32)) if by_hash else self._mined(block)
        if mined is None:
            return None
        receipt = shapes.receipt(self._evm, mined)
        return [] if receipt is None else [receipt]

    def _fee_history(self, count: str | int, newest: str, percentiles: Any = None) -> dict[str, Any]:
        wanted = count if isinstance(count, int) else int(count, 16)
        last = self._number(newest)
        if not 1 <= wanted <= MOST_FEES:
            raise ValueError(f"1 to {MOST_FEES} blocks can be asked for")
        if last > self._evm.height:
            raise UnknownBlock(f"unknown block {newest}")
        first = max(0, last - wanted + 1)
        headers = [self._evm.header(hex(number)) for number in range(first, last + 1)]
        fees = [header.base_fee_per_gas for header in headers if header is not None]
        following = self._evm.base_fee if last == self._evm.height else self._fee_of(last + 1)
        history: dict[str, Any] = {
            "oldestBlock": hex(first),
            "baseFeePerGas": [hex(fee) for fee in [*fees, following]],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers if header is not None],
        }
        if percentiles:
            # Nobody competes for a place in these blocks.
            history["reward"] = [["0x0"] * len(percentiles) for _ in headers]
        return history

    def _fee_of(self, number: int) -> int:
        header = self._evm.header(hex(number))
        if header is None:
            raise UnknownBlock(f"unknown block {number}")
        return int(header.base_fee_per_gas)

    def _proof(self, who: str, slots: list[str], block: str = "latest") -> dict[str, Any]:
        if len(slots) > MOST_SLOTS:
            raise TooMuch(f"at most {MOST_SLOTS} slots can be proved at once")
        header = self._evm.header(block)
        if header is None:
            raise UnknownBlock(f"unknown block {block}")
        places = [int(slot, 16) for slot in slots]
        return account_proof(self._evm.store, header.state_root, _bytes(who, 20), places)

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in query:
            mined = self._evm.store.by_hash(_bytes(query["blockHash"], 32))
            if mined is None:
                raise UnknownBlock("unknown block")
            first = last = mined.number
        else:
            first = self._number(query.get("fromBlock", "latest"))
            last = self._number(query.get("toBlock", "latest"))
        addresses = [_bytes(item, 20) for item in _several(query.get("address"))]
        topics = [[_bytes(item, 32) for item in _several(place)] for place in query.get("topics") or []]
        if len(topics) > 4:
            raise ValueError("an event has four topics at most")
        last = min(last, self._evm.height)
        found = list(self._evm.store.logs(first, last, addresses, topics, MOST_LOGS + 1))
        if len(found) > MOST_LOGS:
            raise TooMuch(f"query returned more than {MOST_LOGS} results")
        return [shapes.log(item) for item in found]

    def _call(self, call: dict[str, Any], block: str = "latest") -> str:
        sender, to, data = _addressed(call)
        gas = min(int(call.get("gas", hex(GAS_LIMIT)), 16), GAS_LIMIT)
        return to_hex(self._evm.call(sender, to, data, gas, block))


def failure(ident: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    """Return the response that says what is wrong with a request."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": ident, "error": error}


def _short(error: Exception) -> str:
    # What a client sent may be in the text, however long it was.
    return str(error)[:200]


def _addressed(call: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    sender = _bytes(call.get("from") or "0x" + "00" * 20, 20)
    to = _bytes(call["to"], 20) if call.get("to") else b""
    return sender, to, _bytes(call.get("data") or call.get("input") or "0x")


def _several(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _bytes(text: str, size: int | None = None) -> bytes:
    data = bytes.fromhex(text.removeprefix("0x"))
    if size is not None and len(data) != size:
        raise ValueError(f"expected {size} bytes, got {len(data)}")
    return data
