"""Metrics made of records: names, sums, limits, and the text that Prometheus reads."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporters import prometheus, series
from exporters.otel import call_metrics
from exporters.otel.call_metrics import Metrics
from exporters.otel.semconv import Profile
from exporters.record import EXACT, Record
from exporters.series import Distribution, Family, Histogram, Labels

RECORD = Record(
    ts_us=1_760_000_000_000_000,
    duration_us=1_500_000,
    first_byte_us=250_000,
    stream=True,
    call_id="0199c6a1-0000-7000-8000-000000000001",
    provider="gemini",
    upstream="generativelanguage.googleapis.com",
    operation="generate_content",
    request_model="gemini-2.5-pro",
    response_model="gemini-2.5-pro",
    outcome="ok",
    usage={
        "input": Decimal(100),
        "input.audio": Decimal(20),
        "cache_read": Decimal(30),
        "output": Decimal(7),
        "output.reasoning": Decimal(5),
    },
    usage_origin="reported",
    input_tokens_total=150,
    output_tokens_total=12,
    cache_read_tokens=30,
    reasoning_tokens=5,
    cost_usd=Decimal("0.0123"),
    cost_status="exact",
    tariff="gemini@1",
    source="w:1",
)
FAILED = replace(
    RECORD,
    outcome="http_error",
    error_type="429",
    response_model="",
    usage={},
    usage_origin="none",
    input_tokens_total=None,
    output_tokens_total=None,
    cost_usd=None,
    cost_status="unpriced",
    reasons=("no_usage:x",),
    source="w:2",
)
NAMES = {"gemini": "gcp.gemini"}
BASE = (
    'gen_ai_operation_name="generate_content",gen_ai_provider_name="gcp.gemini",'
    'gen_ai_request_model="gemini-2.5-pro",gen_ai_response_model="gemini-2.5-pro",'
    'server_address="generativelanguage.googleapis.com",server_port="443"'
)


def made(*records: Record, profile: Profile = "compat") -> Metrics:
    found = Metrics(profile, NAMES)
    for record in records:
        found.add(record)
    return found


def by_name(families: Iterable[Family]) -> dict[str, Family]:
    return {family.name: family for family in families}


def value_of(family: Family, **labels: str) -> Decimal:
    """The sum over the points that have these labels, dots written as underscores."""
    total = Decimal(0)
    for pairs, value in family.points:
        own = {name.replace(".", "_"): str(text) for name, text in pairs}
        if labels.items() <= own.items():
            total += value.sum if isinstance(value, Distribution) else Decimal(value)
    return total


# A label's value may hold anything but a bare quote, backslash or line feed.
LINE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})?'
    r" (?P<value>[-+0-9.eE]+|NaN|[-+]Inf)"
)
PAIR = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"')
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parsed(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """(name, labels, value) of each sample, by the grammar of the format."""
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .*", line)
            continue
        found = LINE.fullmatch(line)
        assert found, line
        labels = {
            name: re.sub(r'\\["\\n]', lambda m: UNESCAPED[m[0]], value)
            for name, value in PAIR.findall(found["labels"] or "")
        }
        yield found["name"], labels, found["value"]


def test_prometheus_text() -> None:
    """One call and one failure in the names of v1.41, line by line but for buckets."""
    text = prometheus.render(made(RECORD, FAILED).families()).decode()
    failed = BASE.replace('gen_ai_response_model="gemini-2.5-pro",', "")
    lines = [line for line in text.splitlines() if "_bucket" not in line and line[0] != "#"]
    duration = "gen_ai_client_operation_duration_seconds"
    first = "gen_ai_client_operation_time_to_first_chunk_seconds"
    tokens = "gen_ai_client_token_usage"
    assert lines == [
        f'taximeter_calls_total{{{BASE},taximeter_outcome="ok",taximeter_cost_status="exact"}} 1',
        f'taximeter_calls_total{{{failed},taximeter_outcome="http_error",'
        'taximeter_cost_status="unpriced"} 1',
        f'taximeter_errors_total{{{failed},error_type="429"}} 1',
        f'taximeter_unpriced_calls_total{{{failed},taximeter_reason="no_usage"}} 1',
        f'taximeter_cost_USD_total{{{BASE},taximeter_cost_status="exact"}} 0.0123',
        "taximeter_unpriced_ratio 0.5",
        f"{duration}_sum{{{BASE}}} 1.5",
        f"{duration}_count{{{BASE}}} 1",
        f'{duration}_sum{{{failed},error_type="429"}} 1.5',
        f'{duration}_count{{{failed},error_type="429"}} 1',
        f"{first}_sum{{{BASE}}} 0.25",
        f"{first}_count{{{BASE}}} 1",
        f'{first}_sum{{{failed},error_type="429"}} 0.25',
        f'{first}_count{{{failed},error_type="429"}} 1',
        f'{tokens}_sum{{{BASE},gen_ai_token_type="input"}} 150',
        f'{tokens}_count{{{BASE},gen_ai_token_type="input"}} 1',
        f'{tokens}_sum{{{BASE},gen_ai_token_type="output"}} 12',
        f'{tokens}_count{{{BASE},gen_ai_token_type="output"}} 1',
    ]
    assert "# TYPE taximeter_cost_USD_total counter" in text.splitlines()
    assert f"# TYPE {duration} histogram" in text.splitlines()


def test_buckets() -> None:
    """They have the boundaries of the conventions, and count what is at most each."""
    samples = list(parsed(prometheus.render(made(RECORD).families()).decode()))
    name = "gen_ai_client_operation_duration_seconds_bucket"
    buckets = {labels["le"]: value for found, labels, value in samples if found == name}
    bounds = "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92 +Inf"
    assert list(buckets) == bounds.split()
    assert [bound for bound, value in buckets.items() if value == "0"] == bounds.split()[:8]
    name = "gen_ai_client_token_usage_bucket"
    sizes = [labels["le"] for found, labels, _ in samples if found == name][:15]
    assert sizes == [*(str(4**n) for n in range(14)), "+Inf"]


def test_a_value_on_a_bound_is_under_it() -> None:
    """Buckets include their upper bound."""
    histogram = Histogram(name="x", unit="s", help="", bounds=call_metrics.SECONDS, places=6)
    histogram.add((), 10_000)
    histogram.add((), 10_001)
    ((_, found),) = histogram.family().points
    assert isinstance(found, Distribution)
    assert (found.counts[:3], found.sum) == ((1, 1, 0), Decimal("0.020001"))


def test_latest_names() -> None:
    """The newest conventions: inference and embeddings apart, usage as counters by modality."""
    embeddings = replace(RECORD, operation="embeddings", stream=False)
    found = by_name(made(RECORD, FAILED, embeddings, profile="latest").families())
    gen_ai = {name for name in found if name.startswith("gen_ai.")}
    assert gen_ai == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    }
    for name in ("duration", "operation.input_tokens"):
        points = found[f"gen_ai.client.embeddings.{name}"].points
        assert [dict(labels)["gen_ai.operation.name"] for labels, _ in points] == ["embeddings"]
    read = found["gen_ai.client.inference.usage.input_tokens"]
    chat = {"gen_ai_operation_name": "generate_content"}
    assert value_of(read, gen_ai_token_modality="audio", **chat) == 20
    assert value_of(read, gen_ai_token_modality="text", **chat) == 130
    assert value_of(read, **chat) == 150


def test_a_failed_call_has_no_tokens() -> None:
    """The newest conventions want a zero for it: in the counters and, with its error, the sizes."""
    found = by_name(made(FAILED, profile="latest").families())
    sizes = found["gen_ai.client.inference.operation.input_tokens"].points
    ((labels, size),) = sizes
    assert isinstance(size, Distribution)
    assert (size.count, size.sum) == (1, Decimal(0))
    assert dict(labels)["error.type"] == "429"
    ((labels, count),) = found["gen_ai.client.inference.usage.output_tokens"].points
    assert (count, dict(labels)["gen_ai.token.modality"]) == (0, "unknown")


def test_no_guess_is_a_token_count() -> None:
    """Estimated tokens are in no `gen_ai.` metric; their cost is, with its status."""
    guess = replace(RECORD, usage_origin="estimated", cost_status="estimated")
    found = by_name(made(guess).families())
    assert "gen_ai.client.token.usage" not in found
    assert value_of(found["taximeter.cost"], taximeter_cost_status="estimated") == RECORD.cost_usd


def test_a_batch_item_has_no_time() -> None:
    """A row of a batch is counted and priced; the download's duration is counted once."""
    item = replace(RECORD, source="w:1:batch/one")
    found = by_name(made(item, item, RECORD).families())
    assert value_of(found["taximeter.calls"]) == 3
    assert value_of(found["gen_ai.client.operation.duration"]) == Decimal("1.5")


