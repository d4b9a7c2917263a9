"""Every name that a document may use, taken from the code that gives it its meaning.

Nothing here is a list of its own: an option is a field of `Config`, a flag an argument of a parser,
a route one of the console's application.
"""

import argparse
import ast
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import msgspec

from exporters import prometheus
from exporters.content import Content
from exporters.record import Record
from exporters.series import Family
from pricing import Meter, Origin, Term
from proxy.commands.cli import COMMANDS
from proxy.console import api
from proxy.console.content_api import ContentApi
from proxy.console.reprice_api import RepriceApi
from proxy.health import vitals
from proxy.journal.counters import LAG_COUNTS, LAG_SUM
from proxy.settings import sources
from proxy.settings.config import Config, Listen
from proxy.settings.places import Places
from proxy.settings.typed import leaves
from support.documents import ROOT

PACKAGES = ("pricing", "exporters", "proxy", "evaluation")
ANY = Any  # for arguments that are not looked at
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


@cache
def options() -> frozenset[str]:
    """Dotted keys of everything that can be set, and of the tables that they are in."""
    keys = set(leaves(Config, sources.defaults()))
    tables = {key.rpartition(".")[0] for key in keys} - {""}
    return frozenset(keys | tables | {"providers"})


def is_option(key: str) -> bool:
    """Whether `key` can be set; a provider's own name and one of its patterns may be any."""
    table, _, name = key.rpartition(".")
    provider = key.split(".")
    if len(provider) == 3 and provider[0] == "providers":
        key = f"providers.openai.{provider[2]}"
    elif len(provider) == 2 and provider[0] == "providers":
        return True
    return key in options() or (table in ("content.patterns", "key_names") and bool(name))


