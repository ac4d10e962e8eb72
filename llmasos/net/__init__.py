"""The network as everything here that fetches sees it: one resolver, and one check of addresses."""

from llmasos.net.addresses import Address, is_open, is_own, is_public
from llmasos.net.fetch import Caps, Fetcher, FetchError, Page
from llmasos.net.hosts import Host, HostError, parse_host
from llmasos.net.reach import OutOfReach, Reach, Resolver, check_addresses, resolve

__all__ = [
    "Address",
    "Caps",
    "FetchError",
    "Fetcher",
    "Host",
    "HostError",
    "OutOfReach",
    "Page",
    "Reach",
    "Resolver",
    "check_addresses",
    "is_open",
    "is_own",
    "is_public",
    "parse_host",
    "resolve",
]