def test_a_cent_is_a_cent() -> None:
    """A hundred times 0.0123 is 1.23, in digits and in the text."""
    found = made(*[RECORD] * 100)
    assert found.cost.total() == Decimal("1.23")
    text = prometheus.render(found.families()).decode()
    assert [v for name, _, v in parsed(text) if name == "taximeter_cost_USD_total"] == ["1.23"]


@given(st.lists(st.integers(0, 10**33 - 1), max_size=20))
@settings(max_examples=50)
def test_the_cost_is_exact(attodollars: list[int]) -> None:
    """Whatever the calls cost, the counter is their sum to the last of 18 places."""
    found = Metrics()
    for amount in attodollars:
        usd = Decimal(amount).scaleb(-18, context=EXACT)
        found.add(replace(RECORD, cost_usd=usd))
    assert Fraction(found.cost.total()) == Fraction(sum(attodollars), 10**18)


HOSTILE = 'a"} 1\nevil{x="\\ü\u2028\x00'


def test_hostile_values() -> None:
    """No value can end its label, its line or the page; what is not text is replaced."""
    record = replace(RECORD, request_model=HOSTILE, response_model="\ud800", tariff="")
    text = prometheus.render(made(record).families()).decode()
    labels = [labels for name, labels, _ in parsed(text) if name == "taximeter_calls_total"]
    assert [found["gen_ai_request_model"] for found in labels] == [HOSTILE]
    assert [found["gen_ai_response_model"] for found in labels] == ["?"]


