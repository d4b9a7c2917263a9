"""Every name that a document may use, taken from the code that gives it its meaning.

Nothing is listed here: an option is a field of `Config`, a route one of the console's application.
"""

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from exporters import prometheus
from exporters.content import Content
from exporters.otel.call_metrics import Metrics
from exporters.otel.semconv import PROFILES
from exporters.record import Exporter, Record
from exporters.series import Family
from pricing import Meter, Term
from pricing.reason import Reason
from pricing.sheet.values import PER
from proxy.commands.cli import COMMANDS
from proxy.console.console import Parts, console
from proxy.console.probes import Probes
from proxy.delivery.lag import MeasuredExporter
from proxy.health import vitals
from proxy.journal.counters import LAG_COUNTS, LAG_SUM
from proxy.settings import sources
from proxy.settings.config import Config
from proxy.settings.places import Places
from proxy.settings.typed import leaves
from support.documents import ROOT
from support.translation import FIELD_NAMES

PACKAGES = ("pricing", "exporters", "proxy", "evaluation")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*")  # a word that stands for a value: DIR, CALL_ID
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
NOT_ASKED: Any = SimpleNamespace(audit=None)  # for a process, where only routes are asked for
METERS, TERMS = frozenset(one.value for one in Meter), frozenset(one.value for one in Term)
OWN_NAMES = re.compile(r"gateway\.(keys|callers|routes|models)\b|(content.patterns|key_names)\.")


@cache
def options() -> frozenset[str]:
    """Dotted keys of everything that can be set, and the tables that they are in."""
    keys = set(leaves(Config, sources.defaults()))
    tables = {key.rpartition(".")[0] for key in keys} - {""}
    return frozenset(keys | tables | {"providers"})


def is_option(key: str) -> bool:
    """Whether `key` can be set.  Some tables have names of the user's own."""
    table, *rest = key.split(".")
    if table == "providers" and rest:
        return len(rest) == 1 or f"providers.openai.{'.'.join(rest[1:])}" in options()
    return key in options() or OWN_NAMES.match(key) is not None


@cache
def variables() -> frozenset[str]:
    """The TAXIMETER_ variables."""
    names = (re.sub(r"[^A-Z0-9]", "_", key.upper()) for key in leaves(Config, sources.defaults()))
    return frozenset({sources.PREFIX + name for name in names} | {sources.CONFIG_VARIABLE})


@cache
def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """The parser of each command of `taximeter`."""
    found = {}
    for command in COMMANDS:
        found[command.name] = argparse.ArgumentParser(prog=f"taximeter {command.name}")
        command.load().add_arguments(found[command.name])
    return found


