"""The language of `when`: whether a candidate may serve a request, by facts of the request.

    expression = both ("or" both)*        both = one ("and" one)*        one = "not" one | compared
    compared   = value [(== | != | < | <= | > | >=) value | ["not"] "in" value]
    value      = name | "tags." NAME | number | 'text' | true | false | "[" value, … "]" | "(" … ")"

Names and their types are in `NAMES`.  An expression is parsed and typed when the configuration is
read, so that evaluating it cannot fail; a tag that a call does not have is ''.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["number", "text", "yes/no", "list of texts", "list of numbers"]
Value = float | str | bool | frozenset[str] | frozenset[float]

LENGTH_MAX = 1000  # characters
DEPTH_MAX = 50  # of parentheses and "not"
TAGS = "tags."
NAMES: Mapping[str, Kind] = {
    "input_tokens": "number",  # by our count
    "max_tokens": "number",  # of the answer, as asked for; 0: not said
    "tools": "yes/no",  # the request declares any
    "schema": "yes/no",  # it asks for structured output
    "stream": "yes/no",
    "modalities": "list of texts",  # 'text', 'image', 'audio', 'video', 'document'
    "effort": "text",  # of reasoning; '': not said
    "operation": "text",  # 'chat', 'responses', 'embeddings', 'messages', 'generate_content'
    "hour": "number",  # 0 to 23, UTC
    "caller": "text",  # a name in [gateway.callers]; '': without a token
}
_LISTS: Mapping[Kind, Kind] = {"text": "list of texts", "number": "list of numbers"}
_ORDERING: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:_\d+)*(?:\.\d+)?)|(?P<text>'[^']*'|"[^"]*")"""
    r"""|(?P<word>[A-Za-z_][\w.-]*)|(?P<sign>==|!=|<=|>=|[<>()\[\],]))""",
    re.ASCII,
)


class Named(Protocol):
    """The values of the names, when an expression is evaluated."""

    def value(self, name: str) -> Value: ...


class Invalid(ValueError):
    """What is wrong with an expression; `unknown` is a name that does not exist."""

    def __init__(self, message: str, unknown: str = "") -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression with its type."""

    kind: Kind
    of: Callable[[Named], Value]


@dataclass(frozen=True, slots=True)
class When:
    """A parsed expression, and the names in it."""

    names: frozenset[str]
    holds: Callable[[Named], Value]  # always a bool, as `parse` checks


def parse(text: str) -> When:
    """The expression.  Raises Invalid with what is wrong, and where."""
    if len(text) > LENGTH_MAX:
        raise Invalid(f"longer than {LENGTH_MAX} characters")
    parser = _Parser(_tokens(text))
    node = parser.either(0)
    if parser.left:
        raise Invalid(f"unexpected {parser.left[0][1]!r}")
    if node.kind != "yes/no":
        raise Invalid(f"expected a condition, which is true or false, got a {node.kind}")
    return When(frozenset(parser.names), node.of)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise Invalid(f"cannot read {text[at:].strip()[:20]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _Parser:
    """Recursive descent: a method for each level of precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.left = tokens
        self.names: set[str] = set()

    def _is(self, *words: str) -> bool:
        return bool(self.left) and self.left[0][0] != "text" and self.left[0][1] in words

    def _take(self, *words: str) -> str:
        return self.left.pop(0)[1] if self._is(*words) else ""

    def either(self, depth: int) -> Node:
        node = self._both(depth)
        while self._take("or"):
            node = _joined(node, self._both(depth), any_of=True)
        return node

    def _both(self, depth: int) -> Node:
        node = self._one(depth)
        while self._take("and"):
            node = _joined(node, self._one(depth), any_of=False)
        return node

    def _one(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise Invalid(f"nested deeper than {DEPTH_MAX}")
        if self._take("not"):
            return _negated(self._one(depth + 1))
        first = self._value(depth)
        if sign := self._take("==", "!=", *_ORDERING):
            return _compared(sign, first, self._value(depth))
        if self._is("not") and self.left[1:2] == [("word", "in")]:
            self._take("not")
            self._take("in")
            return _negated(_contained(first, self._value(depth)))
        if self._take("in"):
            return _contained(first, self._value(depth))
        return first

    def _value(self, depth: int) -> Node:
        if not self.left:
            raise Invalid("ends too early")
        if self._take("("):
            node = self.either(depth + 1)
            self._expect(")")
            return node
        if self._take("["):
            return self._list()
        kind, text = self.left.pop(0)
        if kind == "number":
            return _constant("number", float(text))
        if kind == "text":
            return _constant("text", text[1:-1])
        if text in ("true", "false"):
            return _constant("yes/no", text == "true")
        return self._name(text)

    def _name(self, text: str) -> Node:
        if text.startswith(TAGS) and len(text) > len(TAGS):
            self.names.add(text)
            return Node("text", lambda given: given.value(text))
        if text not in NAMES:
            known = text[:1].isalpha() and text not in ("and", "or", "not", "in")
            raise Invalid(f"unknown name {text!r}" if known else f"unexpected {text!r}", text)
        self.names.add(text)
        return Node(NAMES[text], lambda given: given.value(text))

    def _list(self) -> Node:
        items = []
        while not self._take("]"):
            if not self.left or self.left[0][0] not in ("number", "text"):
                raise Invalid("a list holds numbers or texts, as in ['low', 'high']")
            items.append(self.left.pop(0))
            if not self._is("]"):
                self._expect(",")
        if not items or len({kind for kind, _ in items}) > 1:
            raise Invalid("a list holds at least one item, and all are of one type")
        if items[0][0] == "number":
            return _constant("list of numbers", frozenset(float(text) for _, text in items))
        return _constant("list of texts", frozenset(text[1:-1] for _, text in items))

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise Invalid(
                f"expected {sign!r}" + (f", got {self.left[0][1]!r}" if self.left else "")
            )


def _constant(kind: Kind, value: Value) -> Node:
    return Node(kind, lambda _: value)


def _negated(node: Node) -> Node:
    _must_be("yes/no", node)
    return Node("yes/no", lambda given: not node.of(given))


def _joined(left: Node, right: Node, *, any_of: bool) -> Node:
    _must_be("yes/no", left)
    _must_be("yes/no", right)
    if any_of:
        return Node("yes/no", lambda given: bool(left.of(given) or right.of(given)))
    return Node("yes/no", lambda given: bool(left.of(given) and right.of(given)))


def _compared(sign: str, left: Node, right: Node) -> Node:
    if left.kind != right.kind:
        raise Invalid(f"cannot compare a {left.kind} with a {right.kind}")
    if sign == "==":
        return Node("yes/no", lambda given: left.of(given) == right.of(given))
    if sign == "!=":
        return Node("yes/no", lambda given: left.of(given) != right.of(given))
    _must_be("number", left)
    compare = _ORDERING[sign]
    return Node("yes/no", lambda given: compare(_number(left.of(given)), _number(right.of(given))))


def _contained(item: Node, among: Node) -> Node:
    if _LISTS.get(item.kind) != among.kind:
        raise Invalid(f"a {item.kind} cannot be in a {among.kind}")
    return Node("yes/no", lambda given: item.of(given) in _items(among.of(given)))


def _must_be(kind: Kind, node: Node) -> None:
    if node.kind != kind:
        raise Invalid(f"expected a {kind}, got a {node.kind}")


def _number(value: Value) -> float:
    """What is typed as a number is one."""
    return value if isinstance(value, float | int) else 0.0


def _items(value: Value) -> frozenset[str] | frozenset[float]:
    return value if isinstance(value, frozenset) else frozenset()
