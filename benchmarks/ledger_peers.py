"""The chain that web3's users test on, with our contract: run by benchmarks.ledger in its own environment.

Prints as JSON what one `append` takes on web3's `EthereumTesterProvider`, from sending its signed bytes to
its receipt, and what one event of a query for all of them takes: medians in seconds. Nothing else is timed:
the transactions are signed beforehand, and the provider is asked directly.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before the first import, or the peer would compute without its compiled libraries.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
os.environ.setdefault("ECC_BACKEND_CLASS", "eth_keys.backends.CoinCurveECCBackend")
warnings.simplefilter("ignore")

from eth_account import Account  # noqa: E402
from web3 import EthereumTesterProvider, Web3  # noqa: E402
from web3.types import RPCEndpoint  # noqa: E402

KIND = 1
GAS, DEPLOY_GAS = 300_000, 3_000_000
FEE_WEI = 10**10
QUERIES = 3


class Peer:
    """The provider with the audit log deployed on it, and a session opened.

    Args:
        artifact: The compiled contract.
    """

    def __init__(self, artifact: dict[str, Any]) -> None:
        self._provider = EthereumTesterProvider()
        tester: Any = self._provider.ethereum_tester
        key = tester.backend.account_keys[0]
        self._account = Account.from_key(key.to_bytes())
        self._chain_id = int(self.ask("eth_chainId"))
        self._nonce = 0
        self._selectors = {
            signature.split("(")[0]: bytes.fromhex(selector)
            for signature, selector in artifact["selectors"].items()
        }
        self._contract: str | None = None
        self._session = hashlib.sha256(b"bench").digest()
        deployed = self.send(self._sign(bytes.fromhex(artifact["bytecode"]), DEPLOY_GAS))
        self._contract = Web3.to_checksum_address(deployed["contract_address"])
        self.send(self._sign(self._selectors["open"] + self._session, GAS))

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of one call."""
        answer = self._provider.make_request(RPCEndpoint(method), list(params))
        if answer.get("error"):
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def send(self, raw: str) -> Any:
        """Send a signed transaction, and return its receipt."""
        receipt = self.ask("eth_getTransactionReceipt", self.ask("eth_sendRawTransaction", raw))
        if receipt["status"] not in (1, "0x1"):
            raise RuntimeError("the contract refused it")
        return receipt

    def appends(self, count: int) -> Iterator[str]:
        """Return so many signed appends, each to be sent after the one before."""
        head = bytes(32)
        for seq in range(1, count + 1):
            digest = hashlib.sha256(seq.to_bytes(8)).digest()
            words = self._session, seq.to_bytes(32), head, digest, KIND.to_bytes(32)
            yield self._sign(self._selectors["append"] + b"".join(words), GAS)
            head = bytes(Web3.keccak(b"".join(words)))

    def events(self) -> list[Any]:
        """Return everything that the contract logged."""
        query = {"from_block": 0, "to_block": "latest", "address": self._contract}
        found: list[Any] = self.ask("eth_getLogs", query)
        return found

    def _sign(self, data: bytes, gas: int) -> str:
        fields = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": self._nonce,
            "maxFeePerGas": FEE_WEI,
            "maxPriorityFeePerGas": 1,
            "gas": gas,
            "value": 0,
            "data": data,
        }
        if self._contract is not None:
            fields["to"] = self._contract
        self._nonce += 1
        return "0x" + bytes(self._account.sign_transaction(fields).raw_transaction).hex()


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure the peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact", type=Path, help="the compiled contract")
    parser.add_argument("count", type=int, help="transactions to send")
    options = parser.parse_args()
    peer = Peer(json.loads(options.artifact.read_text()))
    signed = list(peer.appends(options.count))
    appended = [seconds(lambda raw=raw: peer.send(raw)) for raw in signed]  # type: ignore[misc]
    queried = statistics.median(seconds(peer.events) for _ in range(QUERIES))
    # One more for the event of the session's opening.
    if len(peer.events()) != options.count + 1:
        raise RuntimeError("events are missing")
    print(json.dumps({"append": statistics.median(appended), "event": queried / (options.count + 1)}))


if __name__ == "__main__":
    main()
