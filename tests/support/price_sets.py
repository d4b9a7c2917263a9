"""What tests of the public price sets share: a small set in each format, and an import of it."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from pricing import TariffBook
from pricing.upkeep.bedrock import Surcharge
from pricing.upkeep.import_plan import Plan, Wanted, plan
from pricing.upkeep.listing import Listing, PriceSet

DAY = date(2026, 11, 28)
ORIGIN = "https://prices.example/set.json"
NO_SURCHARGE = Surcharge(Decimal(1), ())
NO_FILES: Mapping[str, str] = {}


def litellm(**models: Mapping[str, object]) -> dict[str, object]:
    """A cost map of models of OpenAI's."""
    return {name: {"litellm_provider": "openai", **fields} for name, fields in models.items()}


def costs(input: str = "2e-6", output: str = "8e-6", **more: object) -> dict[str, object]:
    figures = {"input_cost_per_token": Decimal(input), "output_cost_per_token": Decimal(output)}
    return {**figures, **more}


FLEX: Mapping[str, Any] = {
    "input_cost_per_token_flex": Decimal("1e-6"),
    "output_cost_per_token_flex": "4e-6",
}
LONG: Mapping[str, Any] = {"input_cost_per_token_above_200k_tokens": "4e-6"}
DEV_TIER = {"tier": {"size": 200_000}, "input": 4, "output": 8, "cache_read": Decimal("0.4")}
ROUTER = {"prompt": "0.000002", "completion": "0.000008", "input_cache_read": "0.0000002"}
SETS: Mapping[str, tuple[str, object]] = {
    "litellm": (
        "openai",
        litellm(big=costs(cache_read_input_token_cost=Decimal("2e-7"), **FLEX, **LONG)),
    ),
    "genai-prices": (
        "openai",
        [
            {
                "id": "openai",
                "pricing_urls": ["https://openai.example"],
                "models": [
                    {
                        "id": "big",
                        "match": {"equals": "big"},
                        "prices": {
                            "input_mtok": {
                                "base": "2",
                                "tiers": [{"start": 200_000, "price": "4"}],
                            },
                            "cache_read_mtok": "0.2",
                            "output_mtok": "8",
                        },
                    }
                ],
            }
        ],
    ),
    "models.dev": (
        "openai",
        {
            "openai": {
                "doc": "https://openai.example",
                "models": {
                    "big": {
                        "id": "big",
                        "cost": {
                            "input": 2,
                            "output": 8,
                            "cache_read": Decimal("0.2"),
                            "tiers": [DEV_TIER],
                        },
                    }
                },
            }
        },
    ),
    "openrouter": (
        "openrouter",
        {
            "data": [
                {
                    "id": "big",
                    "pricing": {
                        **ROUTER,
                        "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000004"}],
                    },
                }
            ]
        },
    ),
}


def planned(
    document: object,
    files: Mapping[str, str] = NO_FILES,
    day: date = DAY,
    *,
    provider: str = "openai",
    only: tuple[str, ...] = (),
    override: bool = False,
) -> Plan:
    """What an import of `document` into these files would do."""
    return plan(
        document,
        book=TariffBook.parse(files),
        files=files,
        wanted=Wanted(providers={provider}, only=only, override=override),
        day=day,
        origin=ORIGIN,
        surcharge=NO_SURCHARGE,
    )


def only(found: PriceSet) -> Listing:
    """The listing of a set that leaves nothing out."""
    assert not found.left_out
    (listing,) = found.listings
    return listing
