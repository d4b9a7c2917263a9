"""The Merkle tree of RFC 9162, section 2.1: hashes, roots and inclusion proofs.

A tree of n leaves is held as its peaks, the roots of the perfect subtrees that n's binary digits
name, so that appending and finding the root take O(log n) memory.
"""

from collections.abc import Iterable, Iterator, Sequence
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


def paths(indexes: Iterable[int], size: int, hashes: Iterable[bytes]) -> dict[int, list[bytes]]:
    """The inclusion path of each leaf in `indexes`, from one pass over the first `size` hashes.

    Memory is O(log size) for each index.  Raises ValueError for an index that is not in the tree,
    or if there are fewer hashes.
    """
    wanted = {index: siblings(index, size) for index in indexes}
    ranges = sorted({one for path in wanted.values() for one in path})
    found: dict[tuple[int, int], bytes] = {}
    open_: list[tuple[int, int, Tree]] = []
    at, number = 0, -1
    for number, hash in enumerate(_first(size, hashes)):
        while at < len(ranges) and ranges[at][0] == number:
            open_.append((*ranges[at], Tree()))
            at += 1
        for first, end, tree in open_:
            tree.append(hash)
            if number + 1 == end:
                found[first, end] = tree.root()
        open_ = [one for one in open_ if one[1] > number + 1]
    if number + 1 < size:
        raise ValueError(f"expected {size} leaves, found {number + 1}")
    return {index: [found[one] for one in path] for index, path in wanted.items()}


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


def _first(size: int, hashes: Iterable[bytes]) -> Iterator[bytes]:
    for hash, _ in zip(hashes, range(size), strict=False):
        yield hash
