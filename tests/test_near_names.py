"""An unpriced model is shown the near names of the book, and is priced by none of them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.near_names import NAME_MAX, near_names
from proxy.commands.cli import main
from proxy.commands.terminal import Exit

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
NAMES = {
    "openai": ["gpt-5.4", "gpt-5.4-mini", "gpt-5.4-2026-03-05", "o3", "ft:gpt-5.4:*"],
    "azure": ["gpt-5.4", "gpt-5.4-mini"],
    "anthropic": ["claude-opus-5-20260401", "claude-haiku-5"],
    "bedrock": ["anthropic.claude-opus-5-20260401-v1:0"],
}
BOOK = TariffBook.parse(
    {
        f"{provider}.toml": f'provider = "{provider}"\nsource = "x"\nchecked = 2026-11-20\n'
        + "".join(
            f'[[tariff]]\nnames = ["{name}"]\nusd_per_mtok = {{ input = 1 }}\n' for name in names
        )
        for provider, names in NAMES.items()
    }
)


@pytest.mark.parametrize(
    ("provider", "model", "first"),
    [
        ("openai", "gpt-5.4-2026-09-01", "openai/gpt-5.4"),
        ("openai", "gpt-5.4-mini-latest", "openai/gpt-5.4-mini"),
        ("azure", "gpt-5.4-2026-09-01", "azure/gpt-5.4"),
        ("anthropic", "claude-opus-5", "anthropic/claude-opus-5-20260401"),
        ("anthropic", "claude-opus-5-20260901", "anthropic/claude-opus-5-20260401"),
        ("anthropic", "claude-haiku-5@20260101", "anthropic/claude-haiku-5"),
        ("openai", "GPT-5.4-Mini", "openai/gpt-5.4-mini"),
        ("openai", "gpt-5.4-mni", "openai/gpt-5.4-mini"),
        ("nobody", "gpt-5.4", "azure/gpt-5.4"),
    ],
)
def test_near_names_lead_with_the_nearest(provider: str, model: str, first: str) -> None:
    """Another date or suffix of the same model first, and the same provider before others."""
    assert near_names(BOOK, provider, model)[0] == first


@pytest.mark.parametrize("model", ["llama-9", "", "x", "o", "completely-unlike-anything"])
def test_nothing_near_is_nothing(model: str) -> None:
    """A suggestion that is not near would be worse than none."""
    assert near_names(BOOK, "openai", model) == []


def test_a_priced_name_is_its_own_suggestion() -> None:
    """Nobody is sent to another model than the one that has a price; patterns count."""
    assert near_names(BOOK, "openai", "o3") == ["openai/o3"]
    assert near_names(BOOK, "openai", "ft:gpt-5.4:acme") == ["openai/ft:gpt-5.4:acme"]


def test_patterns_are_no_names() -> None:
    """What a caller cannot send is not suggested."""
    assert not any("*" in name for name in near_names(BOOK, "openai", "ft:gpt-5.4-mini"))


@given(st.text(max_size=40), st.integers(0, 4))
def test_a_suggestion_has_a_price_and_the_wanted_name_has_none(model: str, most: int) -> None:
    """Whatever is suggested is in the book, and prices nothing but itself."""
    found = near_names(BOOK, "openai", model, most)
    priced = BOOK.knows("openai", model)
    assert len(found) <= max(most, int(priced))
    assert all(BOOK.knows(*name.split("/", 1)) for name in found)
    subcall = Subcall(provider="openai", model=model, at=AT, usage=Usage({Meter.INPUT: 1}))
    charge = price([subcall], BOOK)
    assert (charge.usd is not None) == priced
    assert (charge.status is Status.UNPRICED) == (not priced)


def test_a_long_name_is_compared_in_part() -> None:
    """A caller chooses the name, and must not choose how long the answer takes."""
    assert near_names(BOOK, "openai", "gpt-5.4-mini" + "x" * 1_000_000) == []
    assert near_names(BOOK, "openai", "gpt-5.4" + "x" * NAME_MAX) == []


def test_the_command_suggests_and_prices_by_none(capsys: pytest.CaptureFixture[str]) -> None:
    """`tariffs show` of an unknown snapshot names near models and the command that adds one."""
    assert main(["tariffs", "show", "openai/gpt-4o-mini-2031-01-01"]) == Exit.UNPRICED
    said = capsys.readouterr().out
    assert "No tariff for openai/gpt-4o-mini-2031-01-01." in said
    assert "  openai/gpt-4o-mini\n" in said
    assert "None of these prices it." in said
    assert "taximeter tariffs add openai/gpt-4o-mini-2031-01-01 --input USD --output USD" in said
