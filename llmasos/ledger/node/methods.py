"""The embedded chain's JSON-RPC methods, as the Ethereum execution API specifies them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmasos.ledger._contract import created_address
from llmasos.ledger.node.evm import CHAIN_ID, GAS_LIMIT, CallReverted, Evm, TransactionRefused, to_hex

PARSE_ERROR, INVALID_REQUEST, NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
SERVER_ERROR, REVERTED = -32000, 3


class Methods:
    """Answers JSON-RPC requests on one chain; never raises for what a client sends."""

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
            "eth_getBalance": lambda who, block="latest": hex(evm.state(block).get_balance(_bytes(who, 20))),
            "eth_getTransactionCount": lambda who, block="latest": hex(
                evm.state(block).get_nonce(_bytes(who, 20))
            ),
            "eth_getCode": lambda who, block="latest": to_hex(evm.state(block).get_code(_bytes(who, 20))),
            "eth_getStorageAt": lambda who, slot, block="latest": to_hex(
                evm.state(block).get_storage(_bytes(who, 20), int(slot, 16)).to_bytes(32, "big")
            ),
            "eth_sendRawTransaction": lambda raw: to_hex(evm.send(_bytes(raw))),
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionByHash": self._transaction,
            "eth_getBlockByNumber": lambda block, full=False: self._block(evm.header(block), full),
            "eth_getBlockByHash": lambda digest, full=False: self._block(
                evm.header_by_hash(_bytes(digest, 32)), full
            ),
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
        }

    def answer(self, request: Any) -> dict[str, Any]:
        """Return the response to one request object."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, INVALID_REQUEST, "a request is an object with a method")
        ident, name, params = request.get("id"), request["method"], request.get("params") or []
        method = self._methods.get(name)
        if method is None:
            return _failure(ident, NOT_FOUND, f"the method {name} does not exist")
        try:
            return {"jsonrpc": "2.0", "id": ident, "result": method(*params)}
        except CallReverted as error:
            return _failure(ident, REVERTED, error.message, to_hex(error.data))
        except TransactionRefused as error:
            return _failure(ident, SERVER_ERROR, error.message)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _failure(ident, INVALID_PARAMS, f"wrong parameters of {name}: {error}")

    def _receipt(self, digest: str) -> dict[str, Any] | None:
        found = self._evm.transaction(_bytes(digest, 32))
        if found is None:
            return None
        transaction, receipt, header = found
        created = None
        if not transaction.to:
            created = created_address(to_hex(transaction.sender), transaction.nonce)
        return {
            "transactionHash": to_hex(transaction.hash),
            "transactionIndex": "0x0",
            "blockHash": to_hex(header.hash),
            "blockNumber": hex(header.block_number),
            "from": to_hex(transaction.sender),
            "to": to_hex(transaction.to) if transaction.to else None,
            "cumulativeGasUsed": hex(receipt.gas_used),
            "gasUsed": hex(receipt.gas_used),
            "effectiveGasPrice": hex(header.base_fee_per_gas),
            "contractAddress": created,
            "logs": [
                log
                for log in self._evm.logs(header.block_number, header.block_number, [])
                if log["transactionHash"] == to_hex(transaction.hash)
            ],
            "logsBloom": to_hex(receipt.bloom.to_bytes(256, "big")),
            "type": hex(getattr(transaction, "type_id", None) or 0),
            "status": "0x1" if receipt.state_root == b"\x01" else "0x0",
        }

    def _transaction(self, digest: str) -> dict[str, Any] | None:
        found = self._evm.transaction(_bytes(digest, 32))
        return None if found is None else _transaction(found[0], found[2])

    def _block(self, header: Any | None, full: bool) -> dict[str, Any] | None:
        if header is None:
            return None
        transactions = self._evm.transactions(header)
        return {
            "number": hex(header.block_number),
            "hash": to_hex(header.hash),
            "parentHash": to_hex(header.parent_hash),
            "nonce": to_hex(header.nonce),
            "sha3Uncles": to_hex(header.uncles_hash),
            "logsBloom": to_hex(header.bloom.to_bytes(256, "big")),
            "transactionsRoot": to_hex(header.transaction_root),
            "stateRoot": to_hex(header.state_root),
            "receiptsRoot": to_hex(header.receipt_root),
            "withdrawalsRoot": to_hex(header.withdrawals_root),
            "parentBeaconBlockRoot": to_hex(header.parent_beacon_block_root),
            "blobGasUsed": hex(header.blob_gas_used),
            "excessBlobGas": hex(header.excess_blob_gas),
            "miner": to_hex(header.coinbase),
            "mixHash": to_hex(header.mix_hash),
            "difficulty": hex(header.difficulty),
            "extraData": to_hex(header.extra_data),
            "gasLimit": hex(header.gas_limit),
            "gasUsed": hex(header.gas_used),
            "baseFeePerGas": hex(header.base_fee_per_gas),
            "timestamp": hex(header.timestamp),
            "uncles": [],
            "withdrawals": [],
            "transactions": [
                _transaction(item, header) if full else to_hex(item.hash) for item in transactions
            ],
        }

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in query:
            header = self._evm.header_by_hash(_bytes(query["blockHash"], 32))
            if header is None:
                raise TransactionRefused("unknown block")
            first = last = header.block_number
        else:
            first = self._number(query.get("fromBlock", "earliest"))
            last = self._number(query.get("toBlock", "latest"))
        address = query.get("address") or []
        addresses = [_bytes(item, 20) for item in ([address] if isinstance(address, str) else address)]
        wanted = query.get("topics") or []
        return [log for log in self._evm.logs(first, last, addresses) if _matches(log["topics"], wanted)]

    def _number(self, block: str) -> int:
        return int(block, 16) if block.startswith("0x") else (0 if block == "earliest" else self._evm.height)

    def _call(self, call: dict[str, Any], block: str = "latest") -> str:
        sender, to, data = _addressed(call)
        gas = min(int(call.get("gas", hex(GAS_LIMIT)), 16), GAS_LIMIT)
        return to_hex(self._evm.call(sender, to, data, gas, block))

    def _estimate(self, call: dict[str, Any], block: str = "latest") -> str:
        return hex(self._evm.estimate(*_addressed(call)))


