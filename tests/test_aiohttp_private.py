"""Private names of aiohttp: each one is still there, and one file alone uses them."""

import ast
import asyncio
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.streams import StreamReader

from proxy.relay.aiohttp_private import NO_PAUSES, adopt

ROOT = Path(__file__).parents[1]
HOME = ROOT / "proxy" / "relay" / "aiohttp_private.py"
FOLDERS = ("pricing", "exporters", "proxy", "evaluation")
USED = {  # name → whose it is, and what stops working without it
    "_buffer": (StreamReader, "taking what a parser decoded of a body"),
    "_eof": (StreamReader, "knowing that a body is whole"),
}
STUB = cast(BaseProtocol, None)


@pytest.mark.parametrize("name", USED)
async def test_aiohttp_still_has_the_name(name: str) -> None:
    """An upgrade that moves a name says here what relied on it."""
    owner, purpose = USED[name]
    alive = owner(STUB, 1, loop=asyncio.get_running_loop())
    assert hasattr(alive, name), (
        f"aiohttp {aiohttp.__version__} has no {owner.__name__}.{name}: "
        f"{purpose} relied on it, in {HOME.relative_to(ROOT)}"
    )


async def test_a_body_takes_the_place_of_a_reader() -> None:
    """The parsers of C make a `StreamReader`, look its methods up by name, and feed a `Body`."""
    assert HttpRequestParser.__module__ == "aiohttp._http_parser"
    parser = HttpRequestParser(NO_PAUSES, asyncio.get_running_loop(), 1 << 30, max_msg_queue_size=1)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    [(_, payload)] = parser.feed_data(head + b"1\r\na\r\n")[0]
    body = adopt(payload)
    assert body is not None
    assert body.take() == b"a"
    parser.feed_data(b"1\r\nb\r\n1\r\nc\r\n")
    assert (body.take(), body.whole) == (b"bc", False)
    # A queue of one: the next request is not parsed before this one is done.
    assert len(parser.feed_data(b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")[0]) == 0
    assert body.whole
    parser.message_consumed()
    [(message, payload)] = parser.feed_data(b"")[0]
    assert (message.method, adopt(payload)) == ("GET", None)


async def test_a_parser_keeps_what_follows_a_switch() -> None:
    """Frames that come with the request for a WebSocket are not lost."""
    parser = HttpRequestParser(NO_PAUSES, asyncio.get_running_loop(), 1 << 30, max_msg_queue_size=1)
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert len(parser.feed_data(head + b"frames")[0]) == 1
    assert parser.feed_data(b"")[1:] == (True, b"frames")


# -- one file alone -----------------------------------------------------------------------------


def _trees(folder: Path, about: str = "") -> dict[Path, ast.Module]:
    """The files of a folder that mention `about`."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    return {path: ast.parse(text) for path, text in texts.items() if about in text.casefold()}


def _defined(owner: ast.AST) -> Iterator[str]:
    """Private names that `owner` defines: its functions, classes, and attributes of `self`."""
    for node in ast.walk(owner):
        name = ""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr if _root(node.value) == "self" else ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        if name.startswith("_") and not name.startswith("__"):
            yield name


def _root(node: ast.expr) -> str:
    """`web` of `web.Server`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _imported(tree: ast.Module) -> set[str]:
    """Names that a file imports from aiohttp."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp"):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(a.asname or "aiohttp" for a in node.names if a.name.startswith("aiohttp"))
    return found


class Names:
    """The private names of aiohttp and of this project, read from their sources."""

    def __init__(self) -> None:
        theirs = _trees(Path(aiohttp.__file__).parent).values()
        self.theirs = {name for tree in theirs for name in _defined(tree)}
        self.their_classes = {
            node.name: set(_defined(node))
            for tree in theirs
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }
        self.trees = _trees(ROOT / "tests", about="aiohttp")
        for folder in FOLDERS:
            self.trees |= _trees(ROOT / folder)
        self.ours = {path: set(_defined(tree)) for path, tree in self.trees.items()}
        self.any_of_ours = set[str]().union(*self.ours.values())

    def touched(self, path: Path) -> Iterator[tuple[int, str]]:
        """(line, name) of each use of a private name of aiohttp."""
        tree = self.trees[path]
        imported = _imported(tree)
        yield from ((0, name) for name in imported if name in self.theirs)
        strict = imported and path.is_relative_to(ROOT / "proxy")
        own = self.ours[path] if strict else self.any_of_ours  # elsewhere from any file of ours
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in self.theirs - own:
                if _root(node.value) not in ("self", "cls"):
                    yield node.lineno, node.attr
            elif isinstance(node, ast.ClassDef) and "tests" not in path.parts and node in tree.body:
                inherited = self._inherited(path, node)
                yield from ((node.lineno, name) for name in _named(node) if name in inherited)

    def _inherited(self, path: Path, owner: ast.ClassDef) -> set[str]:
        """Private names that a class of ours has from one of aiohttp."""
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        bases = getattr(module, owner.name).__mro__[1:]
        theirs = [base.__name__ for base in bases if base.__module__.startswith("aiohttp")]
        return set[str]().union(*(self.their_classes.get(name, ()) for name in theirs))


def _named(owner: ast.ClassDef) -> Iterator[str]:
    """The methods that a class defines, and the attributes that it uses, inherited ones too."""
    for node in ast.walk(owner):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute):
            yield node.attr


@pytest.mark.thorough
def test_one_file_alone_uses_them() -> None:
    """So that an upgrade of aiohttp is a matter of one file; and this table lists all it uses."""
    names = Names()
    assert {name for _, name in names.touched(HOME)} == set(USED)
    assert [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in names.trees
        if path not in (HOME, Path(__file__))
        for line, name in names.touched(path)
    ] == []
