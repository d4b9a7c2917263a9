"""`taximeter loadtest`: an open loop, timed from its schedule, that never passes its limit."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.history.turns import traffic
from evaluation.loadtest import mix, page, schedule, sentences
from evaluation.loadtest.mix import Request
from evaluation.loadtest.money import Cap
from evaluation.loadtest.outcomes import Outcome, bursts, figures, good, times
from evaluation.loadtest.prompts import outgoing
from evaluation.loadtest.slo import slos
from evaluation.loadtest.target import credential, target
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.settings import sources
from proxy.settings.config import Config
from support.histories import MINI, row, rows_of
from support.loads import document_of

ONE = np.random.default_rng
SMALL = Request(input_tokens=50, output_tokens=60)
Found = dict[str, Any]


@pytest.fixture(scope="module")
def config() -> Config:
    """The packaged settings."""
    return sources.load(None, {"HOME": "/nowhere"})


def test_times_tokens_and_costs_are_measured(config: Config) -> None:
    """As the rows of such calls would have them; reasoning is no visible token."""
    found = document_of(
        config,
        {"head-s": "0.02", "first-token-s": "0.03", "tokens-per-s": "1000", "output-tokens": "40",
         "reasoning-tokens": "20"},
    )  # fmt: skip
    (step,) = found["steps"]
    assert step["ok"] == step["sent"] == step["due"] > 5
    assert step["ttft"]["p50"]["value"] >= 0.05
    assert step["total"]["p50"]["value"] >= step["ttft"]["p50"]["value"]
    assert step["itl"]["p50"]["value"] > 0
    assert step["output_tokens"] == 40 * step["ok"]
    assert step["usd_unknown"] == 0
    assert Decimal(found["spent_usd"]) == Decimal(step["usd"]) > 0
    assert Decimal(found["spent_usd"]) <= Decimal(found["quote"]["most_usd"]) + Decimal("0.01")
    assert step["slo"] == [{"slo": "p95_ttft<1s", "value": step["slo"][0]["value"], "limit": 1.0,
                            "met": True}]  # fmt: skip
    assert step["goodput_per_s"] == pytest.approx(step["ok_per_s"])
    json.dumps(found)
    assert "Load test of" in page.page(found)
    assert "met" in " ".join(sentences.ended(found))


@pytest.mark.parametrize(
    ("steering", "kind", "error"),
    [
        ({"status": "429"}, "limited", "http_429"),
        ({"status": "500"}, "failed", "http_500"),
        ({"cut-after": "3", "output-tokens": "20"}, "failed", ""),
    ],
)
def test_what_fails_is_a_result(
    config: Config, steering: dict[str, str], kind: str, error: str
) -> None:
    """Counted by what it was, good for nothing, and never left out."""
    found = document_of(config, steering)
    (step,) = found["steps"]
    assert step[kind] == step["due"] > 5
    assert step["good_share"] == 0
    assert step["error_rate"] == 1
    assert step["slo"][0]["met"] is None
    assert not error or step["errors"] == {error: step["due"]}


@pytest.mark.thorough
def test_what_is_open_at_the_end_is_censored(config: Config) -> None:
    """It counts by the time it had taken: percentiles that it reaches are lower bounds."""
    found = document_of(config, {"first-token-s": "3"}, drain_s=0.3)
    (step,) = found["steps"]
    assert step["censored"] == step["due"]
    assert step["ttft"]["lower_bound"] is True
    assert step["ttft"]["p50"]["value"] >= 0.3
    assert step["goodput_per_s"] == 0
    assert "still open" in " ".join(sentences.ended(found))


def test_the_schedule_does_not_wait_for_answers(config: Config) -> None:
    """All that is due is sent, though the first answers come after the last request."""
    found = document_of(config, {"first-token-s": "0.7"})
    (step,) = found["steps"]
    assert step["ok"] == step["due"] > 10
    assert step["total"]["max"] < 2.0


def test_no_limit_of_money_is_passed(config: Config) -> None:
    """Requests that could pass it are not sent, and are counted."""
    found = document_of(config, {}, cap="0.001", seconds=1.0)
    (step,) = found["steps"]
    assert step["capped"] > 0
    assert step["ok"] + step["capped"] == step["due"]
    assert Decimal(found["spent_usd"]) <= Decimal("0.001")
    assert "could exceed --max-usd" in " ".join(sentences.ended(found))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100), st.booleans()), max_size=40))
def test_a_cap_holds_whatever_happens(calls: list[tuple[int, int, bool]]) -> None:
    """In any order of beginnings and ends, known costs or not."""
    cap, held = Cap(Decimal(50)), dict[int, Decimal]()
    for number, (most, share, ends) in enumerate(calls):
        if cap.hold(number, Decimal(most)):
            held[number] = Decimal(most)
        if ends and held:
            first = next(iter(held))
            usd = held.pop(first) * share / 100
            cap.settle(first, None if share > 90 else usd)
        assert cap.committed <= 50
        assert cap.committed == cap.spent + sum(held.values(), Decimal(0))
    assert not cap.hold(-1, None)


def test_a_crowd_makes_a_burst_tail(config: Config) -> None:
    """A provider that is fast until many come at once: p95 in the calm, and p95 in bursts."""
    chance = ONE(3)
    calm = [Outcome(due_s=at, kind="ok", ended_s=0.6, ttft_s=0.6) for at in np.arange(0, 60, 1.0)]
    crowd = [
        Outcome(due_s=30 + float(at), kind="ok", ended_s=4.3, ttft_s=4.2)
        for at in chance.random(20)
    ]
    found = bursts([*calm, *crowd])
    assert found is not None
    assert found["tail"] is True
    assert found["calm"]["p95_ttft"]["value"] == 0.6  # type: ignore[index]
    assert found["burst"]["p95_ttft"]["value"] == 4.2  # type: ignore[index]
    said = sentences.bursts(found)
    assert "0.60 s in the calm" in said
    assert "4.20 s in bursts" in said
    slow = document_of(config, {"first-token-s": "0.1", "crowd": "3", "crowd-factor": "8"})
    assert slow["steps"][0]["ttft"]["p95"]["value"] > 0.3


@pytest.mark.parametrize("shape", ["poisson", "gamma"])
def test_arrivals_have_their_rate_and_their_bursts(shape: str) -> None:
    """The mean gap is that of the rate; gaps of gamma arrivals deviate `cv` times as much."""
    at = schedule.due(shape, 20.0, 1000.0, ONE(1), cv=3.0)
    gaps = np.diff(at)
    assert len(at) / 1000 == pytest.approx(20.0, rel=0.1)
    cv = gaps.std() / gaps.mean()
    assert cv == pytest.approx(1.0 if shape == "poisson" else 3.0, rel=0.15)


def test_recorded_arrivals_are_laid_over_each_other() -> None:
    """Denser by copies, so gaps stay what they were; too few cannot be made into many."""
    trace = np.cumsum(ONE(2).exponential(0.5, 2000)).tolist()
    at = schedule.due("trace", 8.0, 200.0, ONE(1), trace_s=trace)
    assert len(at) / 200 == pytest.approx(8.0, rel=0.15)
    with pytest.raises(ValueError, match="too few to lay over each other"):
        schedule.due("trace", 100.0, 1.0, ONE(1), trace_s=[0.0, 3600.0])
    with pytest.raises(ValueError, match="no recorded arrivals"):
        schedule.due("trace", 1.0, 1.0, ONE(1))


def test_the_mix_of_rows_is_repeated_in_its_order() -> None:
    """Sizes, tools, sessions and cached prefixes; each round has sessions of its own."""
    calls = [
        row(float(at), MINI, 1000 + at, 50, cached=600, session_id=f"s{at // 2}", tool_calls=at % 2)
        for at in range(10)
    ]
    failed = row(20.0, MINI, 10, 5) | {"outcome": "http_error", "http_status": 500}
    found = mix.recorded(traffic(rows_of([*calls, failed])).turns, "7d")
    requests = found.plan(30, ONE(1))
    assert sorted({one.input_tokens for one in requests}) == list(range(1000, 1010))
    assert all(one.cached_tokens == 600 for one in requests)
    assert sum(one.tools for one in requests) == 15
    assert len({one.session for one in requests}) in (15, 16, 17, 18, 19, 20)
    assert len(found.arrivals_s) == 10
    with pytest.raises(ValueError, match="no call of the last 7d can be repeated"):
        mix.recorded(traffic(rows_of([failed])).turns, "7d")


def test_a_mix_file_is_a_mix(tmp_path: Path) -> None:
    """Weights, ranges, sessions with as many turns, and prefixes that they share."""
    file = tmp_path / "mix.toml"
    file.write_text(
        "[[request]]\nweight = 3\ninput_tokens = [10, 20]\noutput_tokens = 5\n"
        "[[request]]\ninput_tokens = 100\ncached_tokens = 80\noutput_tokens = 7\nturns = 4\n"
        "tools = true\nstream = false\n"
    )
    requests = mix.read(file).plan(4000, ONE(1))
    second = [one for one in requests if one.tools]
    assert len(second) / 4000 == pytest.approx(0.25, rel=0.1)
    assert {one.input_tokens for one in requests if not one.tools} == set(range(10, 21))
    counts = [len([o for o in second if o.session == name]) for name in {o.session for o in second}]
    assert max(counts) == 4
    assert np.mean(counts) > 3
    assert {one.cached_tokens for one in second} == {80}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no request; write one as [[request]]"),
        ("[[request]]\ninput_tokens = 5", "output_tokens is missing"),
        ("[[request]]\ninput_tokns = 5", "did you mean input_tokens?"),
        ("[[request]]\ninput_tokens = [9, 5]\noutput_tokens = 1", "or [LOW, HIGH]"),
        ("[[request]]\ninput_tokens = 5\noutput_tokens = 1\ncached_tokens = 6", "at most 5"),
        ("[[request]]\ninput_tokens = 5\noutput_tokens = 1\nstream = 1", "true or false"),
        ("[[request]]\ninput_tokens = 5\noutput_tokens = 1\nweight = 0", "a weight above 0"),
        ("[[requests]]\ninput_tokens = 5", "did you mean request?"),
    ],
)
def test_a_wrong_mix_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With what is wrong in it."""
    file = tmp_path / "mix.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        mix.read(file)


