"""The shipped tariffs: what they hold, and that they hold every published price we know of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.tariff import Tariff
from pricing.usage import TermValue

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "pricing"
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@cache
def shipped() -> TariffBook:
    """The shipped tariffs, read once."""
    return TariffBook.load()


CNY = TariffBook.parse(
    {
        "deepseek-cny.toml": """
provider = "deepseek"
source = "the provider's price list in yuan"
checked = 2026-11-20
[[currencies]]
code = "CNY"
from = 2026-01-01T00:00:00Z
usd = 0.14
source = "an example"
checked = 2026-11-20
[[tariff]]
names = ["deepseek-flash"]
cny_per_mtok = { input = 1, cache_read = 0.02, output = 4 }
"""
    }
)


def usd(
    provider: str, model: str, usage: Mapping[Meter, int], at: datetime = AT, **terms: TermValue
) -> Decimal | None:
    subcall = Subcall(provider=provider, model=model, at=at, usage=Usage(usage), terms=terms)
    return price([subcall], shipped()).usd


# -- what a reader of the price pages would check by hand ------------------------------------------


@pytest.mark.parametrize(("output", "expected"), [(4_000, "1.5"), (4_001, "1.7")])
def test_qwen3_110b(output: int, expected: str) -> None:
    """$1.50 a million input tokens, and $0.20 a request whose output exceeds 4,000 tokens."""
    found = usd("qwen", "Qwen3-110B", {Meter.INPUT: 1_000_000, Meter.OUTPUT: output})
    assert found == Decimal(expected)


def test_qwen3_110b_in_a_batch() -> None:
    """A batch halves the tokens and not the surcharge."""
    usage = {Meter.INPUT: 1_000_000, Meter.OUTPUT: 4_001}
    assert usd("qwen", "Qwen3-110B", usage, processing="batch") == Decimal("0.95")


OPENAI_HALVED = ["gpt-5.5", "gpt-5.4-mini", "gpt-5-mini", "gpt-4o", "o3", "gpt-6-sol"]


@pytest.mark.parametrize("model", OPENAI_HALVED)
def test_openai_batches_are_half(model: str) -> None:
    """OpenAI's batches cost half of the standard tier."""
    usage = {Meter.INPUT: 10_000, Meter.OUTPUT: 1_000}
    batch, standard = usd("openai", model, usage, processing="batch"), usd("openai", model, usage)
    assert batch is not None
    assert standard is not None
    assert batch * 2 == standard


@pytest.mark.parametrize(
    ("model", "prompt", "expected"),
    [("gpt-5.5", 272_000, "1.36"), ("gpt-5.5", 272_001, "2.72001")],
)
def test_openai_long_context(model: str, prompt: int, expected: str) -> None:
    """More than 272,000 tokens move the whole request to the long rates; 272,000 do not."""
    assert usd("openai", model, {Meter.INPUT: prompt}) == Decimal(expected)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5.5-mini-turbo"),
        ("openai", "ft:gpt-6-sol:acme::1"),
        ("openai", "gpt-4o-2024-08-06-custom"),
        ("anthropic", "claude-opus-5-5-mini"),
        ("gemini", "gemini-2.5-flash-ultra"),
    ],
)
def test_no_likeness(provider: str, model: str) -> None:
    """A model that is only like a known one has no price."""
    assert shipped().find(provider, model, AT) is None


def test_cancelled_announcement() -> None:
    """DeepSeek's announced price, cancelled two days later, was never applied."""
    at = datetime(2026, 9, 15, 2, tzinfo=UTC)
    assert usd("deepseek", "deepseek-v4-pro", {Meter.INPUT: 1_000_000}, at) == Decimal("1.32")


def test_committed_capacity_costs_nothing_by_the_call() -> None:
    """Prepaid capacity is exact at 0, not unknown."""
    for provider, model, tier in [
        ("anthropic", "claude-sonnet-4-5", "priority"),
        ("openai", "gpt-4o", "scale"),
        ("vertex", "gemini-2.5-pro", "PROVISIONED_THROUGHPUT"),
    ]:
        subcall = Subcall(
            provider=provider,
            model=model,
            at=AT,
            usage=Usage({Meter.INPUT: 10_000}),
            terms={"service_tier": tier},
        )
        found = price([subcall], shipped())
        assert (found.usd, found.status) == (Decimal(0), Status.EXACT)


# -- laws of the whole book ------------------------------------------------------------------------


def prices(tariff: Tariff, meter: Meter) -> list[Decimal]:
    return [rule.prices[meter][0] for rule in tariff.rules if meter in rule.prices]


