"""Bills of every provider are read, and each planted difference gets its name."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.invoices.answer import document
from proxy.invoices.causes import Cause
from proxy.invoices.compare import Comparison, Told, compare
from proxy.invoices.metered import Metered
from proxy.invoices.names import matched
from proxy.invoices.overlay import overlay
from proxy.invoices.providers import BILLERS, biller
from proxy.invoices.statement import Statement, StatementError
from support import bills
from support.bill_lines import Line

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 10)
DAYS = [FIRST + timedelta(days=n) for n in range(10)]
MODELS = ("gemini-2.5-flash", "claude-sonnet-4.5")
RATES = {"input": Decimal("0.0000025"), "output": Decimal("0.00001")}


def metered(hours: Sequence[int] = (9, 15)) -> list[Metered]:
    """Two models, ten days, two hours of each, no two days alike; priced to the last digit."""
    found = []
    for number, day in enumerate(DAYS):
        for at, hour in enumerate(hours):
            for model_number, model in enumerate(MODELS):
                tokens = {
                    "input": 1_000_000 + 7_919 * number * (at + 1) + model_number,
                    "output": 50_000 + 3_571 * number * (at + 2),
                }
                by_item = {item: RATES[item] * count for item, count in tokens.items()}
                found.append(
                    Metered(
                        hour=datetime(day.year, day.month, day.day, hour, tzinfo=UTC),
                        model=model,
                        calls=10,
                        usd=sum(by_item.values(), Decimal(0)),
                        by_item=by_item,
                        tokens=tokens,
                    )
                )
    return found


def billed(rows: Sequence[Metered], shift: int = 0) -> list[Line]:
    """The bill that agrees with the rows, if its days begin `shift` hours later."""
    found: dict[tuple[date, str, str], Line] = {}
    for row in rows:
        day = (row.hour - timedelta(hours=shift)).date()
        for item, usd in row.by_item.items():
            line = Line(day=day, model=row.model, item=item, usd=usd, tokens=row.tokens[item])
            if before := found.get((day, row.model, item)):
                line = replace(line, usd=usd + before.usd, tokens=line.tokens + before.tokens)
            found[day, row.model, item] = line
    return sorted(found.values(), key=lambda one: (one.day, one.model, one.item))


def compared(
    provider: str, lines: Sequence[Line], rows: Sequence[Metered], *, costs_only: bool = False
) -> Comparison:
    """What `taximeter reconcile` finds of a provider's bill with these lines."""
    texts = bills.WRITERS[provider](lines)
    if costs_only:
        texts = texts[:1]
    statement = sum((biller(provider).read(text) for text in texts), Statement())
    return compare(rows, statement, FIRST, LAST, Told())


def causes(found: Comparison) -> dict[Cause, Decimal]:
    return dict(found.total().parts)


every_provider = pytest.mark.parametrize("provider", bills.WRITERS)
SMALL = Decimal("0.00000001")


@every_provider
def test_a_bill_that_agrees_has_no_difference(provider: str) -> None:
    """To within the noise of binary fractions in JSON, which is rounding."""
    rows = metered()
    found = compared(provider, billed(rows), rows)
    total = found.total()
    assert total.unexplained_usd == 0
    assert set(total.parts) <= {Cause.ROUNDING}
    assert abs(total.billed_usd - total.metered_usd) < SMALL
    assert total.metered_usd == sum(row.usd for row in rows)


Plant = Callable[[list[Line], list[Metered]], tuple[list[Line], list[Metered]]]


