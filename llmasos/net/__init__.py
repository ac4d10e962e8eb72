"""The network as everything here that fetches sees it: one resolver, and one check of addresses."""

from llmasos.net.addresses import Address, is_open, is_own, is_public
from llmasos.net.hosts import Host, HostError, parse_host
from llmasos.net.reach import OutOfReach, Reach, Resolver, check_addresses, resolve

__all__ = [
    "Address",
    "Host",
    "HostError",
    "OutOfReach",
    "Reach",
    "Resolver",
    "check_addresses",
    "is_open",
    "is_own",
    "is_public",
    "parse_host",
    "resolve",
]
