"""Reads documents as a dialect does: what the tests of dialects have in common."""

from collections.abc import Mapping
from typing import Any

from pricing.usage import Meter
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Reading

NO_REQUEST: Mapping[str, Any] = {}


def read(
    *documents: object,
    family: str,
    path: str,
    method: str = "POST",
    request: object = NO_REQUEST,
    stream: bool = False,
) -> Reading:
    """The reading of a call whose response is `documents`, the n-th at n ns."""
    endpoint = find(method, path, family)
    ask = Ask(method=method, path=path, request=request, stream=stream)
    reader = endpoint.reader(ask, endpoint)
    for number, document in enumerate(documents):
        reader.read(document, number)
    return reader.close()


def quantities(reading: Reading, part: int = 0) -> dict[str, int]:
    """Quantities of a part by the meter's name, but for the request itself."""
    found = reading.parts[part].usage.quantities
    return {meter.value: int(n) for meter, n in found.items() if meter is not Meter.REQUESTS}
