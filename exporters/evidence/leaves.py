"""Makes the leaves of rows, each with a nonce of its own."""

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporters.evidence.canonical import canonical
from exporters.evidence.forms import FORMS, newest
from exporters.evidence.leaf import NONCE_BYTES, Leaf, mac
from exporters.record import Sendable


class Sealed(NamedTuple):
    """A leaf and the nonce that opens it."""

    leaf: Leaf
    nonce: bytes


def sealed(kind: str, rows: Iterable[Sendable]) -> Sequence[Sealed]:
    """The leaves of `rows`, in their order.  Raises what `canonical` raises."""
    rows = list(rows)
    random = secrets.token_bytes(NONCE_BYTES * len(rows))  # one system call for all
    made = []
    for at, row in enumerate(rows):
        nonce = random[at * NONCE_BYTES : (at + 1) * NONCE_BYTES]
        made.append(Sealed(leaf_of(kind, row, nonce), nonce))
    return made


def leaf_of(kind: str, row: Sendable, nonce: bytes) -> Leaf:
    """The leaf of one row under `nonce`."""
    form = getattr(row, "schema_version", newest(kind)) if kind == "call" else newest(kind)
    text, content = canonical(kind, form, row)
    return Leaf(
        kind=kind,
        form=form,
        ts_us=row.ts_us,
        call_id=row.call_id.lower(),
        source=row.source,
        revision=getattr(row, "revision", 0),
        row_mac=mac(nonce, text),
        content_mac=mac(nonce, content) if FORMS[kind][form].content else "",
    )
