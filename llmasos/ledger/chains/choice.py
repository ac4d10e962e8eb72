"""The chain that the settings choose."""

from __future__ import annotations

from pathlib import Path

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError
from llmasos.ledger.chains.account import Account, account_in, account_of
from llmasos.ledger.chains.evm import EvmChain
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
    account = _account(settings)
    return EvmChain(
        RpcClient(transport_to(settings.url)),
        lambda: account,
        name="rpc",
        chain_id=settings.chain_id,
        max_fee_gwei=settings.max_fee_gwei,
    )


def _account(settings: LedgerSettings) -> Account:
    key = settings.key.get_secret_value()
    if bool(key) == (settings.key_file is not None):
        raise ConfigError(
            "The chain `rpc` needs the private key of an account, from one place"
            + ("; there are two." if key else "."),
            hint="Set either LLMASOS_LEDGER__KEY_FILE, which only you can read, or LLMASOS_LEDGER__KEY.",
        )
    return account_in(settings.key_file) if settings.key_file is not None else account_of(key)