def test_prompts_vary_but_for_what_is_cached(config: Config) -> None:
    """Equal texts would be answered from a cache; as many words as tokens were planned."""
    request = Request(input_tokens=300, output_tokens=9, cached_tokens=200, prefix="s1")
    for name in ("openai", "anthropic", "gemini", "mistral"):
        provider = config.providers[name]
        one, other = (outgoing(provider, "m", request, seed) for seed in ("1", "2"))
        assert one.body != other.body
        texts = json.dumps(one.body), json.dumps(other.body)
        assert len(set(texts[0].split()) & set(texts[1].split())) > 20
        assert 280 <= len(texts[0].split()) <= 420
        assert "9" in texts[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p95_tft<1s", "did you mean p95_ttft?"),
        ("p95_ttft", "write it as in"),
        ("p95_ttft>1s", "write it as in"),
        ("p95_ttft<1", "needs a time with its unit"),
        ("errors<3s", "is a share"),
        ("errors<300%", "is a share"),
    ],
)
def test_a_wrong_slo_is_refused(text: str, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match=re.escape(said)):
        slos([text])


def test_an_slo_is_read_with_its_units() -> None:
    """Milliseconds, percentages, and several with commas."""
    found = slos(["p95_ttft<800ms,errors<1%", "p99_total<=2m"])
    assert [(one.metric, one.at, one.limit) for one in found] == [
        ("ttft", 0.95, 0.8), ("error_rate", None, 0.01), ("total", 0.99, 120.0),
    ]  # fmt: skip
    fast = Outcome(due_s=0, kind="ok", ended_s=1.0, ttft_s=0.5)
    assert good(fast, found)
    assert not good(replace(fast, ttft_s=0.9), found)
    assert not good(replace(fast, kind="failed"), found)


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("http://example.com/v1", "m", "not an address of this machine"),
        ("http://localhost.example.com", "m", "not an address of this machine"),
        ("http://10.0.0.1:8000", "m", "not an address of this machine"),
        ("http://user:x@127.0.0.1:8000", "m", "without user"),
        ("http://127.0.0.1:8000", "", "--send-model"),
        ("ftp://127.0.0.1", "m", "not an address of this machine"),
        ("openai", "", "only what is configured"),
        ("opnai/gpt-5.4", "", "only what is configured"),
        ("openai/gpt-5.4", "m", "are for an address"),
        ("cohere/command-a", "", "cannot speak its dialect"),
        ("azure/gpt-5.4", "", "set providers.azure.base_url first"),
    ],
)
def test_nobody_else_is_loaded(config: Config, name: str, model: str, said: str) -> None:
    """Only what is configured, and what is on this machine."""
    with pytest.raises(ValueError, match=re.escape(said)):
        target(config, name, model, unbilled=False)