@given(st.text(max_size=40))
@settings(max_examples=100)
def test_any_value_survives(value: str) -> None:
    """A label is read back as it was, however it is spelt."""
    labels: Labels = (("x.y", value),)
    family = Family(name="n", kind="gauge", unit="", help="a\nb\\c", points=[(labels, 1)])
    ((name, found, count),) = parsed(prometheus.render([family]).decode())
    assert (name, found, count) == ("n", {"x_y": value}, "1")


def test_made_up_models_are_other() -> None:
    """Names that no tariff knows have a limit, and cannot use up the room of those it does."""
    found = Metrics()
    for number in range(1_000):
        found.add(replace(RECORD, request_model=f"x{number}", response_model="", tariff=""))
    found.add(RECORD)
    found.add(replace(RECORD, request_model="m" * 1_000, tariff=""))
    calls = by_name(found.families())["taximeter.calls"]
    models = {str(dict(labels)["gen_ai.request.model"]) for labels, _ in calls.points}
    assert len(models) == call_metrics.NAMES_MAX + 2
    assert {"other", "gemini-2.5-pro"} <= models
    assert value_of(calls, gen_ai_request_model="other") == 1_000 - call_metrics.NAMES_MAX + 1
    assert found.others.total() == 1_000 - call_metrics.NAMES_MAX + 1
    assert value_of(calls) == 1_002


def test_series_have_a_limit() -> None:
    """Past it, label sets are counted together; no call is missing from the sum."""
    counter = series.Counter(name="x", unit="", help="")
    for number in range(series.SERIES_MAX + 500):
        counter.add((("a", str(number)), ("port", 1)))
    points = counter.family().points
    assert len(points) == series.SERIES_MAX
    assert dict(points)[(("a", "other"),)] == 501
    assert counter.total() == series.SERIES_MAX + 500


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("profile", ["compat", "latest"])
def test_promtool(profile: Profile) -> None:
    """Prometheus's own linter has nothing to say."""
    text = prometheus.render(made(RECORD, FAILED, profile=profile).families())
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
