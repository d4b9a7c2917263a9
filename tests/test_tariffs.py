"""The shipped tariffs: what they hold, and that they hold every published price we know of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.tariff import Rule, Tariff
from pricing.usage import TOKEN_METERS, TermValue
from support.books import shipped

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "pricing"
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


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


ROUNDED = Decimal("0.006")  # some lists have no more than two places
DEARER_INPUT = {  # models whose output is listed below their input
    ("openai", "gpt-5-image-mini"),  # text; what it is for is images
    ("openrouter", "openai/gpt-5-image-mini"),
    ("openrouter", "deepseek/deepseek-v4.1-flash"),  # OpenRouter's list; it states each cost
    ("perplexity", "pplx-decider-v1.2"),  # decides, writes nothing
    ("qwen", "Qwen3-110B"),  # its specification names no output price
}


def test_every_price_has_its_origin() -> None:
    """Each tariff names where its prices were read, and when, in the past."""
    for tariff in shipped().tariffs:
        assert tariff.source, tariff.id
        assert tariff.checked <= AT.date(), tariff.id


def together(first: Meter, second: Meter) -> Iterator[tuple[Tariff, Rule, Decimal, Decimal]]:
    """Every rule that prices both meters once each, with the two prices."""
    for tariff in shipped().tariffs:
        for rule in tariff.rules:
            if {first, second} <= set(rule.prices) and not rule.ladder:
                yield tariff, rule, rule.prices[first][0], rule.prices[second][0]


def test_claude_cache_writes_cost_by_their_lifetime() -> None:
    """Wherever Claude is sold, an hour in the cache costs twice the input, five minutes 1.25 times.

    Claude 3 Haiku alone was listed at 0.30 for 0.3125.
    """
    wrong, seen = [], 0
    for meter, factor in ((Meter.CACHE_WRITE_1H, 2), (Meter.CACHE_WRITE_5M, Decimal("1.25"))):
        for tariff, rule, fresh, written in together(Meter.INPUT, meter):
            if "claude" in tariff.names[0] and "claude-3-haiku" not in tariff.names[0]:
                seen += 1
                if abs(written - fresh * factor) > ROUNDED:
                    wrong.append((rule.id, tariff.names[0], meter.value, fresh, written))
    assert not wrong
    assert seen > 200


def test_cache_reads_cost_no_more_than_input() -> None:
    """A cached token is never dearer than a fresh one, in any rule that prices both."""
    reads = (Meter.CACHE_READ, Meter.CACHE_READ_EXPLICIT)
    wrong = [
        (rule.id, tariff.names[0])
        for meter in reads
        for tariff, rule, fresh, cached in together(Meter.INPUT, meter)
        if cached > fresh
    ]
    assert not wrong


def test_output_costs_no_less_than_input() -> None:
    """What a model makes costs at least what it reads, but for those that are known not to."""
    wrong = [
        (rule.id, tariff.names[0], fresh, made)
        for tariff, rule, fresh, made in together(Meter.INPUT, Meter.OUTPUT)
        if made < fresh and (tariff.provider, tariff.names[0]) not in DEARER_INPUT
    ]
    assert not wrong


def test_no_price_is_a_unit_off() -> None:
    """No token price is a thousand times another provider's for a model of the same name."""
    by_name: dict[tuple[str, Meter], list[tuple[Decimal, str]]] = {}
    for tariff in shipped().tariffs:
        for rule in tariff.rules:
            for meter, figures in rule.prices.items():
                if meter in TOKEN_METERS and figures[0]:
                    name = tariff.names[0].lower().rpartition("/")[2].partition(":")[0]
                    by_name.setdefault((name, meter), []).append((figures[0], rule.id))
    wrong = [
        (name, meter.value, min(found), max(found))
        for (name, meter), found in by_name.items()
        if max(found)[0] >= 200 * min(found)[0]
    ]
    assert not wrong


def test_token_prices_are_of_this_world() -> None:
    """No million tokens costs less than $0.0005 or more than $1,000, and no embedding over $10."""
    wrong = []
    for tariff in shipped().tariffs:
        small = any(word in tariff.names[0] for word in ("embed", "rerank"))
        for rule in tariff.rules:
            for meter, figures in rule.prices.items():
                most = 10 if small and meter is Meter.INPUT else 1_000
                if meter in TOKEN_METERS and rule.currency == "USD":
                    for figure in figures:
                        if figure and not Decimal("0.0005") <= figure <= most:
                            wrong.append((rule.id, tariff.names[0], meter.value, figure))
    assert not wrong


def test_no_cached_price_is_zero() -> None:
    """A cache that costs nothing is a price that somebody did not know; free models aside."""
    wrong = [
        (rule.id, tariff.names[0])
        for tariff, rule, fresh, cached in together(Meter.INPUT, Meter.CACHE_READ)
        if fresh and not cached
    ]
    assert not wrong


def test_the_book_is_broad() -> None:
    """Twenty providers and six hundred models have a price today."""
    now = {
        (tariff.provider, tariff.names[0])
        for tariff in shipped().tariffs
        if shipped().find(tariff.provider, tariff.names[0], AT)
    }
    assert len({provider for provider, _ in now}) >= 20
    assert len(now) >= 600


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