@cache
def variables() -> frozenset[str]:
    """The TAXIMETER_ variables."""
    names = (re.sub(r"[^A-Z0-9]", "_", key.upper()) for key in leaves(Config, sources.defaults()))
    return frozenset({sources.PREFIX + name for name in names} | {sources.CONFIG_VARIABLE})


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """`parser` and those of its actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


@cache
def command_parsers() -> Mapping[str, argparse.ArgumentParser]:
    """The parser of each command of `taximeter`."""
    found = {}
    for command in COMMANDS:
        found[command.name] = argparse.ArgumentParser(prog=f"taximeter {command.name}")
        command.load().add_arguments(found[command.name])
    return found


@cache
def flags() -> frozenset[str]:
    """Those of all commands."""
    every = (inner for each in command_parsers().values() for inner in parsers(each))
    return frozenset({"--version"} | {flag for each in every for flag in each._option_string_actions})


def mistake(words: Sequence[str]) -> str:
    """What `taximeter WORDS` is refused for; "" if it is understood.

    A word in capitals stands for a value.
    """
    name, *rest = words or [""]
    if name.startswith("--"):
        return "" if name in ("--version", "--help") else f"no such flag: {name}"
    if name not in command_parsers():
        return f"no such command: {name}"
    given = ["1" if PLACEHOLDER.fullmatch(word) else word for word in rest]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            command_parsers()[name].parse_args(given)
    except SystemExit as end:
        return said.getvalue() if end.code else ""
    return ""


@cache
def routes() -> Mapping[str, frozenset[str]]:
    """Path of the console → methods."""
    nothing = cast(ANY, None)
    content = ContentApi(Config(data=Path()), nothing, nothing, None, nothing)
    own = [*RepriceApi(nothing, nothing).routes(), *content.routes()]
    found: dict[str, set[str]] = {}
    for route in api.application(nothing, dict, Listen(), commands=own).router.routes():
        if route.resource is not None:
            found.setdefault(route.resource.canonical, set()).add(route.method)
    return {path: frozenset(methods) for path, methods in found.items()}


def is_route(path: str, method: str = "GET") -> bool:
    """Whether the console answers there; a part in capitals or braces stands for any."""
    asked = re.sub(r"\{\w+\}|(?<=/)[A-Z_]+(?=/|$)", "{}", path.partition("?")[0])
    return any(
        re.sub(r"\{\w+\}", "{}", known) == asked and method in methods
        for known, methods in routes().items()
    )


@cache
def reasons() -> frozenset[str]:
    """Every reason that a charge can give, without its detail."""
    folders = ("pricing", "proxy/dialects", "proxy/reading", "proxy/tokens", "proxy/metering")
    texts = {
        text.rstrip(":") for folder in folders for text in _texts(ROOT / folder) if text != ":"
    }
    return frozenset(filter(SNAKE.fullmatch, texts)) | {f"usage_{origin.value}" for origin in Origin}


@cache
def metrics() -> frozenset[str]:
    """Names of metrics, of their labels and of span attributes, and as Prometheus spells them."""
    part = dict.fromkeys((*vitals.METER, *vitals.EXPORTER, *vitals.CONTENT, *LAG_COUNTS, LAG_SUM), 1)
    relay = {"journal": dict.fromkeys(vitals.RELAY, 1), "loop_lag": part, "redactions": {"email": 1}}
    both: dict[str, object] = {**part, **relay}
    webhook = dict.fromkeys(vitals.WEBHOOK, 1)
    found: list[Family] = [
        *vitals.families({"meter": both, "content": both}),
        *vitals.alert_families({"a": "warning"}, (), webhook),
    ]
    names = {family.name for family in found}
    spelled = {prometheus.name(family) for family in found}
    dotted = {text for text in _texts(*map(ROOT.joinpath, PACKAGES)) if "." in text}
    own = {text for text in dotted if text.startswith(("taximeter.", "gen_ai.", "openai."))}
    standard = {text for text in dotted if re.fullmatch(r"(error|server)\.\w+", text)}
    return frozenset(names | spelled | own | standard | {"taximeter_cost_USD_total"})


@cache
def columns() -> frozenset[str]:
    """Columns and tables of the schema."""
    sql = "".join(path.read_text("utf-8") for path in (ROOT / "exporters/schema").glob("*.sql"))
    fields = (*msgspec.structs.fields(Record), *msgspec.structs.fields(Content))
    return frozenset({field.name for field in fields} | set(re.findall(r"\b\w+\b", sql)))


@cache
def files() -> frozenset[str]:
    """Names of our files, and of those inside the data directory."""
    kinds = ("md", "toml", "py", "sql", "yaml", "yml", "json", "css", "html", "js")
    ours = {path.name for kind in kinds for path in ROOT.rglob(f"*.{kind}")}
    places = Places(Path())
    made = {name: getattr(places, name) for name in dir(Places) if name[0] != "_"}
    inside = {str(path) for path in made.values() if isinstance(path, Path)}
    for exporter in ("clickhouse", "content", "otlp"):
        inside |= {str(places.cursor(exporter)), str(places.aside(exporter))}
    return frozenset(ours | inside | {Path(path).name for path in inside})


def is_python(dotted: str) -> bool:
    """Whether a module, a class or what is in one of ours is named so."""
    first, *rest = dotted.split(".")
    if first not in PACKAGES:
        return len(rest) == 1 and rest[0] in identifiers() and first in identifiers()
    for at in range(len(rest), -1, -1):
        with suppress(ModuleNotFoundError):
            value: object = import_module(".".join((first, *rest[:at])))
            for name in rest[at:]:
                value = getattr(value, name, None)
            return value is not None
    return False


@cache
def identifiers() -> frozenset[str]:
    """Names of everything that the packages define, and the texts of one word in them."""
    found = set(_texts(*map(ROOT.joinpath, PACKAGES)))
    for path in _modules(*map(ROOT.joinpath, PACKAGES)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    found.add(node.name)
                case ast.Name():
                    found.add(node.id)
                case ast.Attribute():
                    found.add(node.attr)
                case ast.arg():
                    found.add(node.arg)
    return frozenset(found)


def is_dotted(name: str) -> bool:
    """Whether `name`, with dots in it, is anything of ours; `x.*` is if something begins with x."""
    if name.endswith(".*"):
        begin = name.removesuffix("*")
        return any(known.startswith(begin) for known in options() | metrics())
    return (
        is_option(name)
        or name in METERS | metrics() | files()
        or name.partition(".")[0] in columns() & {"calls", "contents"}
        or is_python(name)
    )


METERS = frozenset(meter.value for meter in Meter)
TERMS = frozenset(term.value for term in Term)


def _modules(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in sorted(folder.rglob("*.py")))


@cache
def _texts(*folders: Path) -> frozenset[str]:
    """Texts in the code, those at the beginning of an f-string included."""
    return frozenset(
        node.value
        for path in _modules(*folders)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
