"""What the documents name exists: options, flags, commands, routes, meters, reasons, alerts.

The names come from the code (`support.names`), so one that is renamed or removed fails here until
every document that uses it says the new one.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from exporters.clickhouse.dimensions import dimension
from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from proxy.commands.cli import COMMANDS
from proxy.health.watch import KNOWN
from proxy.query.asked import asked
from proxy.query.language import REPORT, Defaults, report_query
from proxy.relay.relay import OWN_PATHS
from proxy.relay.routes import Refusal, Routes
from proxy.settings import sources
from proxy.settings.checks import CHOICES
from proxy.settings.config import Provider
from support import names
from support.documents import (
    DOCUMENTS,
    MARKDOWN,
    ROOT,
    anchors,
    blocks,
    commands,
    name_of,
    read,
    spans,
    table,
)

TABLES = "|".join(sorted({key.partition(".")[0] for key in names.options() if "." in key}))
OPTION = re.compile(rf"(?<![\w./@-])(?:{TABLES})\.[A-Za-z_][\w.*-]*")
ROUTE = re.compile(
    r"(?:(GET|POST|PUT|DELETE) )?(?:http://127\.0\.0\.1:4001|(?<![\w.:/…]))(/(?:api/|metrics)[\w/{}]*)"
)
PROXY_URL = re.compile(r"http://127\.0\.0\.1:4000(/[^\s`\"')<>|…]*)")
# Names of other people's software: nothing of ours is called so.
FOREIGN = frozenset(
    (
        *("HTTPS_PROXY", "SSL_CERT_FILE", "Authorization", "Connection", "Upgrade"),  # HTTP, TLS
        *("OPENAI_WEBSOCKET_BASE_URL", "stream_options.include_usage"),  # OpenAI
        *("config.toml", "model_providers.NAME.base_url", "wire_api"),  # Codex
        *("system.mutations", "system.query_log", "Nullable"),  # ClickHouse
        *("rule_files", "time_per_output_chunk"),  # Prometheus, OpenTelemetry
        *("DataZoneStandard", "TimeoutStopSec"),  # Azure, systemd
        *("error.metadata", "error.details"),  # of OpenAI's and Anthropic's errors
        *("Throttling.AllocationQuota", "Throttling.RateQuota"),  # DashScope
        *("content.parts", "content.role"),  # of Gemini's requests for embeddings
        "image_thirdparty",  # a kind in a file of test cases
        *("NAME.toml", "tag.NAME", "tags.NAME"),  # for any provider, for any tag
    )
)
# Events and files of providers, and facts of other gateways, which only the code names.
PROVIDERS_OWN = (
    "content.delta",
    *("content.parts", "content.role"),
    "content.start",
    "content.proto",
    "gateway.retries",
    "gateway.cache_status",
    *("gateway.fallbacks", "gateway.cache_age_s", "gateway.provider", "gateway.option"),
    "gateway.deployment",
)
# What a decision record rules out, and its number: no document may promise it.
RULED_OUT = {"0005": re.compile(r"ask_for_usage|proxy[^.]{0,20}\bask(s|ing)? for (the )?usage")}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
every_page = pytest.mark.parametrize("document", MARKDOWN, ids=name_of)


def unknown_options(text: str) -> set[str]:
    """What looks like an option and is nothing of ours."""
    found = {name.rstrip(".") for name in OPTION.findall(text)}
    return {name for name in found if not names.is_dotted(name)} - FOREIGN


@every_document
def test_options_exist(document: Path) -> None:
    """`store.dsn`, `providers.NAME.base_url`: each can be set."""
    assert unknown_options(document.read_text(encoding="utf-8")) == set()


def test_options_in_the_code_exist() -> None:
    """So can those that messages, docstrings and comments name."""
    option = re.compile(rf"(?<![\w./@-])(?:{TABLES})\.[a-z_]+\b(?!\.?[\w(])")
    wrong = set()
    for path in (path for top in names.PACKAGES for path in sorted((ROOT / top).rglob("*.py"))):
        found = {name for text in names.words_of(path) for name in option.findall(text)}
        wrong |= {f"{name_of(path)}: {name}" for name in found if not names.is_dotted(name)}
    assert {each for each in wrong if not each.endswith(PROVIDERS_OWN)} == set()


def is_capital(name: str) -> bool:
    """Whether it is a constant of ours or a variable that we read or set."""
    deployed = read("docker-compose.yml") + read("Dockerfile")
    ours = names.identifiers() | names.variables()
    return name in ours or name.startswith("OTEL_") or name in deployed


FORMS: Mapping[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "dotted": (re.compile(r"[A-Za-z_]+(\.[A-Za-z0-9_*-]+)+"), names.is_dotted),
    "words": (names.SNAKE, names.is_word),
    "capitals": (re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+"), is_capital),
    "classes": (re.compile(r"([A-Z][a-z]+)+"), lambda name: name in names.identifiers()),
}


@pytest.mark.parametrize("form", FORMS)
@every_page
def test_names_exist(document: Path, form: str) -> None:
    """Names in code spans are ours, or are listed above as other people's."""
    pattern, known = FORMS[form]
    found = {span.partition(" = ")[0] for span in spans(read(name_of(document)))}
    assert {n for n in found if pattern.fullmatch(n) and not known(n)} - FOREIGN == set()


