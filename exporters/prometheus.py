"""Metrics in the Prometheus text format, version 0.0.4.  Pure.

Names are the ones the OpenTelemetry Collector would give, so that one dashboard serves both:
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
Format: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from exporters.series import Distribution, Family, Labels, Value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNITS = {"s": "seconds", "By": "bytes", "1": "ratio"}  # others unchanged; {annotations} left out
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def render(families: Iterable[Family]) -> bytes:
    """The whole page, without the families that have no series."""
    lines = (line for family in families if family.points for line in _family(family))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def name(family: Family) -> str:
    """The counter `taximeter.cost` with unit USD becomes `taximeter_cost_USD_total`."""
    unit = "" if family.unit.startswith("{") else UNITS.get(family.unit, family.unit)
    parts = [family.name, unit, "total" if family.kind == "counter" else ""]
    return _clean("_".join(filter(None, parts)))


def _family(family: Family) -> Iterator[str]:
    own = name(family)
    yield f"# HELP {own} {family.help.translate(_HELP)}"
    yield f"# TYPE {own} {family.kind}"
    for labels, value in family.points:
        if isinstance(value, Distribution):
            bounds = [*map(_number, value.bounds), "+Inf"]
            for bound, count in zip(bounds, value.cumulative(), strict=True):
                yield f"{own}_bucket{_labels((*labels, ('le', bound)))} {count}"
            yield f"{own}_sum{_labels(labels)} {_number(value.sum)}"
            yield f"{own}_count{_labels(labels)} {value.count}"
        else:
            yield f"{own}{_labels(labels)} {_number(value)}"


def _labels(labels: Labels) -> str:
    pairs = (f'{_clean(key)}="{str(value).translate(_LABEL)}"' for key, value in labels)
    text = ",".join(pairs)
    return f"{{{text}}}" if text else ""


def _clean(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text)


def _number(value: Value) -> str:
    """All digits of a decimal: rounding is left to the reader."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
