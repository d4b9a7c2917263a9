"""SQL of the trace and span of a call, which its row leaves out where they follow from its call id.

As `exporters.otel.trace.own_ids` has them.  The columns `trace` and `span` of table `calls` are the
same for others' SQL; ours writes the expression, which every server finds in the index.
"""

from collections.abc import Iterable

_OWN = "lower(hex(substring(SHA256(toString(t.call_id)), {}, {})))"
OWN_TRACE = _OWN.format(1, 16)
TRACE = f"if(empty(t.trace_id), {OWN_TRACE}, t.trace_id)"
SPAN = f"if(empty(t.span_id), {_OWN.format(17, 8)}, t.span_id)"
_REAL = {"trace_id": TRACE, "span_id": SPAN}


def real(names: Iterable[str]) -> str:
    """These columns of a table `t`, to select: with the real ids."""
    return ", ".join(f"{_REAL.get(name, f't.{name}')} AS {name}" for name in names)
