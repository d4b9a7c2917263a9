"""Checks the targets for alerts.  No message quotes a URL, a header or a secret.  No I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from exporters.notify.machines import PAGERDUTY_KEY, secret_key
from proxy.settings.config import Config, NotifyOptions
from proxy.settings.typed import nearest

LOG = "log"  # the target that is always there
TARGET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
WEBHOOK = re.compile(r"https?://([^/?#@\s]*@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?([/?#]|$)")
HEADER = re.compile(r"[!#$%&'*+.^`|~\w-]+:[^\x00-\x1f\x7f]*", re.ASCII)  # RFC 9110, 5.1 and 5.5
ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
ENCRYPTIONS = ("starttls", "tls", "none")
# What each type needs, and what else it takes.
TYPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "slack": (("url",), ()),
    "teams": (("url",), ()),
    "discord": (("url",), ()),
    "pagerduty": (("routing_key",), ("url",)),
    "webhook": (("url",), ("secret", "headers")),
    "alertmanager": (("url",), ("headers",)),
    "otlp": (("url",), ("headers",)),
    "smtp": (
        ("host", "sender", "recipients"),
        ("port", "encryption", "username", "password"),
    ),
    LOG: ((), ()),
}


def notify_mistakes(target: NotifyOptions) -> Iterator[str]:
    """All mistakes in one `[notify.NAME]`."""
    key = f"notify.{target.name}"
    if not TARGET_NAME.fullmatch(target.name):
        yield f"{key}: invalid name; use up to 64 of a-z, 0-9, '-' and '_'"
    if target.name == LOG != target.type:
        yield f'{key}: "{LOG}" is the log; choose another name'
    if target.type not in TYPES:
        got = f"unknown type {target.type!r}" if target.type else "required"
        yield f"{key}.type: {got}{nearest(target.type, TYPES)}"
        return
    needed, optional = TYPES[target.type]
    for field in fields(target):
        at = f"{key}.{field.name}"
        given = getattr(target, field.name) != _default(field.name)
        if field.name in needed and not given:
            yield f"{at}: required for type {target.type}"
        elif given and field.name not in (*needed, *optional, "name", "type"):
            yield f"{at}: has no effect with type {target.type}"
    yield from _value_mistakes(key, target)


def unknown_targets(key: str, names: Iterable[str], config: Config) -> Iterator[str]:
    """The names in a list of targets that are none."""
    known = {*config.notify, LOG}
    for name in names:
        if name not in known:
            yield f"{key}: unknown target {name!r}{nearest(name, known)}"


def header_mistakes(key: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Whether these can be sent."""
    if not all(map(HEADER.fullmatch, map(":".join, headers.items()))):
        yield f"{key}: invalid header name or value"


def _value_mistakes(key: str, target: NotifyOptions) -> Iterator[str]:
    if target.url and not WEBHOOK.match(target.url):
        yield f"{key}.url: expected http:// or https:// and a host"
    yield from header_mistakes(f"{key}.headers", target.headers)
    for secret in target.secrets:
        try:
            secret_key(secret)
        except ValueError as error:
            yield f"{key}.secret: {error}"
    if target.routing_key and not re.fullmatch(rf"\w{{{PAGERDUTY_KEY}}}", target.routing_key):
        yield f"{key}.routing_key: expected {PAGERDUTY_KEY} letters and digits"
    if target.type != "smtp":
        return
    if target.encryption not in ENCRYPTIONS:
        known = " | ".join(ENCRYPTIONS)
        yield f"{key}.encryption: expected {known}, got {target.encryption!r}"
    if not 0 <= target.port <= 65_535:
        yield f"{key}.port: expected a port of at most 65535, got {target.port}"
    if bool(target.username) != bool(target.password):
        yield f"{key}.username: set {key}.username and {key}.password together, or neither"
    if target.password and target.encryption == "none":
        yield f'{key}.encryption: "none" would send the password unencrypted'
    for name in ("sender", "recipients"):
        value = getattr(target, name)
        for address in (value,) if isinstance(value, str) else value:
            if address and not ADDRESS.fullmatch(address):
                yield f"{key}.{name}: expected a mail address, got {address!r}"


def _default(name: str) -> object:
    return getattr(NotifyOptions(name=""), name)