def elsewhere_model(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """A model that nobody called through the proxy."""
    other = replace(lines[0], model="llama-3.3", usd=Decimal("1.25"), tokens=500)
    return [*lines, other], rows


def rounded(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """Every line to the cent."""
    return [replace(one, usd=round(one.usd, 2)) for one in lines], rows


def discount(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """A contract: 15 % off everything."""
    return [replace(one, usd=one.usd * Decimal("0.85")) for one in lines], rows


def unpriced(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """One model has no tariff: its calls were counted and cost nothing that is known."""
    without = [
        row
        if row.model != MODELS[0]
        else replace(
            row, usd=Decimal(0), by_item={}, unpriced=row.calls, unpriced_tokens=row.tokens
        )
        for row in rows
    ]
    return lines, without


def free(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """One day of one model is within a free allowance."""
    inside = (DAYS[3], MODELS[1])
    return [
        replace(one, usd=Decimal(0)) if (one.day, one.model) == inside else one for one in lines
    ], rows


def planned(lines: list[Line], rows: list[Metered]) -> tuple[list[Line], list[Metered]]:
    """We took calls of one day for those of a plan; the bill has them."""
    return lines, [
        row
        if row.hour.date() != DAYS[5]
        else replace(row, usd=Decimal(0), by_item={}, planned=10, plan_usd=row.usd)
        for row in rows
    ]


PLANTS: dict[Cause, Plant] = {
    Cause.ELSEWHERE: elsewhere_model,
    Cause.ROUNDING: rounded,
    Cause.PRICE: discount,
    Cause.UNPRICED: unpriced,
    Cause.FREE: free,
    Cause.PLAN: planned,
}


@every_provider
@pytest.mark.parametrize("cause", PLANTS, ids=lambda cause: cause.name)
def test_each_difference_gets_its_name(provider: str, cause: Cause) -> None:
    """Planted in the bill or in the rows, it is the only cause, and explains all there is."""
    whole = [one for one in billed(metered()) if one.item == "input"]
    is_sum = provider == "openrouter" and cause is Cause.ROUNDING  # which rounds once, not twice
    rows = [replace(row, usd=row.by_item["input"]) if is_sum else row for row in metered()]
    lines, rows = PLANTS[cause](whole if is_sum else billed(metered()), rows)
    found = compared(provider, lines, rows)
    total = found.total()
    assert total.share is not None
    assert total.share <= Decimal("0.001")
    others = {one: usd for one, usd in total.parts.items() if abs(usd) > SMALL}
    assert set(others) == {cause}
    assert abs(others[cause] - (total.billed_usd - total.metered_usd)) < SMALL


@every_provider
@pytest.mark.parametrize("shift", [-8, 5])
def test_days_of_another_zone_are_found(provider: str, shift: int) -> None:
    """Calls at every hour; the bill's days begin elsewhere."""
    hours = (1, 6, 11, 16, 20, 22)
    rows = metered(hours)
    lines = [one for one in billed(rows, shift) if FIRST <= one.day <= LAST]
    found = compared(provider, lines, rows, costs_only=provider in ("openai", "anthropic"))
    assert found.shift_h == shift or abs(found.shift_h - shift) <= 4  # between two hours with calls
    assert found.total().unexplained_usd < SMALL
    assert {one for one, usd in causes(found).items() if abs(usd) > SMALL} == {Cause.ZONE}


@pytest.mark.parametrize("provider", ["openai", "anthropic", "openrouter"])
def test_calls_beside_the_proxy_are_those_of_more_tokens(provider: str) -> None:
    """The provider's count says how many, and its bill what they cost."""
    rows = metered()
    lines = billed(rows)
    more = [
        replace(one, usd=one.usd * 2, tokens=one.tokens * 2) if one.day == DAYS[2] else one
        for one in lines
    ]
    found = compared(provider, more, rows)
    assert {one for one, usd in causes(found).items() if abs(usd) > SMALL} == {Cause.ELSEWHERE}
    assert found.total().unexplained_usd < SMALL


@pytest.mark.parametrize("provider", ["vertex", "bedrock", "azure"])
def test_lines_of_a_bill_say_what_they_are(provider: str) -> None:
    """Commitments and tax of the clouds, and their discounts and credits."""
    rows = metered()
    lines = billed(rows)
    extra = [replace(lines[0], usd=Decimal(40), kind="plan"), replace(lines[0], kind="tax")]
    expected = {Cause.PLAN}
    if provider != "azure":
        extra += [replace(lines[1], usd=Decimal(-1), kind="discount")]
        extra += [replace(lines[1], usd=Decimal("-0.5"), kind="free")]
        expected |= {Cause.PRICE, Cause.FREE}
    found = compared(provider, [*lines, *extra], rows)
    assert {one for one, usd in causes(found).items() if abs(usd) > SMALL} == expected
    assert found.total().unexplained_usd < SMALL
    assert [one.usd for one in found.not_compared] == [lines[0].usd]


def test_calls_over_midnight_are_a_matter_of_days() -> None:
    """As much as our rows say crossed it, and no more."""
    rows = metered()
    usd = Decimal("0.2")
    rows = [
        replace(row, crossing={"input": usd}) if row.hour.date() == DAYS[4] else row for row in rows
    ]
    moved = {(DAYS[4], MODELS[0]): -usd, (DAYS[5], MODELS[0]): usd}
    lines = [
        replace(one, usd=one.usd + moved.get((one.day, one.model), 0))
        if one.item == "input"
        else one
        for one in billed(rows)
    ]
    found = compared("vertex", lines, rows)
    zone = {(one.day, one.parts[Cause.ZONE]) for one in found.cells if one.parts.get(Cause.ZONE)}
    assert zone == {(DAYS[4], -usd), (DAYS[5], usd)}
    assert found.total().unexplained_usd < SMALL


@given(
    usd=st.decimals("0.05", "3", places=4),
    day=st.sampled_from(DAYS),
    item=st.sampled_from(("input", "output")),
)
@settings(max_examples=25)
def test_what_nothing_explains_stays_unexplained(usd: Decimal, day: date, item: str) -> None:
    """One line of one day is dearer, and no usage says why: nothing is explained away."""
    rows = metered()
    lines = [
        replace(one, usd=one.usd + usd)
        if (one.day, one.model, one.item) == (day, MODELS[0], item)
        else one
        for one in billed(rows)
    ]
    found = compared("vertex", lines, rows)
    assert abs(found.total().left_usd - usd) < SMALL
    shown = document("vertex", FIRST, LAST, found)
    wrong = [one for one in shown["days"] if not one["explained"]]
    assert [one["day"] for one in wrong] == [str(day)]


@given(st.lists(st.decimals("-2", "2", places=6), min_size=4, max_size=12), st.data())
@settings(max_examples=25)
def test_causes_add_up(changes: list[Decimal], data: st.DataObject) -> None:
    """Whatever a bill says: causes and what is left are the difference, in every cell."""
    rows, lines = metered(), billed(metered())
    for usd in changes:
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = replace(lines[at], usd=lines[at].usd + usd)
    provider = data.draw(st.sampled_from(sorted(bills.WRITERS)))
    found = compared(provider, lines, rows)
    for cell in found.cells:
        parts = sum(cell.parts.values(), Decimal(0))
        assert cell.metered_usd + parts + cell.left == cell.billed_usd
    assert found.total().metered_usd == sum(row.usd for row in rows)


def test_a_discount_becomes_tariffs(tmp_path: object) -> None:
    """One factor for all models, which the tariff reader takes; a bill without one gives none."""
    rows = metered()
    lines, _ = discount(billed(rows), rows)
    found = compared("openai", lines, rows)
    text = overlay("openai", found.cells, "the bill of November", date(2026, 12, 1))
    assert text is not None
    assert "factor = 0.85\n" in text
    assert "models" not in text
    assert overlay("openai", compared("openai", billed(rows), rows).cells, "s", FIRST) is None
    one = [
        replace(line, usd=line.usd * Decimal("0.9")) if line.model == MODELS[0] else line
        for line in billed(rows)
    ]
    text = overlay("openai", compared("openai", one, rows).cells, "s", FIRST)
    assert text is not None
    assert f'models = ["{MODELS[0]}"]' in text


def test_the_dashboards_csv_is_the_same_bill() -> None:
    """Costs alone; tokens were not compared, which is said."""
    rows = metered()
    (text,) = bills.openai_csv(billed(rows))
    found = compare(rows, BILLERS["openai"].read(text), FIRST, LAST, Told())
    assert found.total().unexplained_usd == 0
    assert any("no usage" in note for note in found.notes)


@pytest.mark.parametrize(
    ("provider", "text", "said"),
    [
        ("openai", "{", "neither JSON nor"),
        ("openai", '{"data": [{"results": [{}]}]}', "neither costs nor usage"),
        ("openai", "a,b\n1,2\n", "neither costs nor usage"),
        (
            "anthropic",
            '{"data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [{"amount": "x"}]}]}',
            "not an",
        ),
        ("azure", "Date,MeterName\n1,2\n", "no column 'metercategory'"),
        (
            "bedrock",
            "line_item_product_code,line_item_usage_type,line_item_line_item_type\nBedrock,u,New\n",
            "unknown type",
        ),
    ],
)
def test_what_is_not_understood_is_refused(provider: str, text: str, said: str) -> None:
    """With what was expected."""
    with pytest.raises(StatementError, match=said):
        biller(provider).read(text)


def test_other_currencies_are_refused() -> None:
    """A sum of euros and dollars is neither."""
    page = json.loads(bills.openai(billed(metered()))[0])
    page["data"][0]["results"][0]["amount"]["currency"] = "eur"
    with pytest.raises(StatementError, match="in eur"):
        biller("openai").read(json.dumps(page))
    with pytest.raises(StatementError, match="did you mean openai"):
        biller("openal")


OURS = (
    *("gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gemini-2.5-flash"),
    *("gemini-2.5-pro", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    *("anthropic.claude-3-sonnet-20240229-v1:0", "amazon.nova-pro-v1:0"),
)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gpt-4o-2024-08-06", OURS[0]),
        ("gpt 4o 0806 Inp glbl", OURS[0]),
        ("gpt-4o-mini-0718-Outp-glbl", OURS[1]),
        ("gpt 4.1 Inp regnl", OURS[2]),
        ("gpt 4.1 nano Inp", None),
        ("Gemini 2.5 Flash Text Input - Predictions", OURS[4]),
        ("Gemini 2.5 Flash Lite Text Input", None),
        ("Gemini 2.0 Flash Text Input", None),
        ("USE1-Claude4.5Sonnet-input-tokens", OURS[6]),
        ("USE1-Claude3Sonnet-output-tokens", OURS[7]),
        ("USE1-Claude3.5Sonnet-output-tokens", None),
        ("USW2-NovaPro-input-tokens", OURS[8]),
        ("USW2-NovaLite-input-tokens", None),
        ("Batch API usage", None),
    ],
)
def test_names_on_bills_mean_one_model_or_none(theirs: str, ours: str | None) -> None:
    """Another version or variant is another model, however alike the names are."""
    assert matched([theirs], OURS, {}).get(theirs) == ours
    assert matched([theirs], OURS, {theirs[:6]: "mine"})[theirs] in (theirs, "mine")


def test_projects_of_a_bill_are_keys_of_ours() -> None:
    """Those that the user names are compared by themselves; other projects are not ours."""
    rows = [replace(row, key="k1" if row.model == MODELS[0] else "k2") for row in metered()]
    (text, _) = bills.openai(billed(metered()))
    page = json.loads(text)
    results = [one for bucket in page["data"] for one in bucket["results"]]
    for one in results:
        one["project_id"] = "p1" if one["line_item"].startswith(MODELS[0]) else "p2"
    other = dict(results[0], project_id="p3", amount={"value": 2.5, "currency": "usd"})
    page["data"][0]["results"].append(other)
    statement = biller("openai").read(json.dumps(page))
    told = Told(keys={"k1": "p1", "k2": "p2"})
    found = compare(rows, statement, FIRST, LAST, told)
    assert {one.key for one in found.cells} == {"p1", "p2", ""}
    assert causes(found) == {Cause.ELSEWHERE: Decimal("2.5")}
    assert found.total().unexplained_usd == 0


def test_tools_are_compared_over_all_models() -> None:
    """A line of a bill without a model, such as searches, is the rest of what our calls cost."""
    rows = [
        replace(row, usd=row.usd + 1, by_item={**row.by_item, "other": Decimal(1)})
        for row in metered()
    ]
    page = json.loads(bills.openai(billed(metered()))[0])
    for bucket in page["data"]:
        search = {
            "object": "organization.costs.result",
            "amount": {"value": 4, "currency": "usd"},
            "line_item": "web search tool calls",
            "project_id": None,
        }
        bucket["results"].append(search)
    found = compare(rows, biller("openai").read(json.dumps(page)), FIRST, LAST, Told())
    assert found.total().unexplained_usd == 0
    assert not found.total().parts.keys() - {Cause.ROUNDING}


@every_provider
def test_a_bill_that_is_not_over_is_compared_as_far_as_it_goes(provider: str) -> None:
    """The later days are not billed yet: that is no difference, and it is said."""
    rows = metered()
    until = [one for one in billed(rows) if one.day <= DAYS[6]]
    found = compared(provider, until, rows)
    assert found.total().unexplained_usd == 0
    assert max(found.days) == DAYS[6]
    assert f"the bill has nothing after {DAYS[6]}; later days were not compared" in found.notes
