"""Whether rows are what they were: leaves, rows and heads in, findings out.

Leaves come in the order of their numbers, each followed by the rows found for it.  Memory does
not grow with their number, only with that of findings and deletions.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from exporters.evidence.forms import FORMS
from exporters.evidence.head import Head
from exporters.evidence.leaf import Leaf, mac
from exporters.evidence.tree import Tree

FINDINGS_MAX = 10_000  # named; those beyond are counted
DELETED = "erasure"  # member of a deletion's audit entry that says what was erased


class LeafLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="leaf"):
    """A leaf with its number, its nonce in hex and the deletion that erased its row; "" is none."""

    number: int
    leaf: Leaf
    nonce: str = ""
    deletion: str = ""
    is_checked: bool = True  # False: its row was not asked for


class RowLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="row"):
    """The canonical texts of a row.  `number` is None for a row without a leaf."""

    number: int | None
    kind: str
    call_id: str
    source: str = ""
    revision: int = 0
    row: str = ""
    content: str = ""


Line = LeafLine | RowLine


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that is not as it was."""

    what: str  # altered | missing | added
    kind: str
    call_id: str
    source: str = ""
    number: int | None = None
    reason: str


class Erasure(msgspec.Struct, frozen=True):
    """What a deletion says it erased of one tree: how many leaves, and the digest of them."""

    deletion: str
    tree: str
    leaves: int
    digest: str


