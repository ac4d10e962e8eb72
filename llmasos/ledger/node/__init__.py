"""The embedded chain's own process: py-evm on one SQLite file behind JSON-RPC."""
