"""The budgets that were made by API: kept, checked at each start, never in the way of rows."""

from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from pricing.budget import Budget
from proxy.budgets.registry import ConfiguredBudget, InvalidBudget, Registry, document
from proxy.settings.config import Config, NotifyOptions

SCOPE = {"team": "search", "tag.squad": "red"}


def config(*budgets: Budget, targets: tuple[str, ...] = ("ops",)) -> Config:
    return Config(
        data=Path("/nowhere"),
        budgets=MappingProxyType({one.name: one for one in budgets}),
        notify=MappingProxyType({name: NotifyOptions(name=name, type="log") for name in targets}),
    )


def test_kept_as_they_were(tmp_path: Path) -> None:
    """Every key of a budget survives, amounts to the last digit."""
    made = Registry(config(), tmp_path / "budgets.json")
    given = {
        "scope": SCOPE,
        "limit_usd": "0.000000000000000001",
        "period": "quarter",
        "anchor_day": 5,
        "timezone": "Asia/Kathmandu",
        "thresholds": [12.5, "forecast"],
        "notify": ["ops"],
        "action": "throttle",
    }
    budget = made.parsed("b", given)
    made.put(budget)
    again = Registry(config(), tmp_path / "budgets.json")
    assert again.budgets == {"b": budget}
    assert msgspec.json.decode(msgspec.json.encode(document(budget))) == given
    again.remove("b")
    assert Registry(config(), tmp_path / "budgets.json").budgets == {}


def test_the_configuration_comes_first(tmp_path: Path) -> None:
    """Its budgets are changed there, and one of the same name takes the place of the other."""
    own = Budget(name="b", limit_calls=1)
    made = Registry(config(own), tmp_path / "budgets.json")
    with pytest.raises(ConfiguredBudget, match="change it there"):
        made.put(Budget(name="b"))
    with pytest.raises(ConfiguredBudget):
        made.remove("b")
    Registry(config(), tmp_path / "budgets.json").put(Budget(name="b", limit_calls=7))
    assert Registry(config(own), tmp_path / "budgets.json").budgets == {"b": own}


def test_one_that_no_longer_fits_is_named(tmp_path: Path) -> None:
    """Its target is gone from the file: it is not in force, not lost, and can be mended."""
    made = Registry(config(), tmp_path / "budgets.json")
    made.put(made.parsed("b", {"limit_calls": 1, "notify": ["ops"]}))
    made.put(made.parsed("other", {"limit_calls": 1}))
    later = Registry(config(targets=("mail",)), tmp_path / "budgets.json")
    assert list(later.budgets) == ["other"]
    assert "budget b is not in force: budgets.b.notify" in later.problems[0]
    later.put(later.parsed("third", {"limit_calls": 1}))
    assert list(Registry(config(), tmp_path / "budgets.json").budgets) == ["b", "other", "third"]
    later.put(later.parsed("b", {"limit_calls": 2}))
    assert Registry(config(), tmp_path / "budgets.json").budgets["b"].limit_calls == 2


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    """Metering goes on; nothing is written over what somebody may restore."""
    (tmp_path / "budgets.json").write_text("{")
    made = Registry(config(), tmp_path / "budgets.json")
    assert (made.budgets, len(made.problems)) == ({}, 1)
    assert list(made.changed_limits()) == []
    with pytest.raises(ValueError, match="cannot read"):
        made.put(Budget(name="b"))
    assert (tmp_path / "budgets.json").read_text() == "{"


def test_changed_limits(tmp_path: Path) -> None:
    """They are known over a restart: by amount, and by unit."""
    first = Registry(config(Budget(name="b", limit_calls=1)), tmp_path / "budgets.json")
    assert list(first.changed_limits()) == []
    same = Registry(config(Budget(name="b", limit_calls=1)), tmp_path / "budgets.json")
    assert list(same.changed_limits()) == []
    other = Budget(name="b", limit_usd=Decimal(1))
    assert list(Registry(config(other), tmp_path / "budgets.json").changed_limits()) == ["b"]


@pytest.mark.parametrize(
    "wrong", [{"limit_usd": "NaN"}, {"scope": {"team": 5}}, {"scope": []}, {"period": "moon"}]
)
def test_invalid(tmp_path: Path, wrong: dict[str, object]) -> None:
    """As in the file, with its key."""
    with pytest.raises(InvalidBudget, match=r"budgets\.b\."):
        Registry(config(), tmp_path / "budgets.json").parsed("b", wrong)