def test_no_exception_is_left_over() -> None:
    """Each name of somebody else's is in a document still."""
    said = {span.partition(" = ")[0] for page in MARKDOWN for span in spans(read(name_of(page)))}
    assert said >= FOREIGN


@every_page
def test_commands_are_understood(document: Path) -> None:
    """Every `taximeter …` parses, every `python -m …` is a program, every flag is one of theirs."""
    text = read(name_of(document))
    shown = [words for block in blocks(text, "sh") for words in commands(f"```sh\n{block}```\n")]
    wrong = []
    for words in commands(text):
        if words[0] == "taximeter":
            wrong.append(names.mistake(words[1:], mention=words not in shown))
        elif words[:2] == ["python", "-m"] and words[2] != "build":
            wrong += [f"no program: {words[2]}"] * (not names.is_program(words[2]))
            said = names.source_of(words[2])
            wrong += [w for w in words[3:] if w.startswith("--") and f'"{w}"' not in said]
    for span in spans(text):
        if span.startswith("--"):
            wrong += [w for w in span.split() if w.startswith("--") and w not in names.flags()]
    assert list(filter(None, wrong)) == []


@every_page
def test_reports_group_by_columns(document: Path) -> None:
    """What follows `report --by` can be grouped by, and what follows `--use` is a meter."""
    for words in commands(read(name_of(document))):
        for flag, value in pairwise(words):
            if flag == "--by":
                report_query(asked([("by", value)], REPORT), datetime.now(UTC), Defaults())
            elif flag == "--use" and "=" in value:
                Meter(value.partition("=")[0])


@every_document
def test_variables_exist(document: Path) -> None:
    """Each TAXIMETER_ variable sets an option."""
    text = document.read_text(encoding="utf-8")
    found = set(re.findall(r"\bTAXIMETER_[A-Z][A-Z_]*[A-Z]\b", text))
    assert found - names.variables() == set()


@every_document
def test_routes_of_the_console_exist(document: Path) -> None:
    """`GET /api/calls/{call_id}`: the console answers there, to that method."""
    text = document.read_text(encoding="utf-8")
    found = ROUTE.findall(text) if document.name != "defaults.toml" else []  # it has providers'
    assert [route for method, route in found if not names.is_route(route, method or "GET")] == []


def own(url: str) -> bool:
    """Whether the relay answers it itself, or its gateway does."""
    return url in OWN_PATHS or url.split("/")[1] == "gateway"


@every_document
def test_routes_of_the_proxy_exist(document: Path) -> None:
    """Every address at the proxy leads to a provider, built in or of the document's own."""
    text = document.read_text(encoding="utf-8")
    providers = dict(sources.load(None, {"HOME": "/"}).providers)
    for name in {"NAME", *re.findall(r"\[providers\.(\w+)\]", text)} - providers.keys():
        providers[name] = Provider(name=name, base_url="http://127.0.0.1:1")
    routes = Routes(providers)
    found = {url: routes.find(url) for url in PROXY_URL.findall(text) if not own(url)}
    lost = {url for url, route in found.items() if isinstance(route, Refusal)}
    unset = {u for u in lost if getattr(found[u], "kind", "") == "provider_not_configured"}
    assert lost - unset == set()


@every_page
def test_reasons_exist(document: Path) -> None:
    """Every reason in a table of reasons is one that the code gives."""
    rows = table(read(name_of(document)), "reason")
    found = {span.partition(":")[0] for row in rows for span in re.findall(r"`(.+?)`", row[0])}
    assert found - names.reasons() == set()


def test_alerts_are_those_that_there_are() -> None:
    """The table of alerts has every alert with its severity, and no other."""
    rows = table(read("docs/telemetry.md"), "alert")
    assert {row[0].strip("`"): row[1] for row in rows} == dict(KNOWN)


def test_metrics_exist() -> None:
    """Short names go on from a full one: `taximeter.notify.ok`, `.lost`; `…x` ends one."""
    wrong = []
    for line in read("docs/telemetry.md").splitlines():
        full = ""
        for span in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(r"(taximeter|gen_ai)\.[\w.]+", span):
                full = span
            elif re.fullmatch(r"…[\w.]+", span):
                wrong += [span] * (not any(n.endswith(span[1:]) for n in names.metrics()))
            elif re.fullmatch(r"\.[\w.*]+", span) and full:
                parts = full.split(".")
                longer = (".".join(parts[:n]) + span for n in range(1, len(parts)))
                wrong += [span] * (not any(map(names.is_dotted, longer)))
    assert wrong == []


