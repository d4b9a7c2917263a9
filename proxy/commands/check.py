"""`taximeter check`: checks the configuration and shows the settings in force."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from pricing import TariffBook
from pricing.budget import Budget, percent
from proxy.commands import terminal
from proxy.commands.arguments import add_common
from proxy.commands.serve import usable_configuration
from proxy.commands.terminal import Column, Exit
from proxy.door import keys
from proxy.metering.book import tariff_book
from proxy.serving.instance import describe
from proxy.settings.budget_checks import idle, unseen
from proxy.settings.config import QUIRKS, AlertOptions, Config, Provider
from proxy.settings.gateway_checks import gateway_warnings

BUDGETS = (
    Column("name", "budget"),
    Column("scope", "scope"),
    Column("limit", "limit", number=True),
    Column("period", "period"),
    Column("timezone", "time zone"),
    Column("thresholds", "thresholds"),
    Column("action", "action"),
    Column("notify", "notify"),
)
TARGETS = (Column("name", "target"), Column("type", "type"))
PROVIDERS = (
    Column("name", "provider"),
    Column("base_url", "forwards to"),
    Column("dialect", "dialect"),
    Column("quirks", "quirks", shed=1),
    Column("owns", "also owns", shed=2),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = usable_configuration(arguments)
    return check(config, list(_warnings(config, tariff_book(config))), as_json=arguments.json)


def check(config: Config, warnings: Sequence[str], *, as_json: bool) -> Exit:
    """Print the addresses, the store, the alerts and the providers, without secrets."""
    instance = describe(config)
    rows = [_row(provider, instance.proxy_url) for provider in config.providers.values()]
    where = {
        "proxy": instance.proxy_url,
        "console": instance.console_url,
        "data": instance.data,
        "store": instance.store,
    }
    alerts = {
        "webhook": bool(config.alerts.webhook),
        "webhook_headers": sorted(config.alerts.webhook_headers),
        "notify": list(config.alerts.notify),
        "journal_share_max": config.alerts.journal_share_max,
        "lag_max_s": config.alerts.lag_max_s,
        "quiet_s": config.alerts.quiet_s,
    }
    budgets = [_budget(budget) for budget in config.budgets.values()]
    targets = [{"name": one.name, "type": one.type} for one in config.notify.values()]
    if as_json:
        own = {"budgets": budgets, "targets": targets, "warnings": warnings}
        terminal.emit({**where, "alerts": alerts, **own, "providers": rows})
        return Exit.OK
    for warning in warnings:
        terminal.say(f"warning: {warning}", sys.stderr)
    for name, value in {**where, "alerts": _alerts(config.alerts)}.items():
        terminal.wrapped(f"{name:8} {value}", indent=9)
    for title, columns, lines in (("budgets", BUDGETS, budgets), ("targets", TARGETS, targets)):
        if lines:
            terminal.say(f"\n{title}:")
            terminal.show(columns, lines)
    terminal.say(f"\nThe base URL of a provider is {_base(instance.proxy_url, config)}/PROVIDER:\n")
    terminal.show(PROVIDERS, rows)
    terminal.say("")
    used = {name for provider in config.providers.values() for name in provider.quirks}
    for name, meaning in QUIRKS.items():
        if name in used:
            terminal.wrapped(f"quirk {name}: {meaning}")
    return Exit.OK


def _base(proxy_url: str, config: Config) -> str:
    """What stands before a provider's name in a base URL."""
    return f"{proxy_url}/~token=TOKEN" if config.proxy.token else proxy_url


def _alerts(alerts: AlertOptions) -> str:
    """Where alerts go and when they fire, in one line."""
    targets = ["log", "console", *alerts.notify, *(["webhook"] if alerts.webhook else [])]
    listed = f"{', '.join(targets[:-1])} and {targets[-1]}"
    return (
        f"to {listed}: a journal {alerts.journal_share_max:.0%} full, rows waiting for "
        f"{alerts.lag_max_s:g} s, any loss; resolved after {alerts.quiet_s:g} s"
    )


def _budget(budget: Budget) -> dict[str, str]:
    scope = ", ".join(f"{name}={value}" for name, value in budget.scope.items())
    limit = "none" if budget.limit is None else f"{budget.limit:,f} {budget.unit}"
    return {
        "name": budget.name,
        "scope": scope or "all calls",
        "limit": limit,
        "period": budget.period,
        "timezone": budget.timezone,
        "thresholds": " ".join(map(percent, budget.thresholds)),
        "action": budget.action,
        "notify": " ".join(budget.notify),
    }


def _warnings(config: Config, book: TariffBook) -> Iterator[str]:
    """What does not do yet what it seems to do, or matches no call today."""
    yield from gateway_warnings(config)
    yield from keys.problems(config.gateway.keys, os.environ)
    priced = {name for tariff in book.tariffs for name in tariff.names}
    for budget in config.budgets.values():
        yield from idle(budget)
        model = budget.scope.get("model", "")
        if not any(book.knows(provider, model) for provider in config.providers):
            yield from unseen(budget, {"model": priced})
        provider = config.providers.get(budget.scope.get("provider", ""))
        if provider and not provider.base_url:
            at = f"budgets.{budget.name}.scope.provider"
            yield f"{at}: providers.{provider.name}.base_url is not set, so it gets no calls"


def _row(provider: Provider, proxy_url: str) -> dict[str, str]:
    unset = f"not set: providers.{provider.name}.base_url"
    return {
        "name": provider.name,
        "here": f"{proxy_url}/{provider.name}",
        "base_url": provider.base_url or unset,
        "dialect": provider.dialect,
        "quirks": " ".join(sorted(provider.quirks)),
        "owns": " ".join(provider.owns),
    }
