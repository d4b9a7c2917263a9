"""The mutants of a module: its text with one operator, number or condition changed.

The operators are Cosmic Ray's, less those that only repeat what another shows (one replacement for
each arithmetic operator), and one of our own for `in`, which Cosmic Ray leaves alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

Place = tuple[int, int]  # line from 1, column from 0

_ARITHMETIC = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Div", "Mod_Mul", "Pow_Mul"),
    *("BitOr_BitAnd", "BitAnd_BitOr", "LShift_RShift", "RShift_LShift"),
)
_ORDER = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
_COMPARISONS = (
    *(f"{one}_{other}" for one in _ORDER for other in _ORDER if one != other),
    *("Is_IsNot", "IsNot_Is"),
)
_NAMES = (
    *("AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "RemoveDecorator"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ZeroIterationForLoop", "ExceptionReplacer"),
    *("ReplaceContinueWithBreak", "ReplaceBreakWithContinue"),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub"),
    *(f"ReplaceBinaryOperator_{pair}" for pair in _ARITHMETIC),
    *(f"ReplaceComparisonOperator_{pair}" for pair in _COMPARISONS),
)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """What a mutant changes, named so that it stays the same while other lines move."""

    module: str  # path from the root of the checkout
    within: str  # the function or class around it, `Schedule.holds`; "" at the top
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.module} {self.within}\n  - {self.before}\n  + {self.after}"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one change."""

    change: Change
    line: int
    text: str  # of the whole module


class _Membership:
    """`in` for `not in`, and the reverse."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Place, Place]]:
        """As Cosmic Ray asks for them."""
        for index in self._indices(node):
            yield node.children[index].start_pos, node.children[index].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The comparison with its `index`-th membership test turned round."""
        at = list(self._indices(node))[index]
        old = node.children[at]
        if old.type == "comp_op":
            node.children[at] = old.children[1]
        else:
            old.value = "not in"
        return node

    @staticmethod
    def _indices(node: Any) -> Iterator[int]:
        if node.type == "comparison":
            for index, child in enumerate(node.children):
                if index % 2 and child.get_code().split() in (["in"], ["not", "in"]):
                    yield index


def mutants(module: str, text: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    tree, nodes = ast.parse(text), list(ast_nodes(get_ast(text)))
    annotations, lines = list(_annotations(tree)), text.splitlines()
    found = []
    for operator in _operators():
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for number, (start, end) in enumerate(places):
            if any(first <= start and end <= last for first, last in annotations):
                continue  # types are mypy's
            if lines[start[0] - 1].startswith("*,", start[1]):
                continue  # no product, but what makes the parameters after it keyword-only
            changed = mutate_code(text, operator, number)
            change = Change(module, _within(tree, start[0]), *_difference(text, changed))
            found.append(Mutant(change, start[0], changed))
    return sorted(found, key=lambda mutant: mutant.line)


def _operators() -> Iterator[Any]:
    yield from (get_operator(f"core/{name}")() for name in _NAMES)
    yield _Membership()


def _difference(text: str, changed: str) -> tuple[str, str]:
    """The lines that differ, before and after, each as one line of text."""
    old, new = text.splitlines(), changed.splitlines()
    first = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    same = next(i for i, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b)
    return _joined(old[first : len(old) - same]), _joined(new[first : len(new) - same])


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _annotations(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            kinds: list[ast.expr | None] = [node.returns]
        elif isinstance(node, ast.AnnAssign | ast.arg):
            kinds = [node.annotation]
        else:
            continue
        for kind in kinds:
            if kind is not None and kind.end_lineno and kind.end_col_offset:
                yield (kind.lineno, kind.col_offset), (kind.end_lineno, kind.end_col_offset)


def _within(tree: ast.Module, line: int) -> str:
    """The dotted name of the innermost definition at a line."""
    names: list[str] = []
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= line <= (node.end_lineno or 0):
                names.append(node.name)
    return ".".join(names)
