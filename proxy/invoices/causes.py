"""Why a bill and our rows differ: a closed list, each with a sentence for finance.  Pure."""

from enum import Enum


class Cause(Enum):
    """A name for an amount.  What has none of these names is unexplained."""

    ELSEWHERE = (
        "calls not through the proxy",
        "The provider counts calls, tokens or whole models that Taximeter never saw.",
    )
    PRICE = (
        "tier or discount not known",
        "The same usage at another price: a service tier or a discount that no tariff states.",
    )
    FREE = (
        "free pool",
        "Usage that the provider gave for free, which Taximeter charged at its price.",
    )
    ROUNDING = ("rounding", "The provider rounds each line of its statement.")
    ZONE = (
        "time zone",
        "The provider's day is not the same one: another zone, or calls over midnight.",
    )
    UNPRICED = ("unpriced", "Calls whose price Taximeter does not know.")
    PLAN = (
        "plan",
        "Seats, commitments and capacity, which are paid for whatever is called.",
    )

    def __init__(self, text: str, sentence: str) -> None:
        self.text = text
        self.sentence = sentence
