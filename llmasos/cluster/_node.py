"""The process of a node: Ray's own command, held to the address that it is given."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Run `ray` with this process's arguments."""
    services: Any = import_module("ray._private.services")
    scripts: Any = import_module("ray.scripts.scripts")
    # Ray would put an address that others can reach in place of a loopback one, and listen there.
    services.resolve_ip_for_localhost = lambda host: host
    # Nor is there to be a second door on a port of its own.
    scripts.get_ray_client_dependency_error = lambda: "it is not wanted"
    sys.exit(scripts.main())


if __name__ == "__main__":
    main()
