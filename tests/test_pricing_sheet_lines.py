"""The line of a tariff file that an entry came from."""

import pytest

from pricing.sheet.lines import Lines

TEXT = """\
provider = "acme"
[[tariff]]
names = ["m"]
rates = [ # [ { "
  { when = { region = "]}" }, usd_each = { images = 1 } },
  { usd_each = { images = 2 } }, { usd_each = { images = 3 } },
  # { a comment }

  { usd_each = { images = 4 } },
]
other = { input = 1 }
[[ tariff ]]
names = ["k"]
[[tariff.rates]]
usd_each = { images = 5 }
[[tariff.rates]]
usd_each = { images = 6 }
[schedules.peak]
hours = "1"
[schedules.off]
hours = "2"
[[tariff]]
names = ["z"]
"""
LINES = Lines(TEXT)
FIRST, SECOND, LAST = (2, 11), (12, 17), (22, 23)


@pytest.mark.parametrize(
    ("kind", "index", "block"),
    [
        ("tariff", 0, FIRST),
        ("tariff", 1, SECOND),  # its rates are part of it
        ("tariff", 2, LAST),
        ("schedules.peak", 0, (18, 19)),
        ("schedules.off", 0, (20, 21)),
        ("tariff", 3, (1, 23)),  # not there: the whole file
        ("tariff", 4, (1, 23)),
        ("nothing", 0, (1, 23)),
    ],
)
def test_the_block_of_a_table(kind: str, index: int, block: tuple[int, int]) -> None:
    """From its header to the line before the next that is not a part of it."""
    assert LINES.entry(kind, index) == block


@pytest.mark.parametrize(
    ("index", "line"),
    [(0, 5), (1, 6), (2, 6), (3, 9), (4, 4), (9, 4)],  # beyond the last: where the array begins
)
def test_an_item_of_an_inline_array(index: int, line: int) -> None:
    """The line on which its own brace opens; braces in strings, comments and items are not."""
    assert LINES.item(FIRST, "rates", index) == line


@pytest.mark.parametrize(("index", "line"), [(0, 14), (1, 16), (2, 16)])
def test_an_item_under_a_header_of_its_own(index: int, line: int) -> None:
    """The header's line."""
    assert LINES.item(SECOND, "rates", index) == line


def test_headers_outside_the_block_are_not_its_items() -> None:
    """The first tariff has no such header, the last none at all: the first line stands for it."""
    assert LINES.item(LAST, "rates", 0) == 22
    assert Lines("[[a.rates]]\nx = 1").item((1, 2), "rates", 0) == 1
    assert Lines("x = 1\n[[a.rates]]").item((1, 2), "rates", 0) == 2
    assert Lines("x = 'rates'\n[[a.rates]]").item((1, 2), "rates", 0) == 2
    assert Lines("[[a.rates]]\nrates = [\n{ b = 1 }]").item((1, 3), "rates", 0) == 3


@pytest.mark.parametrize(
    ("block", "needle", "line"),
    [(FIRST, "images", 5), (FIRST, "other", 11), (SECOND, "images", 15), (FIRST, "hours", 2)],
)
def test_the_first_line_that_holds_a_text(block: tuple[int, int], needle: str, line: int) -> None:
    """Within the block, its last line included; else its first line."""
    assert LINES.find(block, needle) == line


def test_an_array_on_one_line() -> None:
    """Items that open on the line of the key; the array ends where it closes."""
    lines = Lines("rates = [{ a = 1 }, { a = 2 }]\nother = [\n{ a = 3 }]\nrates2 = [{ a = 4 }]")
    assert [lines.item((1, 4), "rates", index) for index in range(3)] == [1, 1, 1]
    assert lines.item((1, 4), "other", 0) == 3
    assert lines.item((1, 4), "rates2", 0) == 4
    assert lines.item((1, 1), "other", 0) == 1
    assert Lines("rates=[\n{ a = 1 }]").item((1, 2), "rates", 0) == 2


def test_an_array_ends_where_it_closes() -> None:
    """One of the same name in a sub-table is another."""
    lines = Lines("[[tariff]]\nrates = [{ a = 1 }]\n[tariff.other]\nrates = [{ b = 1 }]")
    assert [lines.item((1, 4), "rates", index) for index in range(2)] == [2, 2]
