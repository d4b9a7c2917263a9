"""What changed in configuration and tariffs since the last start, as entries of the audit log.

The settings as they were are in a file, secrets as salted hashes alone; entries show neither.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import msgspec

from proxy.access.audit import Audit, NotAudited
from proxy.access.roles import METER
from proxy.evidence.growth import Growth
from proxy.journal.disk import write_atomically
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

HIDDEN = "(hidden)"


class Settings(msgspec.Struct, frozen=True):
    """What was in force: option → value as JSON, or a hash of it; and the tariffs' version."""

    salt: str
    options: Mapping[str, str]
    hidden: Mapping[str, str]
    tariffs: str


async def note_start(config: Config, tariffs: str, growth: Growth, audit: Audit) -> None:
    """Write the entries of a start.  Never raises."""
    await note_changes(config, tariffs, Places(config.data).settings, audit)
    await note_tree(growth, audit)


async def note_changes(config: Config, tariffs: str, file: Path, audit: Audit) -> None:
    """Write an entry for each kind of change, then keep what is in force now.  Never raises."""
    try:
        old = _read(file)
        new = in_force(config, tariffs, old.salt if old else secrets.token_hex(16))
        if old is not None:
            before, after = differences(old, new)
            if before or after:
                sections = sorted({name.partition(".")[0] for name in (*before, *after)})
                await audit(METER, "configuration-change", ", ".join(sections), before, after)
            if old.tariffs != new.tariffs:
                await audit(METER, "tariffs-change", "all", old.tariffs, new.tariffs)
        if old != new:
            write_atomically(file, msgspec.json.encode(new))
    except (NotAudited, OSError) as error:
        log.error("Cannot note changes of the configuration: %s", error)


async def note_tree(growth: Growth, audit: Audit) -> None:
    """Write an entry if a new tree of evidence began after another one.  Never raises."""
    if growth.began and growth.earlier:
        try:
            await audit(METER, "tree-begin", growth.key.tree, growth.earlier, growth.key.tree)
        except NotAudited as error:
            log.error("Cannot note that a tree began: %s", error)


def in_force(config: Config, tariffs: str, salt: str) -> Settings:
    """The settings, flat."""
    options: dict[str, str] = {}
    hidden: dict[str, str] = {}
    for name, value, is_secret in _flat(config, "", is_secret=False):
        text = msgspec.json.encode(value, enc_hook=str).decode()
        if is_secret and value:
            hidden[name] = hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()
        else:
            options[name] = text
    return Settings(salt, options, hidden, tariffs)


def differences(old: Settings, new: Settings) -> tuple[dict[str, object], dict[str, object]]:
    """The options that differ, with their values before and after; those of secrets are hidden."""
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    for name in sorted({*old.options, *new.options, *old.hidden, *new.hidden}):
        if _value(old, name) == _value(new, name):
            continue
        for of, shown in ((old, before), (new, after)):
            if name in of.hidden:
                shown[name] = HIDDEN
            elif name in of.options:
                shown[name] = msgspec.json.decode(of.options[name])
    return before, after


def _value(of: Settings, name: str) -> tuple[str | None, str | None]:
    return of.options.get(name), of.hidden.get(name)


def _flat(value: object, key: str, *, is_secret: bool) -> Iterator[tuple[str, object, bool]]:
    """(option, value, whether it is a secret) of all options."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            below = f"{key}.{field.name}" if key else field.name
            hides = is_secret or not field.repr
            yield from _flat(getattr(value, field.name), below, is_secret=hides)
    elif isinstance(value, Mapping):
        for name in value:
            yield from _flat(value[name], f"{key}.{name}", is_secret=is_secret)
    else:
        plain = sorted(value, key=str) if isinstance(value, frozenset) else value
        yield key, plain, is_secret


def _read(file: Path) -> Settings | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Settings)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
