"""Which hosts a sandbox may reach: names as a person writes them."""

from __future__ import annotations

from collections.abc import Iterable

from llmasos.errors import ConfigError
from llmasos.net.hosts import Host, HostError, as_ascii, parse_host

_PORTS = (80, 443)


class AllowedHosts:
    """The hosts that a person has named.

    Args:
        hosts: Names such as `example.org`, `*.example.net` (every name below it, not itself) or `host:8080`.
            Without a port, 80 and 443 are meant.

    Raises:
        ConfigError: One of them cannot be read, or opens too much.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._rules = [rule for text in hosts for rule in _rules(text)]

    def allow(self, host: Host) -> bool:
        """Tell whether a host may be asked for, by its name."""
        return any(
            port == host.port and (host.name.endswith(name) if name.startswith(".") else host.name == name)
            for name, port in self._rules
        )


def _rules(text: str) -> list[tuple[str, int]]:
    """Return a rule as names and ports; a name that starts with a dot stands for all names below it."""
    wild = text.startswith("*.")
    name = text.removeprefix("*.").strip()
    try:
        bare, colon, port = name.partition(":")
        host = parse_host(f"{as_ascii(bare)}{colon}{port}", 0)
        if wild and (host.address is not None or "." not in host.name):
            raise HostError("it opens too much")
    except HostError as error:
        raise ConfigError(
            f"The host {text!r} cannot be allowed: {error}.",
            hint="Write sandbox_hosts as names such as example.org, *.example.net or example.org:8080.",
        ) from None
    return [("." * wild + host.name, port) for port in ([host.port] if host.port else _PORTS)]