def _actions(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Those of a command that has some: `store check`."""
    return {
        name: inner
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, inner in action.choices.items()
    }


@cache
def flags() -> frozenset[str]:
    """Those of all commands."""
    every = list(parsers().values())
    for one in every:  # it grows meanwhile: actions may have actions, as `eval judge check`
        every += _actions(one).values()
    return frozenset({"--version"} | {flag for one in every for flag in one._option_string_actions})


def mistake(words: Sequence[str], *, mention: bool = False) -> str:
    """What `taximeter WORDS` is refused for; "" if it is understood.

    A word in capitals stands for a value.  A `mention` may leave out what the command needs.
    """
    name, *rest = words or [""]
    if name in ("--version", "--help", "COMMAND"):
        return ""
    if name not in parsers():
        return f"no such command: {name}"
    given = ["1" if PLACEHOLDER.fullmatch(word) else word for word in rest]
    said = io.StringIO()
    with suppress(SystemExit), redirect_stderr(said):
        parsers()[name].parse_args(given)
        return ""
    last = said.getvalue().strip().rpartition("\n")[2]
    return "" if mention and "arguments are required" in last else last


@cache
def routes() -> Mapping[str, frozenset[str]]:
    """Path of the console → methods."""
    found: dict[str, set[str]] = {}
    parts = Parts(**dict.fromkeys(Parts.__slots__, NOT_ASKED) | {"probes": Probes()})
    with TemporaryDirectory() as data:
        (Path(data) / "state").mkdir()
        for route in console(Config(data=Path(data)), parts).router.routes():
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
    return frozenset(reason.text for reason in Reason)


@cache
def metrics() -> frozenset[str]:
    """Names of metrics, as OpenTelemetry and as Prometheus spell them, and of attributes."""
    counts = dict.fromkeys((*vitals.METER, *vitals.EXPORTER, *vitals.CONTENT), 1)
    journal = {"journal": dict.fromkeys(vitals.RELAY, 1), "redactions": {"email": 1}}
    lag = {"loop_lag": dict.fromkeys((*LAG_COUNTS, LAG_SUM), 1)}
    status = cast(Mapping[str, object], counts | journal | lag)
    exporter = cast(Exporter, SimpleNamespace(name="otel", rejected=1, unsampled=1))
    found: list[Family] = [
        *vitals.families({"meter": status, "content": status}),
        *vitals.alert_families({}, (), {"ops": dict.fromkeys(vitals.TARGET, 1)}),
        *(family for profile in PROFILES for family in _of_calls(Metrics(profile))),
        *MeasuredExporter(exporter).families(),
    ]
    dotted = {text for text in _texts(*map(ROOT.joinpath, PACKAGES)) if "." in text}
    families = ("taximeter.", "gen_ai.", "openai.", "error.", "server.")
    return frozenset(
        {family.name for family in found}
        | {prometheus.name(family) for family in found}
        | {text for text in dotted if text.startswith(families)}
    )


def _of_calls(metrics: Metrics) -> list[Family]:
    """What there is once a stream has ended well and another call has failed."""
    tokens = {"input_tokens_total": 1, "output_tokens_total": 1, "cache_read_tokens": 1}
    more = {"cache_write_tokens": 1, "reasoning_tokens": 1, "first_byte_us": 1}
    whole: dict[str, Any] = {"usage_origin": "reported", "cost_usd": Decimal(1), **tokens, **more}
    one: dict[str, Any] = {"ts_us": 1, "call_id": "1", "provider": "p", "cost_status": "exact"}
    metrics.add(Record(**one, **whole, operation="chat", stream=True, outcome="ok"))
    metrics.add(Record(**one, operation="embeddings", outcome="http_error"))
    return metrics.families()


@cache
def columns() -> frozenset[str]:
    """Columns, tables and other words of the schema."""
    sql = "".join(path.read_text("utf-8") for path in (ROOT / "exporters/schema").glob("*.sql"))
    fields = (*msgspec.structs.fields(Record), *msgspec.structs.fields(Content))
    return frozenset({field.name for field in fields} | set(re.findall(r"\b\w+\b", sql)))


@cache
def files() -> frozenset[str]:
    """Names of our files, and of those inside the data directory."""
    kinds = ("md", "toml", "py", "sql", "yaml", "yml", "json", "css", "html", "js")
    tops = (ROOT / top for top in (*PACKAGES, "tests", "docs", "grafana"))
    ours = {path.name for top in tops for kind in kinds for path in top.rglob(f"*.{kind}")}
    places = Places(Path())
    made = [
        getattr(places, name) for name, kind in vars(Places).items() if isinstance(kind, property)
    ]
    made += [each(name) for each in (places.cursor, places.aside) for name in EXPORTERS]
    inside = {path.as_posix() for path in made} | {path.name for path in made}
    return frozenset(ours | inside | {path.name for path in ROOT.iterdir()})


EXPORTERS = ("clickhouse", "content", "otel")


def is_python(dotted: str) -> bool:
    """Whether it is a module of ours, what is in one, or an attribute of a class that we use."""
    first, *rest = dotted.split(".")
    if first not in PACKAGES:
        return first[:1].isupper() and set(rest) <= identifiers()
    for at in range(len(rest), -1, -1):
        with suppress(ModuleNotFoundError):
            value: object = import_module(".".join((first, *rest[:at])))
            for name in rest[at:]:
                value = getattr(value, name, None)
            return value is not None
    return False


def is_program(module: str) -> bool:
    """Whether `python -m MODULE` runs something."""
    path = _place_of(module)
    if path.is_dir():
        return (path / "__main__.py").exists()
    file = path.with_suffix(".py")
    return file.exists() and '__name__ == "__main__"' in file.read_text(encoding="utf-8")


def _place_of(module: str) -> Path:
    top = "tests" if module.startswith("trials") else ""
    return ROOT.joinpath(top, *module.split("."))


def source_of(module: str) -> str:
    """The text of a program that `is_program`, or of its whole folder; "" if there is none."""
    path = _place_of(module)
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    return "".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def words_of(path: Path) -> Iterator[str]:
    """The comments and the texts of a Python file, without the expressions in f-strings."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                yield re.sub(r"\{[^}]*\}", "", token.string)


@cache
def identifiers() -> frozenset[str]:
    """Whatever the packages call something, their texts included."""
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


def is_word(word: str) -> bool:
    """Whether a word with underscores is anything of ours."""
    known = identifiers() | columns() | reasons() | metrics() | FIELD_NAMES
    return word in known | {f"usd_{unit}" for unit in PER}


def is_dotted(name: str) -> bool:
    """Whether a name with dots is anything of ours; `x.*` is if something begins with `x.`."""
    known = METERS | metrics() | files() | FIELD_NAMES
    if name.endswith(".*") and name not in known:
        return any(one.startswith(name[:-1]) for one in options() | metrics())
    return is_option(name) or name in known or is_python(name) or set(name.split(".")) <= columns()


def _modules(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in sorted(folder.rglob("*.py")))


@cache
def _texts(*folders: Path) -> frozenset[str]:
    """Texts in the code, the constant parts of f-strings included."""
    return frozenset(
        node.value
        for path in _modules(*folders)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
