"""The Merkle tree of RFC 9162, section 2.1: hashes, roots, and proofs of inclusion and consistency.

A tree of n leaves is held as its peaks, the roots of the perfect subtrees that n's binary digits
name, so that appending and finding the root take O(log n) memory.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY = sha256(b"").digest()  # the root of no leaves, section 2.1.1


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node from those of its children."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows; `peaks` are the roots of its perfect subtrees, the largest first.

    Raises ValueError if there are not as many peaks as `size` has ones in binary.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks")
        self.size = size
        self.peaks = list(peaks)

    def append(self, hash: bytes) -> None:
        """Add a leaf by its hash."""
        merges = self.size  # as many as it ends in ones: each is a peak of the same size
        while merges & 1:
            hash = node_hash(self.peaks.pop(), hash)
            merges >>= 1
        self.peaks.append(hash)
        self.size += 1

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self.peaks:
            return EMPTY
        *others, root = self.peaks
        for peak in reversed(others):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Tree":
        """Another tree with the same leaves."""
        return Tree(self.size, self.peaks)


def root(hashes: Iterable[bytes]) -> bytes:
    """The root of the tree whose leaves have these hashes."""
    tree = Tree()
    for hash in hashes:
        tree.append(hash)
    return tree.root()


def siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The half-open ranges of leaves whose roots are the inclusion path of leaf `index`.

    In the order of the path: from the leaf up (section 2.1.3.1).  Raises ValueError if the tree of
    `size` leaves has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    first, end, ranges = 0, size, []
    while end - first > 1:
        middle = first + (1 << (end - first - 1).bit_length() - 1)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((first, middle))
            first = middle
    return ranges[::-1]


class Roots:
    """The roots of half-open ranges of leaves, found while the leaves pass by in order.

    Memory is O(log size) for each range.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self.size = 0  # leaves so far
        self.found: dict[tuple[int, int], bytes] = {}
        self._waiting = sorted(set(ranges), reverse=True)
        self._open: list[tuple[int, int, Tree]] = []

    def add(self, hash: bytes) -> None:
        """Take the next leaf by its hash."""
        while self._waiting and self._waiting[-1][0] == self.size:
            self._open.append((*self._waiting.pop(), Tree()))
        self.size += 1
        is_over = False
        for first, end, tree in self._open:
            tree.append(hash)
            if end == self.size:
                self.found[first, end] = tree.root()
                is_over = True
        if is_over:
            self._open = [one for one in self._open if one[1] > self.size]


def root_of_path(index: int, size: int, hash: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (section 2.1.3.2); None if it has no valid form."""
    if not 0 <= index < size:
        return None
    leaf, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if leaf & 1 or leaf == last:
            hash = node_hash(sibling, hash)
            while not leaf & 1 and leaf:
                leaf, last = leaf >> 1, last >> 1
        else:
            hash = node_hash(hash, sibling)
        leaf, last = leaf >> 1, last >> 1
    return hash if last == 0 else None


def grown(first: int, size: int) -> list[tuple[int, int]]:
    """The half-open ranges of leaves whose roots prove a growth from `first` leaves.

    To `size` leaves, in the order of the proof (section 2.1.4.1).
    Raises ValueError unless 0 < first <= size.
    """
    if not 0 < first <= size:
        raise ValueError(f"a tree of {size} leaves did not grow from one of {first}")
    start, end, ranges = 0, size, []
    while first < end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # else the first tree is a node of the second, and its root is known
        ranges.append((start, end))
    return ranges[::-1]


def is_consistent(
    first: tuple[int, bytes], second: tuple[int, bytes], path: Sequence[bytes]
) -> bool:
    """Whether a proof shows that the second tree has all leaves of the first (section 2.1.4.2).

    Each tree is its size and its root.
    """
    (small, old), (size, new) = first, second
    if small == size:
        return old == new and not path
    if not 0 < small < size or not path:
        return False
    steps = [old, *path] if small.bit_count() == 1 else list(path)
    node, last = small - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    made_old = made_new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            made_old, made_new = node_hash(step, made_old), node_hash(step, made_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            made_new = node_hash(made_new, step)
        node, last = node >> 1, last >> 1
    return (made_old, made_new, last) == (old, new, 0)
