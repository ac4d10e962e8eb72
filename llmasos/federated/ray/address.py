"""Which cluster a run uses: the one of the settings, that of this machine, or one of its own."""

from __future__ import annotations

import os
from importlib.util import find_spec

from llmasos.federated.port import FederatedError
from llmasos.paths import data_dir

_SETTING = "LLMASOS_MODELS__CLUSTER"
# After this long without its head Ray ends a program that is in the cluster.
_PATIENCE = {"RAY_gcs_rpc_server_reconnect_timeout_s": "15"}
_SHOWN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def variables(configured: str) -> dict[str, str]:
    """Return what tells a run's program which cluster there is, and where its token lies.

    Args:
        configured: The address in the settings; empty for none.
    """
    shown = {name: os.environ[name] for name in _SHOWN if name in os.environ}
    return {**_PATIENCE, **shown, _SETTING: configured, "LLMASOS_DATA_DIR": str(data_dir())}


def address() -> str:
    """Return the address of the cluster that is used; empty for one of the run's own.

    Raises:
        FederatedError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise FederatedError(
            "Ray is not installed, which runs clients on a cluster.",
            hint="Install it with `pip install 'llmasos[cluster,federated]'`, or use the backend local.",
        )
    if configured := os.environ.get(_SETTING):
        return configured
    from llmasos.cluster.records import nodes

    here = [node for node in nodes() if node.alive]
    return here[0].address if here else ""