class Check:
    """Checks the leaves of one tree, which should have at least `size`, against rows and heads."""

    def __init__(self, tree: str, heads: Iterable[Head], *, size: int = 0) -> None:
        self.tree = tree
        self._size = size
        self.findings: list[Finding] = []
        self.unnamed = 0  # findings beyond FINDINGS_MAX
        self.checked = self.erased = self.pending = self.unchecked = 0
        self.bad_heads: list[tuple[Head, str]] = []
        self.good_heads = self.covered = 0  # heads that fit, and leaves below the largest of them
        self._tree = Tree()
        self._whole = True  # no leaf was left out so far
        self._heads = sorted((one for one in heads), key=lambda one: one.size)
        self._at = 0
        self._now: LeafLine | None = None  # its rows may still come
        self._found = False
        self._failed: dict[tuple[str, str, str, int], Finding] = {}
        self._erasing: dict[str, tuple[int, hashlib._Hash]] = {}
        self.told: dict[tuple[str, str], Erasure] = {}  # by tree and deletion

    # -- input ------------------------------------------------------------------------------------

    def feed(self, lines: Iterable[Line]) -> None:
        """Check more lines, in order."""
        for line in lines:
            if isinstance(line, LeafLine):
                self._close()
                self._open(line)
            elif self._now is not None and line.number == self._now.number:
                self._row(self._now, line)
            else:
                self._note("added", line, "no leaf commits to it")

    def finish(self) -> None:
        """All lines were fed."""
        self._close()
        self._past_heads()
        self._gap(self._tree.size, self._size)
        for head in self._heads[self._at :]:
            self._bad(head, f"it has {head.size} leaves, of which {self._tree.size} are there")
        for finding in self._failed.values():
            self._add(finding)
        self._failed.clear()

    def finish_deletions(self, told: Mapping[tuple[str, str], Erasure]) -> None:
        """Compare what was listed as deleted with what entries say; `told` is of all trees."""
        for deletion, (count, digest) in self._erasing.items():
            entry = told.get((self.tree, deletion))
            if entry is None or (entry.leaves, entry.digest) != (count, digest.hexdigest()):
                listed = "no entry" if entry is None else f"an entry about {entry.leaves} rows"
                reason = f"{count} rows are listed as deleted by it, and there is {listed}"
                self._add(Finding(what="altered", kind="deletion", call_id=deletion, reason=reason))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """The root of all leaves."""
        return self._tree.root()

    @property
    def is_good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and not self.unnamed and not self.bad_heads

    # -- leaves -----------------------------------------------------------------------------------

    def _open(self, line: LeafLine) -> None:
        expected = self._tree.size
        if line.number < expected:
            self._note("added", line.leaf, f"a second leaf {line.number}, or out of order")
            return
        self._gap(expected, line.number)
        if line.number > expected:
            self._whole = False
            self._tree = Tree(line.number, [b"\0" * 32] * line.number.bit_count())
        self._past_heads()
        self._tree.append(line.leaf.hash())
        self._now, self._found = line, False
        if line.deletion:
            count, digest = self._erasing.get(line.deletion, (0, hashlib.sha256()))
            digest.update(line.number.to_bytes(8, "big"))
            self._erasing[line.deletion] = count + 1, digest

    def _gap(self, first: int, end: int) -> None:
        """Leaves that are not there; beyond FINDINGS_MAX they are counted."""
        self.unnamed += max(0, end - first - FINDINGS_MAX)
        for number in range(first, min(end, first + FINDINGS_MAX)):
            reason = f"leaf {number} is gone, so nothing after it can be compared with heads"
            self._add(
                Finding(what="missing", kind="leaf", call_id="", number=number, reason=reason)
            )

    def _past_heads(self) -> None:
        """Compare the heads of the tree as it is now."""
        while self._at < len(self._heads) and self._heads[self._at].size <= self._tree.size:
            head = self._heads[self._at]
            self._at += 1
            if mistake := head.mistake():
                self._bad(head, mistake)
            elif head.size == self._tree.size and self._whole:
                if head.root == self._tree.root().hex():
                    self.good_heads += 1
                    self.covered = head.size
                else:
                    self._bad(head, "the leaves before it are not those that it was signed over")
            else:
                self._bad(head, "leaves before it are missing")

    def _bad(self, head: Head, reason: str) -> None:
        self.bad_heads.append((head, reason))

    # -- rows -------------------------------------------------------------------------------------

    def _row(self, line: LeafLine, row: RowLine) -> None:
        leaf = line.leaf
        if self._found:
            self._note("added", row, "a second row of one id")
            return
        self._found = True
        reason = self._difference(line, row)
        if not reason:
            self.checked += 1
            self._failed.pop(leaf.id, None)  # an older version of content that was written again
            self.pending += bool(line.deletion)
            if leaf.kind == "audit":
                self._deletion(row.row)
        else:
            self._failed[leaf.id] = _finding("altered", leaf, reason, line.number)

    def _difference(self, line: LeafLine, row: RowLine) -> str:
        leaf = line.leaf
        if (row.kind, row.call_id, row.source, row.revision) != leaf.id:
            return "its id is not the leaf's"
        if not line.nonce:
            return "its nonce is gone, so it cannot be compared"
        try:
            nonce = bytes.fromhex(line.nonce)
        except ValueError:
            return "its nonce is damaged"
        if mac(nonce, row.row.encode()) != leaf.row_mac:
            return "the row is not what its leaf commits to"
        form = FORMS.get(leaf.kind, {}).get(leaf.form)
        expected = mac(nonce, row.content.encode()) if form is None or form.content else ""
        if expected != leaf.content_mac:
            return "the content is not what its leaf commits to"
        return ""

    def _close(self) -> None:
        """No more rows come for the leaf at hand."""
        line, self._now = self._now, None
        if line is None or self._found:
            return
        if not line.is_checked:
            self.unchecked += 1
        elif line.deletion:
            self.erased += 1
            self._failed.pop(line.leaf.id, None)
        else:
            reason = "it was deleted, and no deletion is in the log"
            self._failed[line.leaf.id] = _finding("missing", line.leaf, reason, line.number)

    def _deletion(self, row: str) -> None:
        """Note what a deletion's entry says; the last column of an entry is `after`."""
        with suppress(msgspec.DecodeError, IndexError, TypeError):
            for one in erasures(str(msgspec.json.decode(row)[-1])):
                self.told[one.tree, one.deletion] = one

    # -- findings ---------------------------------------------------------------------------------

    def _note(self, what: str, line: "Leaf | RowLine", reason: str) -> None:
        number = line.number if isinstance(line, RowLine) else None
        self._add(_finding(what, line, reason, number))

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.unnamed += 1


def erasures(after: str) -> list[Erasure]:
    """What an entry's `after` says was erased; none for entries about anything else."""
    with suppress(msgspec.MsgspecError):
        document = msgspec.json.decode(after or "null")
        if isinstance(document, dict) and DELETED in document:
            return msgspec.convert(document[DELETED], list[Erasure])
    return []


def _finding(what: str, of: "Leaf | RowLine", reason: str, number: int | None) -> Finding:
    return Finding(
        what=what,
        kind=of.kind,
        call_id=of.call_id,
        source=of.source,
        number=number,
        reason=reason,
    )
