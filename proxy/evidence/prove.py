"""Proves that a call's rows are in the tree, and that a tree has all leaves that it once had.

A proof reads every leaf once, and keeps what it needs of them.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec

from exporters.evidence.checking import LeafLine, Line, RowLine
from exporters.evidence.head import Head
from exporters.evidence.tree import Roots, grown, siblings
from proxy.evidence.stream import Answers, Reading, leaf_numbers, sealed_lines

NONE: frozenset[int] = frozenset()


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf's inclusion.  `nonce`, `row` and `content` are empty if they were erased."""

    number: int
    entry: str  # the JSON that is hashed
    path: Sequence[str]  # hex, from the leaf up
    nonce: str = ""
    row: str = ""
    content: str = ""


class CallProof(msgspec.Struct, frozen=True, kw_only=True):
    """All leaves about one call, under one head."""

    call_id: str
    head: Head
    leaves: Sequence[Proof]


async def prove(store: Answers, head: Head, call_id: str) -> CallProof | None:
    """The proof; None if the tree has no leaf of this call below the head's size.

    Raises TransientError, or ValueError if leaves are missing.
    """
    numbers = [
        number for number in await leaf_numbers(store, head.tree, call_id) if number < head.size
    ]
    if not numbers:
        return None
    to_head = {number: siblings(number, head.size) for number in numbers}
    roots = Roots(one for path in to_head.values() for one in path)
    what = Reading(tree=head.tree, size=head.size, numbers=frozenset(numbers))
    found: dict[int, tuple[LeafLine, RowLine | None]] = {}
    async for line in _lines(store, what, roots):
        if isinstance(line, LeafLine):
            found[line.number] = line, None
        elif line.number is not None:
            found[line.number] = found[line.number][0], line
    proofs = [
        _proof(*found[number], [roots.found[one] for one in to_head[number]]) for number in numbers
    ]
    return CallProof(call_id=call_id, head=head, leaves=proofs)


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """That the tree of `head` has all leaves that it had under `first`, in their places.

    Who asks knows `first`; it is None until they add it.
    """

    first: Head | None = None
    head: Head
    path: Sequence[str]  # hex, as in RFC 9162, section 2.1.4


async def prove_extension(store: Answers, size: int, head: Head) -> list[str]:
    """The path of `Extension` from a tree of `size` leaves.

    Raises TransientError, or ValueError if leaves are missing or the head's tree is smaller.
    """
    ranges = grown(size, head.size)
    roots = Roots(ranges)
    async for _ in _lines(store, Reading(tree=head.tree, size=head.size, numbers=NONE), roots):
        pass
    return [roots.found[one].hex() for one in ranges]


async def _lines(store: Answers, what: Reading, roots: Roots) -> AsyncIterator[Line]:
    """The leaves that `what` names, and their rows; every leaf goes into `roots`."""
    async for lines in sealed_lines(store, what):
        for line in lines:
            if isinstance(line, LeafLine):
                if line.number != roots.size:
                    raise ValueError(f"leaf {roots.size} is missing; see taximeter audit verify")
                roots.add(line.leaf.hash())
            if what.numbers is not None and line.number in what.numbers:
                yield line
    if roots.size < what.size:
        raise ValueError(f"leaf {roots.size} is missing; see taximeter audit verify")


def _proof(line: LeafLine, row: RowLine | None, path: Sequence[bytes]) -> Proof:
    return Proof(
        number=line.number,
        entry=line.leaf.entry().decode(),
        path=[hash.hex() for hash in path],
        nonce=line.nonce if row else "",
        row=row.row if row else "",
        content=row.content if row else "",
    )
