"""Limits how often an address may present a wrong token.  No I/O: the caller brings the time."""

import ipaddress
from collections import OrderedDict, deque

FAILURES_MAX = 20  # wrong tokens of one address within FAILURES_S; then 429 for what is left of it
FAILURES_S = 60.0
ADDRESSES_MAX = 1_000  # with failures that are remembered; the oldest are forgotten
_IPV6_PREFIX = 64  # one subscriber has all addresses below it


class Failures:
    """The failures of each address."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, address: str, now: float) -> None:
        """Note a wrong token."""
        key = _group(address)
        self._failed.setdefault(key, deque(maxlen=FAILURES_MAX)).append(now)
        self._failed.move_to_end(key)
        while len(self._failed) > ADDRESSES_MAX:
            self._failed.popitem(last=False)

    def wait_s(self, address: str, now: float) -> float:
        """How long no token of this address is looked at; 0 if it is."""
        failed = self._failed.get(_group(address))
        if failed is None or len(failed) < FAILURES_MAX:
            return 0.0
        return max(0.0, failed[0] + FAILURES_S - now)


def _group(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network(f"{ip}/{_IPV6_PREFIX}", strict=False))
