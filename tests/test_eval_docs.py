"""docs/evaluation.md has an example of each kind, every rule, and every key of a suite."""

import json
import re

import pytest

from evaluation.checks import kinds
from evaluation.checks.instructions import RULES
from evaluation.suites import reader
from support.documents import read, table

PAGE = read("docs/evaluation.md")
EXAMPLES = {row[0].strip("`"): row[1].strip("`") for row in table(PAGE, "kind")}


def test_every_kind_has_an_example() -> None:
    """And no other."""
    assert EXAMPLES.keys() == kinds.KINDS.keys()


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_an_example_is_a_check(kind: str) -> None:
    """A suite may have it as it stands in the table."""
    check = kinds.read(json.loads(EXAMPLES[kind]))
    assert check.kind == kind


def test_every_rule_is_named() -> None:
    """In the order of the code."""
    (line,) = (each for each in PAGE.split("\n- ") if each.startswith("**`instruction`**"))
    assert re.findall(r"`([a-z_]+)`", line.partition("\n\n")[0])[1:] == list(RULES)


def test_every_key_is_explained() -> None:
    """Of the head, and of a case."""
    for title, keys in (("key of the head", reader.HEAD_KEYS), ("key of a case", reader.CASE_KEYS)):
        explained = {name for row in table(PAGE, title) for name in re.findall(r"`(\w+)`", row[0])}
        assert explained == set(keys)


def test_the_starter_suite_has_as_many_cases_as_it_says() -> None:
    """The number in the text is that of the files."""
    assert f"a suite of {len(reader.read(reader.STARTER).cases)} cases" in PAGE