def test_every_price_has_its_origin() -> None:
    """Each tariff names where its prices were read, and when, in the past."""
    for tariff in shipped().tariffs:
        assert tariff.source, tariff.id
        assert tariff.checked <= AT.date(), tariff.id


def test_anthropic_hour_long_writes_cost_twice_the_input() -> None:
    """A one-hour cache write is twice the input price on every Claude model of every provider."""
    seen = 0
    for tariff in shipped().tariffs:
        if "claude" in tariff.names[0] and tariff.provider != "openrouter":
            inputs = prices(tariff, Meter.INPUT)
            assert prices(tariff, Meter.CACHE_WRITE_1H) == [2 * rate for rate in inputs], tariff.id
            seen += 1
    assert seen > 20


def test_cache_reads_cost_less_than_input() -> None:
    """A cached token is never dearer than a fresh one, in any rule that prices both."""
    for tariff in shipped().tariffs:
        for rule in tariff.rules:
            if {Meter.INPUT, Meter.CACHE_READ} <= set(rule.prices) and not rule.ladder:
                cached, fresh = rule.prices[Meter.CACHE_READ], rule.prices[Meter.INPUT]
                assert cached <= fresh, rule.id


def test_batches_never_cost_more() -> None:
    """No batch costs more than the same call outside it."""
    usage = {Meter.INPUT: 1_000, Meter.CACHE_READ: 500, Meter.OUTPUT: 100}
    for tariff in shipped().tariffs:
        at = tariff.start or (tariff.end and tariff.end.replace(year=tariff.end.year - 1)) or AT
        standard = usd(tariff.provider, tariff.names[0], usage, at)
        batch = usd(tariff.provider, tariff.names[0], usage, at, processing="batch")
        if standard is not None and batch is not None:
            assert batch <= standard, tariff.id


# -- every known unit price, looked up through the book --------------------------------------------

METERS = {
    "web_search": "calls.web_search",
    "web_search_preview": "calls.web_search_preview",
    "file_search": "calls.file_search",
    "x_search": "calls.x_search",
    "search_query": "calls.web_search",
    "fetch_url": "calls.web_fetch",
    "browser_search": "calls.browser_search",
    "browser_open": "calls.browser_open",
    "code_execution": "calls.code_execution",
    "code_execution_hours": "hours.compute",
    "code_interpreter_session": "sessions.code_interpreter",
    "code_interpreter_minutes": "minutes.container",
    "plugin_fee": "calls.plugin",
    "citation": "citation_tokens",
    "cache_read_implicit": "cache_read",
    "cache_read_explicit": "cache_read.explicit",
    "cache_storage_token_hours": "storage.token_hours",
    "vector_storage_gb_days": "storage.gb_days",
    "grounding_prompt": "grounding.prompts",
    "grounding_query": "grounding.queries",
    "maps_prompt": "grounding.maps",
    "pages_annotated": "pages.annotated",
    "ptu_hours": "hours.reserved",
    "request": "requests",
    "request_fee_low": "requests",
    "request_fee_medium": "requests",
    "request_fee_high": "requests",
    "surcharge.long_output": "requests",
    "image.hd.1024x1792": "images",
    "image_gen.input_text": "input",
    "image_gen.output_image": "output.image",
    "input_over_272k": "input",
    "output_over_272k": "output",
    "reserved_capacity.tokens": "input",
    "reserved_capacity.input_burndown": "input",
    "reserved_capacity.output_burndown": "output",
}
PROMPTS = (1_000, 50_000, 150_000, 210_000, 300_000, 600_000)
USED_UP = {
    f"{provider}/{counter}": 10**6
    for provider, counter in product(
        ("gemini", "vertex", "anthropic"),
        (
            "day.grounding-2-flash",
            "day.grounding-2-pro",
            "month.grounding-3",
            "month.code_execution_hours",
        ),
    )
}
# What stands among the prices of a row without being one.
NOT_LOOKED_UP = ("multipliers", "peak_windows_utc", "weekdays", "holidays", "tier_basis")


@dataclass(frozen=True)
class Known:
    """One unit price: this many units of a meter cost so much."""

    model: str
    meter: Meter
    quantity: int
    usd: Decimal


