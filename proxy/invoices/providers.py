"""The providers whose bills can be compared: how each is read, and which API has it.  Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.invoices import anthropic, clouds, openai, openrouter
from proxy.invoices.statement import Statement, StatementError
from proxy.query.asked import near


@dataclass(frozen=True, slots=True)
class Biller:
    """One provider.  `variable` names the environment's key for its API; "" has none."""

    read: Callable[[str], Statement]
    what: str  # what to download
    variable: str = ""


BILLERS: Mapping[str, Biller] = {
    "openai": Biller(openai.read, "costs and usage, as JSON or CSV", "OPENAI_ADMIN_KEY"),
    "anthropic": Biller(anthropic.read, "cost and usage reports", "ANTHROPIC_ADMIN_KEY"),
    "openrouter": Biller(openrouter.read, "activity or generations", "OPENROUTER_MANAGEMENT_KEY"),
    "gemini": Biller(clouds.google, "billing export, as CSV or lines of JSON"),
    "vertex": Biller(clouds.google, "billing export, as CSV or lines of JSON"),
    "bedrock": Biller(clouds.bedrock, "Cost and Usage Report, as CSV"),
    "azure": Biller(clouds.azure, "cost and usage details, as CSV"),
}


def biller(provider: str) -> Biller:
    """The provider's.  Raises StatementError with a suggestion."""
    if provider not in BILLERS:
        raise StatementError(f"no bills of {provider!r} are read; {near(provider, BILLERS)}")
    return BILLERS[provider]
