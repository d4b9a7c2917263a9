"""Reads the settings from their sources: packaged defaults < file < environment < flags.

All mistakes are collected, each with its dotted key and its source, and reported together.
`defaults.toml` is the reference: a new option is a field in `config.py` and a line there.
`typed.py` turns the merged tree into a `Config`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from proxy.settings.checks import mistakes
from proxy.settings.config import Config, Listen, NotifyOptions
from proxy.settings.typed import Layer, SettingsReader, leaves, nearest

PREFIX = "TAXIMETER_"
VARIABLE = "env:"  # begins the text of a secret that an environment variable holds
MAYBE_VARIABLES = ("url", "routing_key", "username", "password")
CONFIG_VARIABLE = "TAXIMETER_CONFIG"  # names the file; read by the command line
# Variables that Kubernetes and Docker links set for a service named "taximeter".
SERVICE_LINK = re.compile(r"_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """The settings are invalid; `mistakes` has one sentence for each mistake, key first."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def defaults() -> dict[str, Any]:
    """The packaged `defaults.toml` as a tree."""
    file = resources.files("proxy.settings").joinpath("defaults.toml")
    return tomllib.loads(file.read_text("utf-8"))


def load(
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    routes: Layer | None = None,
) -> Config:
    """The merged settings.  `overrides` are flags by dotted key, e.g. {"proxy.port": 4000}.

    `routes` is a proposal laid over the file: its routes replace those of the same names whole.
    Raises SettingsError with every mistake of every source.
    """
    here = Path.cwd()
    packaged = defaults()
    reader = SettingsReader()
    reader.overlay(Layer("", packaged, here))
    if file is not None:
        reader.overlay(_file_layer(file, reader.mistakes))
    if routes is not None:
        for name in routes.table.get("gateway", {}).get("routes", {}):
            reader.tree.get("gateway", {}).get("routes", {}).pop(name, None)
        reader.overlay(routes)
    for layer in _environment_layers(environ, reader, here):
        reader.overlay(layer)
    reader.overlay(Layer("a flag", _nested(overrides or {}), here))
    if reader.tree["data"] == "":
        reader.overlay(Layer("", {"data": str(_data_home(environ) / "taximeter")}, here))
    config = reader.read(Config)
    if config is not None:
        config = replace(
            config,
            proxy=_with_token("proxy", config.proxy, reader.mistakes),
            console=_with_token("console", config.console, reader.mistakes),
            notify=_with_variables(config.notify, environ, reader.mistakes),
        )
        told = tuple(f"{mistake.partition(':')[0]}:" for mistake in reader.mistakes)
        found = mistakes(config, packaged["providers"])
        reader.mistakes += [one for one in found if not one.startswith(told)]
    if config is None or reader.mistakes:
        raise SettingsError(tuple(reader.mistakes))
    return config


def dump(config: Config) -> bytes:
    """`config` as one line of JSON, for the child processes."""
    return msgspec.json.encode(config, enc_hook=_plain)


def parse(line: bytes) -> Config:
    """The configuration that `dump` wrote.  Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(line, type=Config, dec_hook=_rich)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} in a Config")


def _rich(kind: type, value: Any) -> object:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} in a Config")


def _file_layer(file: Path, mistakes: list[str]) -> Layer:
    """The user's file; an unreadable one is a mistake and an empty layer."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        mistakes.append(f"{file}: cannot read the file ({error.strerror})")
        table = {}
    except ValueError as error:  # not TOML, or not UTF-8
        mistakes.append(f"{file}: invalid TOML: {error}")
        table = {}
    return Layer(str(file), table, file.absolute().parent)


def _with_token(key: str, listen: Listen, mistakes: list[str]) -> Listen:
    """`listen` with the token from its file."""
    if listen.token_file is None:
        return listen
    if listen.token:
        mistakes.append(f"{key}.token_file: {key}.token is set too; remove one of them")
        return listen
    try:
        token = listen.token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        mistakes.append(f"{key}.token_file: cannot read {listen.token_file}")
        return listen
    if not token:
        mistakes.append(f"{key}.token_file: {listen.token_file} is empty")
    return replace(listen, token=token)


def _with_variables(
    targets: Mapping[str, NotifyOptions], environ: Mapping[str, str], mistakes: list[str]
) -> Mapping[str, NotifyOptions]:
    """`targets` with each `env:NAME` replaced by the value of that variable."""

    def value(text: str, key: str) -> str:
        if not text.startswith(VARIABLE):
            return text
        name = text.removeprefix(VARIABLE)
        if not environ.get(name):
            mistakes.append(f"{key}: environment variable {name or '(no name)'} is not set")
        return environ.get(name, "")

    def resolved(target: NotifyOptions) -> NotifyOptions:
        key = f"notify.{target.name}"
        texts = {name: value(getattr(target, name), f"{key}.{name}") for name in MAYBE_VARIABLES}
        headers = {
            name: value(text, f"{key}.headers.{name}") for name, text in target.headers.items()
        }
        secrets = tuple(value(one, f"{key}.secret") for one in target.secrets)
        return replace(
            target,
            url=texts["url"],
            routing_key=texts["routing_key"],
            username=texts["username"],
            password=texts["password"],
            headers=MappingProxyType(headers),
            secret=secrets or "",
        )

    return MappingProxyType({name: resolved(target) for name, target in targets.items()})


def _environment_layers(
    environ: Mapping[str, str], reader: SettingsReader, base: Path
) -> Iterator[Layer]:
    """One layer per TAXIMETER_ variable, so that mistakes can name it."""
    keys = {
        PREFIX + re.sub(r"[^A-Z0-9]", "_", key.upper()): key for key in leaves(Config, reader.tree)
    }
    for variable in sorted(environ):
        text = environ[variable]
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE or text == "":
            continue  # compose files pass an unset variable as an empty one
        if variable in keys and not SERVICE_LINK_VALUE.match(text):
            yield Layer(variable, _nested({keys[variable]: text}), base, text=True)
        elif variable not in keys and not SERVICE_LINK.search(variable):
            hint = nearest(variable, keys)
            reader.mistakes.append(f"{variable}: unknown setting{hint}")


def _nested(flat: Mapping[str, object]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = value
    return tree


def _data_home(environ: Mapping[str, str]) -> Path:
    """$XDG_DATA_HOME; ignored if it is relative, as the XDG base directory specification says."""
    home = Path(environ.get("XDG_DATA_HOME", ""))
    return home if home.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".local/share"
