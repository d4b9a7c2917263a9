"""Proves that a call's rows are in the tree: their leaves, and the paths to a signed head."""

from collections.abc import Sequence

import msgspec

from exporters.evidence.checking import LeafLine, RowLine
from exporters.evidence.head import Head
from exporters.evidence.tree import paths
from proxy.evidence.stream import Answers, Reading, leaf_numbers, sealed_lines


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

    Reads every leaf once.  Raises TransientError, or ValueError if leaves are missing.
    """
    numbers = [
        number for number in await leaf_numbers(store, head.tree, call_id) if number < head.size
    ]
    if not numbers:
        return None
    wanted = frozenset(numbers)
    found: dict[int, tuple[LeafLine, RowLine | None]] = {}
    hashes: list[bytes] = []
    async for lines in sealed_lines(store, Reading(tree=head.tree, size=head.size, numbers=wanted)):
        for line in lines:
            if isinstance(line, LeafLine):
                if line.number != len(hashes):
                    raise ValueError(f"leaf {len(hashes)} is missing; see taximeter audit verify")
                hashes.append(line.leaf.hash())
                if line.number in wanted:
                    found[line.number] = line, None
            elif line.number in wanted:
                found[line.number] = found[line.number][0], line
    to_head = paths(numbers, head.size, hashes)
    proofs = [_proof(*found[number], to_head[number]) for number in numbers]
    return CallProof(call_id=call_id, head=head, leaves=proofs)


def _proof(line: LeafLine, row: RowLine | None, path: Sequence[bytes]) -> Proof:
    return Proof(
        number=line.number,
        entry=line.leaf.entry().decode(),
        path=[hash.hex() for hash in path],
        nonce=line.nonce if row else "",
        row=row.row if row else "",
        content=row.content if row else "",
    )