# What the examples read from the environment.
VARIABLES = {
    **dict.fromkeys(("SLACK_WEBHOOK", "TEAMS_WEBHOOK", "DISCORD_WEBHOOK"), "https://h.example/x"),
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "SMTP_PASSWORD": "x",
}


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A directory with the files that configurations in the documents name."""
    (tmp_path / "prices").mkdir()
    for name in ("cert.pem", "key.pem", "proxy-token", "console-token"):
        (tmp_path / name).write_text("0123456789abcdef", encoding="utf-8")
    return tmp_path


@every_page
def test_configurations_are_understood(document: Path, beside: Path) -> None:
    """Every TOML block that has a table of the configuration is one without a mistake."""
    for block in blocks(read(name_of(document)), "toml"):
        if tomllib.loads(block).keys() & {key.partition(".")[0] for key in names.options()}:
            file = beside / "taximeter.toml"
            file.write_text(block.replace("/run/secrets/", ""), encoding="utf-8")
            sources.load(file, {"HOME": str(beside), **VARIABLES})


@every_page
def test_links_lead_to_headings(document: Path) -> None:
    """What stands behind `#` in a link is a heading there."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([\w-]+)\)", read(name_of(document))):
        if "://" not in target:
            page = (document.parent / target) if target else document
            assert anchor in anchors(page.read_text(encoding="utf-8")), f"{target}#{anchor}"


@every_document
def test_decisions_hold(document: Path) -> None:
    """No document promises what a decision record rules out."""
    if document.parent.name == "decisions":
        return
    text = " ".join(document.read_text(encoding="utf-8").split())
    found = {number: rule.search(text) for number, rule in RULED_OUT.items()}
    assert {number: match[0] for number, match in found.items() if match} == {}


# -- the reference of the configuration ----------------------------------------------------------

DEFAULTS = read("proxy/settings/defaults.toml")


def test_choices_in_the_reference_are_those_that_are_checked() -> None:
    """`fsync = "interval" # interval | always | never`: the very words."""
    for key, words in CHOICES.items():
        (line,) = (
            line
            for section in re.split(r"^\[", DEFAULTS, flags=re.MULTILINE)
            if section.startswith(f"{key.partition('.')[0]}]")
            for line in section.splitlines()
            if line.startswith(f"{key.partition('.')[2]} ")
        )
        listed = re.search(r"# ([\w/]+(?: \| [\w/]+)+)", line)
        assert listed, key
        assert listed[1].split(" | ") == [word for word in words if word]


def test_deployments_in_the_reference_have_prices() -> None:
    """Every value that the comment on `deployment` names prices a call on Azure exactly."""
    comment = DEFAULTS.partition("#   deployment ")[2].partition("#   telemetry_name")[0]
    values = re.findall(r'"(\w+)"', comment)
    assert len(values) >= 5
    usage = Usage({Meter.INPUT: 1000, Meter.OUTPUT: 10})
    at, book = datetime(2026, 11, 20, tzinfo=UTC), TariffBook.load()
    for value in values:
        terms = {"deployment": value}
        call = Subcall(provider="azure", model="gpt-5", at=at, usage=usage, terms=terms)
        assert price([call], book).status is Status.EXACT, value


def test_the_reference_refers_to_pages_that_say_more() -> None:
    """A page that a comment names exists and speaks of the table or provider it is named in."""
    for section in re.split(r"^\[(?=[\w.]+\])", DEFAULTS, flags=re.MULTILINE)[1:]:
        name = section.partition("]")[0].rpartition(".")[2]
        for page in re.findall(r"((?:docs/)?[\w-]+\.md)", section):
            assert re.search(rf"\b{name}\b", read(page), re.IGNORECASE), f"{name}: {page}"


# -- the README ----------------------------------------------------------------------------------


def test_the_readme_lists_every_command() -> None:
    """Its table has each command of `taximeter`, and no other."""
    listed = {row[0].strip("`").split()[0] for row in table(read("README.md"), "command")}
    assert listed == {command.name for command in COMMANDS}


def test_the_readme_promises_only_groups_that_there_are() -> None:
    """Whatever `report` is said to sum up by is a column."""
    (said,) = (row[1] for row in table(read("README.md"), "command") if row[0] == "`report`")
    listed = said.partition(" by ")[2].partition(", any other")[0].split(", ")
    assert len(listed) > 1
    assert [word for word in listed if dimension(word) is None] == []


def test_the_readme_counts_the_providers() -> None:
    """The number of built-in providers is that of the reference."""
    built_in = len(sources.defaults()["providers"])
    assert set(re.findall(r"(\d+) (?:providers are )?built in", read("README.md"))) == {
        str(built_in)
    }
