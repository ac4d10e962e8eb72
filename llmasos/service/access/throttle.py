"""Throttling: an address that keeps failing to show a valid key has to wait."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

from llmasos.service.access.bucket import Bucket

_FAILURES_PER_MINUTE = 20
_MOST_ADDRESSES = 10_000
_SITE_BITS = 64


class Throttle:
    """Counts failures by address; the addresses of one IPv6 network count as one.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def failed(self, address: str) -> float:
        """Count a failure, and return the seconds to wait; 0 when it was not one too many."""
        site = _site(address)
        bucket = self._buckets.pop(site, None) or Bucket(_FAILURES_PER_MINUTE, self._clock)
        self._buckets[site] = bucket
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        wait = bucket.wait()
        if not wait:
            bucket.take(1)
        return wait


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(found), _SITE_BITS), strict=False))
    return str(found)
