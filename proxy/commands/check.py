"""`taximeter check`: checks the configuration and shows the settings in force."""

import argparse

from proxy.commands import terminal
from proxy.commands.arguments import add_common
from proxy.commands.serve import usable_configuration
from proxy.commands.terminal import Column, Exit
from proxy.serving.instance import describe
from proxy.settings.config import QUIRKS, AlertOptions, Config, Provider

PROVIDERS = (
    Column("name", "provider"),
    Column("here", "base URL"),
    Column("base_url", "forwards to"),
    Column("dialect", "dialect"),
    Column("quirks", "quirks"),
    Column("owns", "also owns"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return check(usable_configuration(arguments), as_json=arguments.json)


def check(config: Config, *, as_json: bool) -> Exit:
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
        "journal_share_max": config.alerts.journal_share_max,
        "lag_max_s": config.alerts.lag_max_s,
        "quiet_s": config.alerts.quiet_s,
    }
    if as_json:
        terminal.emit({**where, "alerts": alerts, "providers": rows})
        return Exit.OK
    for name, value in {**where, "alerts": _alerts(config.alerts)}.items():
        terminal.say(f"{name:8} {value}")
    terminal.say("")
    terminal.show(PROVIDERS, rows)
    terminal.say("")
    for name, meaning in QUIRKS.items():
        terminal.say(f"quirk {name}: {meaning}")
    return Exit.OK


def _alerts(alerts: AlertOptions) -> str:
    """Where alerts go and when they fire, in one line."""
    targets = "log, console and webhook" if alerts.webhook else "log and console"
    return (
        f"to {targets}: a journal {alerts.journal_share_max:.0%} full, rows waiting for "
        f"{alerts.lag_max_s:g} s, any loss; resolved after {alerts.quiet_s:g} s"
    )


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
