"""What docs/pricing.md shows is true."""

import doctest
import re
from pathlib import Path

import pytest

from pricing import Status, TariffBook, Term
from pricing.cause import parse
from pricing.reason import Reason
from pricing.sheet.values import PER

PAGE = (Path(__file__).parent.parent / "docs" / "pricing.md").read_text(encoding="utf-8")
TARIFFS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
HEAD = 'provider = "acme"\nsource = "https://acme.example"\nchecked = 2026-11-20\n'


@pytest.mark.parametrize("text", TARIFFS)
def test_every_tariff_loads(text: str) -> None:
    """Each tariff on the page loads, as a file or as a part of one."""
    TariffBook.parse({"acme.toml": text if text.startswith("provider") else HEAD + text})


def test_the_examples_run() -> None:
    """One after the other they give the output that the page shows, with the model it adds."""
    python = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    example = doctest.DocTestParser().get_doctest(
        python, {"example": TARIFFS[0]}, "docs/pricing.md", None, 0
    )
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


def test_a_model_is_a_few_lines() -> None:
    """Adding a model to a provider takes at most four lines."""
    lines = TARIFFS[0].split("[[tariff]]")[1].strip().splitlines()
    assert len(lines) + 1 <= 4


def test_units_statuses_and_reasons_are_those_of_the_code() -> None:
    """The page names every unit key and status, and no reason that does not exist."""
    for unit in PER:
        assert f"usd_{unit}" in PAGE
    for status in Status:
        assert f"| `{status}` |" in PAGE
    for name in re.findall(r"`(\w+):[A-Z=]+`", PAGE):
        assert parse(f"{name}:x").reason is Reason[name.upper()]
    assert all(term.meaning for term in Term)
