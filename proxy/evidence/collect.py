"""All evidence of a store as lines: each tree, then the rows that are in none."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from proxy.evidence.export import AnyLine, EndLine, TreeLine
from proxy.evidence.stream import Answers, Reading, added_lines, sealed_lines, trees


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to collect.

    `current` is the tree that grows; others are of other nodes, or were begun earlier.  Rows from
    `since_us` on; rows from `began_us` on should have leaves.
    """

    current: str
    size: int  # leaves that it has at least
    began_us: int
    since_us: int = 0
    node: str = ""


async def collected(
    store: Answers, scope: Scope, settle: Callable[[], Awaitable[None]]
) -> AsyncIterator[Sequence[AnyLine]]:
    """The lines; the tree that grows comes last.  Raises TransientError."""
    stored = await trees(store)
    names = [*sorted(stored.keys() - {scope.current}), scope.current]
    for tree in names:
        size = stored.get(tree, 0)
        least = scope.size if tree == scope.current else 0
        yield [TreeLine(tree=tree, size=max(size, least), is_current=tree == scope.current)]
        reading = Reading(tree=tree, size=size, since_us=scope.since_us)
        async for lines in sealed_lines(store, reading):
            yield lines
    first = max(scope.began_us, scope.since_us)
    async for added in added_lines(store, first, scope.node, settle):
        yield added
    yield [EndLine(trees=len(names))]