def known(row: Mapping[str, object]) -> Iterator[Known]:
    """The unit prices of a row, multipliers worked in."""
    found = row["prices"]
    assert isinstance(found, dict)
    factor = Decimal(1)
    for value in found.get("multipliers", {}).values():
        factor *= Decimal(value)
    block = found.get("web_search_content_block")
    for name, entry in found.items():
        if not isinstance(entry, dict) or name in (*NOT_LOOKED_UP, "web_search_content_block"):
            continue
        amount, model = Decimal(entry["usd"]), str(row["model"])
        if name == "web_search" and block:  # sold together: so many tokens with each search
            amount += 8_000 * 1_000 * Decimal(block["usd"]) / block["per"]
        for prefix in ("compaction.", "byok.upstream."):
            name = name.removeprefix(prefix)  # noqa: PLW2901 - the name without its role
        if name.startswith("advisor["):
            model, name = name.removeprefix("advisor[").split("].")  # noqa: PLW2901
        if name.startswith("image_gen."):
            model = "gpt-image-1.5"
        meter = Meter(METERS.get(str(name), str(name)))
        is_token = meter.value.startswith(("input", "cache", "output"))
        yield Known(model, meter, int(entry["per"]), amount * (factor if is_token else 1))


def term_choices(row: Mapping[str, object]) -> Iterator[dict[str, TermValue]]:
    """The terms that a row may stand for: its flags say what was asked, not always what came."""
    flags, found = row["flags"], row["prices"]
    assert isinstance(flags, dict)
    assert isinstance(found, dict)
    fixed: dict[str, TermValue] = {}
    if flags.get("batch"):
        fixed["processing"] = "batch"
    if str(flags.get("base_url", "")).startswith(("https://eu.", "https://us.")):
        fixed["region"] = str(flags["base_url"])[8:10]
    for flag, term in [
        ("region", "region"),
        ("speed", "speed"),
        ("size", "size"),
        ("quality", "quality"),
        ("resolution", "resolution"),
    ]:
        if flag in flags:
            fixed[term] = flags[flag]
    if flags.get("enable_thinking"):
        fixed["mode"] = "thinking"
    if "web_search_options" in flags:
        fixed["search_context_size"] = flags["web_search_options"]["search_context_size"]
    if "surcharge.long_output" in found:
        fixed["output_tokens"] = 4_001
    tier = flags.get("service_tier", flags.get("serviceTier", {"type": "standard"}))
    tier = tier["type"] if isinstance(tier, dict) else tier
    reserved = any(name.startswith("reserved") for name in found)
    tiers = (tier, "scale", "priority", "provisioned") if reserved else (tier, "flex", "standard")
    deployments = (flags.get("deployment_type", ""), "GlobalStandard")
    for served, geo, deployment, memory, prompt in product(
        tiers, ("", "us"), deployments, (1, 4), PROMPTS
    ):
        choice = {**fixed, "service_tier": served, "inference_geo": geo, "deployment": deployment}
        yield {**choice, "container_memory_gb": memory, "prompt_tokens": prompt}


def costs(provider: str, item: Known, at: datetime, terms: dict[str, TermValue]) -> Decimal | None:
    """What the book asks for one unit price's quantity of its meter, and nothing else."""
    subcall = Subcall(
        provider=provider,
        model=item.model,
        at=at,
        usage=Usage({item.meter: item.quantity}),
        terms=terms,
    )
    lines = price([subcall], shipped(), counters=USED_UP).lines
    found = [line.usd for line in lines if line.meter is item.meter]
    return sum(found, Decimal(0)) if found else None


def holds(row: Mapping[str, object]) -> bool:
    """Whether some terms that the row may stand for give all of its prices at once."""
    provider, at = str(row["provider"]), datetime.fromisoformat(str(row["at"]))
    items = list(known(row))
    if "fx_cny_usd" in str(row["prices"]):
        subcalls = [
            Subcall(provider=provider, model=i.model, at=at, usage=Usage({i.meter: i.quantity}))
            for i in items
        ]
        return [price([part], CNY).usd for part in subcalls] == [item.usd for item in items]
    return any(
        all(costs(provider, item, at, terms) == item.usd for item in items)
        for terms in term_choices(row)
    )


def rows(name: str) -> list[dict[str, object]]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is absent: it lies beside the checkout where the shared data is kept")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_known_price_is_in_the_book() -> None:
    """Each published unit price of the shared list is what the book asks at that instant."""
    wrong, looked_up = [], 0
    for number, row in enumerate(rows("price_facts.jsonl")):
        found = row["prices"]
        assert isinstance(found, dict)
        if "reported_cost" in found:
            assert shipped().prefers_reported(str(row["provider"]))
            continue
        if row["model"] == "Qwen3-110B" and found["output"]["usd"] != "0":
            continue  # supposes an output price; the specification of the model states none
        if list(found) == ["request"] and row["provider"] == "anthropic":
            continue  # a failed request, which is not billed: no price is asked for it
        looked_up += 1
        if not holds(row):
            wrong.append((number, row["provider"], row["model"], row["at"], found))
    assert not wrong
    assert looked_up > 250
