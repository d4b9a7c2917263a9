"""What a check of all trees found, as one document.  Takes lines and heads; no I/O."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from exporters.evidence.checking import Check, Erasure, Finding, LeafLine, RowLine
from exporters.evidence.head import Head
from proxy.evidence.export import AnyLine, EndLine, TreeLine

WHAT = ("altered", "missing", "added")


class BadHead(msgspec.Struct, frozen=True, kw_only=True):
    """A head that does not fit the leaves."""

    tree: str
    size: int
    time: str
    reason: str


class Verdict(msgspec.Struct, kw_only=True):
    """The outcome.  `unheaded`: leaves after the newest head, not yet protected from outside."""

    ok: bool = True
    tree: str = ""
    size: int = 0  # of that tree, which is the one that grows
    leaves: int = 0  # of all trees
    root: str = ""
    heads: int = 0  # that fit
    checked: int = 0
    erased: int = 0
    unchecked: int = 0  # older than --since
    unheaded: int = 0
    altered: list[Finding] = []
    missing: list[Finding] = []
    added: list[Finding] = []
    unnamed: int = 0
    bad_heads: list[BadHead] = []
    damaged: list[str] = []

    def findings(self) -> list[Finding]:
        """All of them."""
        return [*self.altered, *self.missing, *self.added]


def verdict(
    lines: Iterable[AnyLine],
    heads: Sequence[Head],
    damaged: Sequence[str] = (),
    waiting: Iterable[Erasure] = (),
) -> Verdict:
    """Check every tree; `damaged` may grow while `lines` are read.

    `waiting` are deletions whose entries are on their way to the store.
    """
    found = Verdict()
    check: Check | None = None
    checks: list[Check] = []
    is_whole = False
    for kind, group in groupby(lines, type):
        for line in group:
            if isinstance(line, TreeLine):
                of_it = [one for one in heads if one.tree == line.tree]
                check = Check(line.tree, of_it, size=line.size)
                checks.append(check)
            elif isinstance(line, LeafLine | RowLine) and check is not None:
                check.feed((line,))
        is_whole = kind is EndLine
    for each in checks:
        each.finish()
    told = {(one.tree, one.deletion): one for one in waiting}
    told |= {key: erasure for each in checks for key, erasure in each.told.items()}
    for each in checks:
        each.finish_deletions(told)
        _add(found, each)
    trees = {each.tree for each in checks}
    for head in heads:
        if head.tree not in trees:
            reason = head.mistake() or "the store has no leaf of its tree"
            found.bad_heads.append(_bad(head, reason))
    found.damaged = list(damaged)
    if not is_whole:
        found.damaged.append("the end is missing")
    found.ok = not (found.findings() or found.bad_heads or found.damaged or found.unnamed)
    return found


def _add(found: Verdict, check: Check) -> None:
    """Add what one tree had; the last one is the tree that grows."""
    found.tree, found.size, found.root = check.tree, check.size, check.root.hex()
    found.leaves += check.size
    found.heads += check.good_heads
    found.checked += check.checked
    found.erased += check.erased
    found.unchecked += check.unchecked
    found.unheaded = check.size - check.covered
    for what in WHAT:
        getattr(found, what).extend(one for one in check.findings if one.what == what)
    found.unnamed += check.unnamed
    found.bad_heads += [_bad(head, reason) for head, reason in check.bad_heads]


def _bad(head: Head, reason: str) -> BadHead:
    return BadHead(tree=head.tree, size=head.size, time=head.time.isoformat(), reason=reason)
