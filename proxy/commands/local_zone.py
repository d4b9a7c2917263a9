"""The name of this machine's time zone, for commands; the API answers in UTC by default."""

import os
from pathlib import Path

from pricing.window import zones

LOCALTIME = Path("/etc/localtime")
UTC_NAME = "UTC"


def local_zone(localtime: Path = LOCALTIME) -> str:
    """An IANA name: of $TZ, else of the zone file that the system links to; else UTC."""
    if given := os.environ.get("TZ", "").removeprefix(":"):
        return given if given in zones() else UTC_NAME
    try:
        _, found, name = str(localtime.resolve()).partition("/zoneinfo/")
    except OSError:
        return UTC_NAME
    return name if found and name in zones() else UTC_NAME