def test_a_key_is_asked_for(config: Config) -> None:
    """By the name of its variable; none for an address."""
    paid = target(config, "openai/gpt-5.4", "", unbilled=False)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        credential(config, paid, {}, variable="GATEWAY_TOKEN", insecure=False)
    assert credential(config, paid, {"OPENAI_API_KEY": "k"}, variable="", insecure=False) == "k"
    local = target(config, "http://[::1]:8000/v1", "m", unbilled=True)
    assert local.address == "http://[::1]:8000"
    assert credential(config, local, {}, variable="", insecure=False) == ""


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 10), st.sampled_from(["ok", "limited", "failed", "censored", "capped"]),
            st.floats(0.01, 5),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_every_request_is_counted_once(made: Sequence[tuple[float, Any, float]]) -> None:
    """Whatever became of them; and percentiles are in order."""
    outcomes = [
        Outcome(due_s=at, kind=kind, ended_s=took, ttft_s=took / 2 if kind == "ok" else None)
        for at, kind, took in made
    ]
    found: Any = figures(outcomes, slos(["p95_ttft<1s"]), 10.0)
    kinds = ("ok", "limited", "failed", "censored", "capped", "overflow")
    assert sum(found[kind] for kind in kinds) == found["due"] == len(outcomes)
    assert found["goodput_per_s"] <= found["ok_per_s"]
    total: Any = times([one for one in outcomes if one.sent], "total")
    if total["count"]:
        values = [total[at]["value"] for at in ("p50", "p90", "p95", "p99")]
        assert values == sorted(values)
    json.dumps(found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "fast"], "write it as 20/s"),
        (["--rounds", "5"], "--rounds are of --concurrency"),
        (["--concurrency", "1,2", "--rate", "5/s", "--seconds", "3"], "whatever --rate, --seconds"),
        (["--concurrency", "1,1000", "--rounds", "60"], "lower --concurrency or --rounds"),
        (["--mix", "none.toml"], "No such file"),
        (["--slo", "p95<1s"], "unknown metric"),
        (["--mix", "7d"], "can be repeated"),
        (["--max-usd", "0.0001", "--rate", "100/s"], "is expected to cost"),
        (["--target", "openai/not-a-model"], "no price is known for openai/not-a-model"),
        (["--target", "http://example.com"], "not an address of this machine"),
        (["--mix", "FILE", "--team", "a"], "filters choose recorded calls"),
    ],
)
def test_mistakes_are_told(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Exit code 2 before anything is sent, and what to do."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = tmp_path / "mix.toml"
    file.write_text("[[request]]\ninput_tokens = 500\noutput_tokens = 500\n")
    known = [str(file) if word == "FILE" else word for word in words]
    usual = {"--target": MINI, "--max-usd": "1", "--mix": str(file)}
    given = dict(zip(known[::2], known[1::2], strict=True))
    flags = [word for pair in (usual | given).items() for word in pair]
    assert main(["loadtest", *flags, "--data", str(tmp_path / "data")]) == Exit.MISTAKE
    assert said in capsys.readouterr().err


def test_a_quote_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what the test costs, as JSON too, and needs no key for that."""
    file = tmp_path / "mix.toml"
    file.write_text("[[request]]\ninput_tokens = 500\noutput_tokens = 50\n")
    words = ["--target", MINI, "--mix", str(file), "--max-usd", "1", "--quote", "--rate", "5/s"]
    code = main(["loadtest", *words, "--data", str(tmp_path / "data"), "--json"])
    assert code == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == []
    requests, expected = found["quote"]["requests"], Decimal(found["quote"]["expected_usd"])
    each = Decimal(str(row(0.0, MINI, 500, 50)["cost_usd"]))
    assert expected == requests * each
    assert Decimal(found["quote"]["most_usd"]) > expected
