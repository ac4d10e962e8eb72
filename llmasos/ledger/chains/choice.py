"""The chain that the settings choose."""

from __future__ import annotations

from pathlib import Path

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError
from llmasos.ledger.chains.account import account_of
from llmasos.ledger.chains.evm import EvmChain
from llmasos.ledger.chains.keys import GivenKey, KeyFile, Keys
from llmasos.ledger.chains.port import Chain
from llmasos.ledger.chains.rpc import RpcClient
from llmasos.ledger.chains.transport import transport_to


def choose_chain(settings: LedgerSettings, data_dir: Path) -> Chain:
    """Return the chain that the settings choose; it is reached by `connect`.

    Args:
        settings: The ledger's settings.
        data_dir: Where the chains of our own keep their files.

    Raises:
        ConfigError: A setting that the chain needs is missing or wrong.
        LedgerError: The key cannot be read.
    """
    if settings.chain == "embedded":
        from llmasos.ledger.chains.embedded import EmbeddedChain

        return EmbeddedChain(data_dir)
    if settings.chain == "anvil":
        from llmasos.ledger.chains.anvil import AnvilChain

        return AnvilChain(data_dir)
    if not settings.url:
        raise ConfigError(
            "The chain `rpc` needs the URL of a node.",
            hint="Set LLMASOS_LEDGER__URL, for example to http://127.0.0.1:8545.",
        )
    if not settings.chain_id:
        raise ConfigError(
            "The chain `rpc` needs the id of the chain, so that nothing is sent to another one.",
            hint="Set LLMASOS_LEDGER__CHAIN_ID; the documentation of the chain names it.",
        )
    return _remote(settings.url, settings.chain_id, _keys(settings), settings)


def anchor_chain(settings: LedgerSettings, url: str, chain_id: int) -> Chain:
    """Return another chain, on which the ledger is anchored.

    Raises:
        ConfigError: No key is given for its account.
        LedgerError: The key cannot be read.
    """
    key, file = settings.anchor_key.get_secret_value(), settings.anchor_key_file
    return _remote(url, chain_id, _one_key(key, file, "An anchor on a chain", "ANCHOR_KEY"), settings)


def _remote(url: str, chain_id: int, keys: Keys, settings: LedgerSettings) -> Chain:
    client = RpcClient(transport_to(url))
    return EvmChain(client, keys, name="rpc", chain_id=chain_id, max_fee_gwei=settings.max_fee_gwei)


def _keys(settings: LedgerSettings) -> Keys:
    return _one_key(settings.key.get_secret_value(), settings.key_file, "The chain `rpc`", "KEY")


def _one_key(key: str, file: Path | None, what: str, name: str) -> Keys:
    if bool(key) == (file is not None):
        raise ConfigError(
            f"{what} needs the private key of an account, from one place"
            + ("; there are two." if key else "."),
            hint=f"Set either LLMASOS_LEDGER__{name}_FILE, which only you can read, "
            f"or LLMASOS_LEDGER__{name}.",
        )
    if file is None:
        return GivenKey(account_of(key))
    keys = KeyFile(file)
    keys.current()
    return keys
