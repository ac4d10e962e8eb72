"""Blocks, transactions, receipts and logs as JSON-RPC shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmasos.ledger._contract import created_address
from llmasos.ledger.node.evm import CHAIN_ID, Evm, to_hex
from llmasos.ledger.node.receipt import decode_receipt

if TYPE_CHECKING:
    from llmasos.ledger.node.store import Log, Mined

FEE_MARKET = 2


def block(evm: Evm, mined: Mined, full: bool) -> dict[str, Any]:
    """Return a block with the hashes of its transactions, or with the transactions themselves."""
    header = evm.header_from(mined.header)
    transactions: list[Any] = []
    if mined.tx_hash is not None:
        transactions = [transaction(evm, mined) if full else to_hex(mined.tx_hash)]
    return {
        "number": hex(header.block_number),
        "hash": to_hex(mined.hash),
        "parentHash": to_hex(header.parent_hash),
        "nonce": to_hex(header.nonce),
        "sha3Uncles": to_hex(header.uncles_hash),
        "logsBloom": to_hex(header.bloom),
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
        "size": hex(len(mined.header) + len(mined.tx or b"")),
        "uncles": [],
        "withdrawals": [],
        "transactions": transactions,
    }


def transaction(evm: Evm, mined: Mined) -> dict[str, Any] | None:
    """Return a block's transaction; None for the first block, which has none."""
    if mined.tx is None or mined.tx_hash is None:
        return None
    header = evm.header_from(mined.header)
    found: Any = evm.decode(mined.tx)
    kind = getattr(found, "type_id", None) or 0
    shown: dict[str, Any] = {
        "hash": to_hex(mined.tx_hash),
        "blockHash": to_hex(mined.hash),
        "blockNumber": hex(mined.number),
        "transactionIndex": "0x0",
        "from": to_hex(found.sender),
        "to": to_hex(found.to) if found.to else None,
        "nonce": hex(found.nonce),
        "gas": hex(found.gas),
        "value": hex(found.value),
        "input": to_hex(found.data),
        "type": hex(kind),
        "v": hex(found.y_parity if kind else found.v),
        "r": hex(found.r),
        "s": hex(found.s),
        "gasPrice": hex(_price(found, header)),
    }
    if kind or found.chain_id is not None:
        shown["chainId"] = hex(CHAIN_ID)
    if kind:
        shown["yParity"] = shown["v"]
        shown["accessList"] = [
            {"address": to_hex(address), "storageKeys": [to_hex(key.to_bytes(32, "big")) for key in keys]}
            for address, keys in found.access_list
        ]
    if kind == FEE_MARKET:
        shown["maxFeePerGas"] = hex(found.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = hex(found.max_priority_fee_per_gas)
    return shown


def receipt(evm: Evm, mined: Mined) -> dict[str, Any] | None:
    """Return what became of a block's transaction; None for the first block, which has none."""
    if mined.tx is None or mined.tx_hash is None or mined.receipt is None:
        return None
    header, found = evm.header_from(mined.header), evm.decode(mined.tx)
    made = decode_receipt(mined.receipt)
    sender = to_hex(found.sender)
    return {
        "transactionHash": to_hex(mined.tx_hash),
        "transactionIndex": "0x0",
        "blockHash": to_hex(mined.hash),
        "blockNumber": hex(mined.number),
        "from": sender,
        "to": to_hex(found.to) if found.to else None,
        "cumulativeGasUsed": hex(made.gas_used),
        "gasUsed": hex(made.gas_used),
        "effectiveGasPrice": hex(_price(found, header)),
        "contractAddress": None if found.to else created_address(sender, found.nonce),
        "logs": [log(item) for item in evm.store.logs(mined.number, mined.number)],
        "logsBloom": to_hex(made.bloom),
        "type": hex(getattr(found, "type_id", None) or 0),
        "status": "0x1" if made.ok else "0x0",
    }


def log(event: Log) -> dict[str, Any]:
    """Return one event."""
    return {
        "address": "0x" + event.address.hex(),
        "topics": ["0x" + topic.hex() for topic in event.topics],
        "data": "0x" + event.data.hex(),
        "blockNumber": hex(event.block),
        "blockHash": "0x" + event.block_hash.hex(),
        "transactionHash": "0x" + event.tx_hash.hex(),
        "transactionIndex": "0x0",
        "logIndex": hex(event.position),
        "removed": False,
    }


def _price(transaction: Any, header: Any) -> int:
    """Return what one unit of gas cost (EIP-1559)."""
    if getattr(transaction, "type_id", None) != FEE_MARKET:
        return int(transaction.gas_price)
    return int(
        min(transaction.max_fee_per_gas, header.base_fee_per_gas + transaction.max_priority_fee_per_gas)
    )
