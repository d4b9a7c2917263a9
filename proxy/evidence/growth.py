"""The state of the tree in one file, so that every row has one leaf whatever is killed when.

A block of leaves is in the file before it is sent to the store, and is sent again under the same
token after a crash; then the tree grows by it, in one atomic write that also notes which batch it
was.  Nonces are random, so a block cannot be made again: that is why it is kept.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from exporters.evidence.head import SigningKey
from exporters.evidence.leaves import Sealed
from exporters.evidence.tree import Tree
from proxy.journal.disk import write_atomically


class Block(msgspec.Struct, frozen=True):
    """Leaves on their way to the store, and the batch of rows that they are of."""

    stream: str
    token: str
    sealed: tuple[Sealed, ...]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds.  `marks`: stream → token of the last batch whose leaves there are."""

    tree: str = ""
    size: int = 0
    peaks: tuple[bytes, ...] = ()
    marks: Mapping[str, str] = {}
    block: Block | None = None
    began_us: int | None = None  # None: no tree has begun
    node: str = ""


class Growth:
    """The tree of one data directory.  Raises OSError if its files cannot be read or written.

    A missing or damaged file, and a missing key, begin a new tree: `began` says so.  What is known
    of batches stays, so no row gets a second leaf.
    """

    def __init__(self, key: Path, file: Path, now_us: int, node: str = "") -> None:
        self._file = file
        state, self.mistake = _read(file)
        private = _key(key)
        signing = SigningKey(private) if private else None
        self.earlier = state.tree  # the tree that was there before; "" is none, or unknown
        self.began = signing is None or signing.tree != state.tree
        if signing is None or self.began:
            private = SigningKey.new()
            write_atomically(key, private)
            signing = SigningKey(private)
            began_us = now_us if state.began_us is None else state.began_us
            state = State(tree=signing.tree, marks=state.marks, began_us=began_us)
        if self.began or (node and node != state.node):
            state = msgspec.structs.replace(state, node=node or state.node)
            self._save(state)
        self.key = signing
        self._state = state
        self._tree = Tree(state.size, state.peaks)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._tree.size

    @property
    def began_us(self) -> int:
        """From when on rows have leaves, in this tree or an earlier one: epoch microseconds."""
        return self._state.began_us or 0

    @property
    def node(self) -> str:
        """The name of this machine in rows."""
        return self._state.node

    @property
    def block(self) -> Block | None:
        """What may not have reached the store."""
        return self._state.block

    def root(self) -> bytes:
        """The root of all leaves."""
        return self._tree.root()

    def has(self, stream: str, token: str) -> bool:
        """Whether the rows of this batch have their leaves."""
        return covers(self._state.marks.get(stream, ""), token)

    def begin(self, block: Block) -> None:
        """Keep a block before it is sent.  Raises OSError: then do not send it."""
        self._save(msgspec.structs.replace(self._state, block=block))

    def commit(self) -> None:
        """Grow by the block, which the store has.  Raises OSError: the block is sent again."""
        block = self._state.block
        if block is None:
            return
        tree = self._tree.copy()
        for one in block.sealed:
            tree.append(one.leaf.hash())
        self._save(
            msgspec.structs.replace(
                self._state,
                size=tree.size,
                peaks=tuple(tree.peaks),
                marks={**self._state.marks, block.stream: block.token},
                block=None,
            )
        )
        self._tree = tree

    def _save(self, state: State) -> None:
        write_atomically(self._file, msgspec.msgpack.encode(state))
        self._state = state


def covers(mark: str, token: str) -> bool:
    """Whether what ends with the batch `mark` includes the batch `token`.

    A journal's token is `writer:segment:first-last`; others are only equal or not.
    """
    if mark == token:
        return True
    last, end = _position(mark), _position(token)
    return last is not None and end is not None and end <= last


def _position(token: str) -> tuple[str, int, int] | None:
    writer, _, rest = token.partition(":")
    segment, _, places = rest.partition(":")
    end = places.partition("-")[2]
    if segment.isdecimal() and end.isdecimal():
        return writer, int(segment), int(end)
    return None


def _read(file: Path) -> tuple[State, str]:
    """The state, and what is wrong with its file."""
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=State), ""
    except FileNotFoundError:
        return State(), ""
    except msgspec.MsgspecError as error:
        return State(), f"{file} is damaged ({error})"


def _key(file: Path) -> bytes:
    try:
        private = file.read_bytes()
    except FileNotFoundError:
        return b""
    return private if len(private) == 32 else b""


def state_in(file: Path) -> State | None:
    """The state without a `Growth`, for those who only read.  Raises OSError."""
    state, mistake = _read(file)
    if mistake:
        raise OSError(mistake)
    return state if state.tree else None


def is_growing(file: Path) -> bool:
    """Whether leaves may be in the store or not.  Raises OSError."""
    return _read(file)[0].block is not None