def _addressed(call: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    sender = _bytes(call.get("from") or "0x" + "00" * 20, 20)
    to = _bytes(call["to"], 20) if call.get("to") else b""
    return sender, to, _bytes(call.get("data") or call.get("input") or "0x")


def _matches(topics: list[str], wanted: list[Any]) -> bool:
    if len(wanted) > len(topics):
        return False
    return all(
        want is None or topic in ([want] if isinstance(want, str) else want)
        for topic, want in zip(topics, wanted, strict=False)
    )


def _transaction(transaction: Any, header: Any) -> dict[str, Any]:
    kind = getattr(transaction, "type_id", None) or 0
    shown: dict[str, Any] = {
        "hash": to_hex(transaction.hash),
        "blockHash": to_hex(header.hash),
        "blockNumber": hex(header.block_number),
        "transactionIndex": "0x0",
        "from": to_hex(transaction.sender),
        "to": to_hex(transaction.to) if transaction.to else None,
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas),
        "value": hex(transaction.value),
        "input": to_hex(transaction.data),
        "type": hex(kind),
        "chainId": hex(CHAIN_ID),
        "v": hex(transaction.y_parity),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
        "gasPrice": hex(header.base_fee_per_gas if kind == 2 else transaction.gas_price),
    }
    if kind == 2:
        shown["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
        shown["accessList"] = []
    return shown


def _failure(ident: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": ident, "error": error}


def _bytes(text: str, size: int | None = None) -> bytes:
    data = bytes.fromhex(text.removeprefix("0x"))
    if size is not None and len(data) != size:
        raise ValueError(f"expected {size} bytes, got {len(data)}")
    return data
