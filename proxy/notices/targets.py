"""Makes the targets from the configuration."""

from collections.abc import Callable, Mapping

from exporters.notify.chat import Discord, Slack, Teams
from exporters.notify.http_target import HttpTarget
from exporters.notify.machines import (
    PAGERDUTY_URL,
    Alertmanager,
    PagerDuty,
    StandardWebhook,
    secret_key,
)
from exporters.notify.other_targets import LogTarget, MailServer, SmtpTarget
from exporters.notify.otlp_event import OtlpEvent
from exporters.notify.target import Format, Target
from proxy.network import client_tls, outgoing_proxy, url_of
from proxy.settings.config import Config, NotifyOptions

WEBHOOK = "alerts.webhook"  # the target that `[alerts] webhook` is: no [notify.NAME] has a dot
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def targets(config: Config) -> list[Target]:
    """All targets.  Call it in the running loop."""
    found = [target(one, config) for one in config.notify.values()]
    if config.alerts.webhook:
        found.append(_http(WEBHOOK, _alertmanager(_webhook_options(config), config), config))
    return found


def loss_targets(config: Config) -> tuple[str, ...]:
    """The names of the targets that are told of losses of our own."""
    own = (WEBHOOK,) if config.alerts.webhook else ()
    return (*config.alerts.notify, *own)


def target(options: NotifyOptions, config: Config) -> Target:
    """One target.  Call it in the running loop."""
    if options.type == "log":
        return LogTarget(options.name)
    if options.type == "smtp":
        server = MailServer(
            host=options.host,
            port=options.port or SMTP_PORTS[options.encryption],
            encryption=options.encryption,
            username=options.username,
            password=options.password,
        )
        return SmtpTarget(
            options.name,
            server,
            sender=options.sender,
            recipients=options.recipients,
            tls=client_tls(config.upstream.ca_file, alpn=False),
        )
    return _http(options.name, _format(options, config), config)


def _http(name: str, format: Format, config: Config) -> HttpTarget:
    tls = client_tls(config.upstream.ca_file)
    return HttpTarget(name, format, tls=tls, outgoing_proxy=outgoing_proxy)


def _format(options: NotifyOptions, config: Config) -> Format:
    url, headers, node = options.url, options.headers, config.node
    formats: Mapping[str, Callable[[], Format]] = {
        "slack": lambda: Slack(url),
        "teams": lambda: Teams(url),
        "discord": lambda: Discord(url),
        "pagerduty": lambda: PagerDuty(
            routing_key=options.routing_key,
            url=url or PAGERDUTY_URL,
            node=node,
            console_url=url_of(config.console),
        ),
        "webhook": lambda: StandardWebhook(
            url, tuple(map(secret_key, options.secrets)), headers, node
        ),
        "alertmanager": lambda: _alertmanager(options, config),
        "otlp": lambda: OtlpEvent(url, headers, node),
    }
    return formats[options.type]()  # `notify_mistakes` refuses any other


def _alertmanager(options: NotifyOptions, config: Config) -> Alertmanager:
    console_url = url_of(config.console)
    return Alertmanager(options.url, options.headers, config.node, console_url)


def _webhook_options(config: Config) -> NotifyOptions:
    alerts = config.alerts
    return NotifyOptions(name=WEBHOOK, url=alerts.webhook, headers=alerts.webhook_headers)
