"""Whether a flat plan paid for a call: rules of the tariff files about how it reached its provider.

A plan is recognised by what the relay saw (the kind of credential, host, path), and the provider's
own response headers say whether the plan paid or the call is billed beyond it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

import msgspec


class CredentialKind(StrEnum):
    """What kind of credential a call carried.  Closed; the credential itself is never kept."""

    NONE = "none"
    API_KEY = "api_key"  # of any provider, billed by use
    ANTHROPIC_API_KEY = "anthropic_api_key"
    GOOGLE_API_KEY = "google_api_key"
    ADMIN_KEY = "admin_key"
    CLAUDE_OAUTH = "claude_oauth"  # of a Claude subscription
    KIMI_PLAN_KEY = "kimi_plan_key"
    QWEN_PLAN_KEY = "qwen_plan_key"
    MINIMAX_PLAN_KEY = "minimax_plan_key"
    JWT = "jwt"  # such as the one that ChatGPT's sign-in gives to Codex
    GOOGLE_OAUTH = "google_oauth"
    AWS_SIGNATURE = "aws_signature"
    OTHER = "other"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a call reached its provider.  "" means that it is not known."""

    provider: str = ""  # the configured name
    credential: str = ""  # a CredentialKind
    host: str = ""
    path: str = ""
    # Of the response: those that plans ask about.
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    billing: str = ""  # LOCAL or TOKENS, where the configuration decides


NO_ACCESS = Access()
LOCAL = "local"  # a machine of the user's own served the call, so nobody bills it
TOKENS = "tokens"  # its provider bills it by use, whatever it looks like


class Payer(StrEnum):
    """Who pays for a call that came by a plan."""

    PLAN = "plan"
    CALL = "call"  # beyond the plan: it is billed like any other
    UNKNOWN = "unknown"  # the response does not say it in a way that the rules know


# Header → values of which one must hold; "" stands for a header that is absent.
HeaderCondition = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One `[[plan]]` of a tariff file.

    It is about calls to `hosts`, whatever the provider is called, and about those of the file's own
    provider that `credentials` or `paths` tell apart.
    """

    name: str
    provider: str
    source: str
    checked: date
    credentials: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()  # prefixes
    billed_when: tuple[HeaderCondition, ...] = ()
    plan_when: tuple[HeaderCondition, ...] = ()  # of these one must hold, if there are any

    def covers(self, access: Access) -> bool:
        """Whether a call came by this plan."""
        if self.credentials and access.credential not in self.credentials:
            return False
        if self.paths and not access.path.startswith(self.paths):
            return False
        told_apart = bool(self.credentials or self.paths)
        return access.host in self.hosts or (access.provider == self.provider and told_apart)

    def payer(self, access: Access) -> Payer:
        """Who pays, by the response's headers; unknown unless a rule says who."""
        if any(_holds(condition, access.headers) for condition in self.billed_when):
            return Payer.CALL
        if not self.plan_when or any(_holds(each, access.headers) for each in self.plan_when):
            return Payer.PLAN
        return Payer.UNKNOWN

    @property
    def headers(self) -> frozenset[str]:
        """The response headers that its rules ask about."""
        return frozenset(name for each in (*self.billed_when, *self.plan_when) for name in each)


def plan_of(plans: Iterable[Plan], access: Access) -> Plan | None:
    """The first plan that covers a call; none if the configuration says how it is billed."""
    if access.billing:
        return None
    return next((plan for plan in plans if plan.covers(access)), None)


def kept_headers(asked: frozenset[str], headers: Mapping[str, str]) -> Mapping[str, str]:
    """Of a response's headers, by lower-case name, those that are asked about."""
    return MappingProxyType({name: headers[name] for name in sorted(asked & headers.keys())})


def _holds(condition: HeaderCondition, headers: Mapping[str, str]) -> bool:
    return all(
        headers.get(name, "").strip().lower() in values for name, values in condition.items()
    )
