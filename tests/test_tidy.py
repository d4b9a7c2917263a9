"""The house rules that a tool can check.  A failure names the file, the line and the rule."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from proxy.console.page import DOCUMENTS, HEAD

ROOT = Path(__file__).parents[1]
STACK = ("pricing", "exporters", "proxy", "evaluation")
TESTS_ONLY = ("support", "trials", "conftest")
IO = frozenset({"aiohttp", "asyncio", "logging", "os", "socket", "subprocess", "time"})
# Values in, values out: these import nothing of `IO`.  A name ending in / is a folder.
PURE = (
    "pricing/",
    "exporters/record.py",
    "exporters/content.py",
    "exporters/series.py",
    "exporters/prometheus.py",
    "exporters/clickhouse/dimensions.py",
    "exporters/clickhouse/query.py",
    "exporters/clickhouse/report_sql.py",
    "exporters/otel/call_metrics.py",
    "exporters/notify/notice.py",
    "exporters/notify/target.py",
    "exporters/notify/chat.py",
    "exporters/notify/machines.py",
    "exporters/notify/budget_notices.py",
    "proxy/exchange.py",
    "proxy/clients.py",
    "proxy/instants.py",
    "proxy/gateway/",
    "proxy/query/",
    "proxy/dashboards/times.py",
    "proxy/dashboards/variables.py",
    "proxy/dashboards/macros.py",
    "proxy/regions.py",
    "proxy/secrecy/kinds.py",
    "proxy/secrecy/mask.py",
    "proxy/secrecy/patterns.py",
    "proxy/secrecy/redaction.py",
    "proxy/secrecy/scrubbing.py",
    "proxy/settings/config.py",
    "proxy/settings/budget_checks.py",
    "proxy/settings/notify_checks.py",
    "proxy/settings/places.py",
    "proxy/settings/typed.py",
    "proxy/journal/frames.py",
    "proxy/gate/answers.py",
    "proxy/gate/facts.py",
    "proxy/gate/layout.py",
    "proxy/gate/rates.py",
    "proxy/gate/request.py",
    "proxy/gate/usual.py",
    "proxy/gate/verdict.py",
    "proxy/relay/headers.py",
    "proxy/relay/http1.py",
    "proxy/relay/routes.py",
    "proxy/relay/turns.py",
    "proxy/relay/websocket.py",
    "proxy/dialects/",
    "proxy/tokens/encodings.py",
    "proxy/tokens/images.py",
    "proxy/tokens/prompts.py",
    "proxy/tokens/toolspecs.py",
    "proxy/reading/",
    "proxy/content/capture.py",
    "proxy/content/walker.py",
    "proxy/metering/charges.py",
    "proxy/metering/rows.py",
    "proxy/repricing/differences.py",
    "proxy/notices/lines.py",
    "proxy/budgets/ceiling.py",
    "proxy/budgets/count.py",
    "proxy/budgets/shown.py",
    "proxy/budgets/sums.py",
    "proxy/budgets/trial.py",
    "proxy/health/losses.py",
    "proxy/health/vitals.py",
    "proxy/health/watch.py",
    "proxy/commands/upstreams.py",
    "evaluation/simulation/",
    "evaluation/statistics/",
    "evaluation/benchmarks/answers.py",
    "evaluation/benchmarks/curve.py",
    "evaluation/benchmarks/report.py",
    "evaluation/benchmarks/routing.py",
    "evaluation/frontier/",
)
ONLY_IN = {  # package → the modules that may import it
    "opentelemetry": (
        "exporters/otel",
        "exporters/otlp",
        "tests/trials/faults/collectors.py",  # plays the collector
    ),
    "clickhouse_connect": ("exporters/",),
}
BY_PATH = {  # file → why it starts programs by their path
    "tests/test_clients.py": "the scripts of SDKs, which run in other environments too",
}
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 300
TEST_LINES_MAX = 500  # of a file of tests, whose parts do not depend on each other
SCRIPT_LINES_MAX = 200  # of a JavaScript module
SCRIPT_COLUMNS_MAX = 110
LONGER = {  # file → its own limit, and why it is one thing
    "tests/test_reprice.py": 515,  # one history, restated in every way
}
PAGE = ROOT / "proxy" / "console" / "static"
PACKAGES = [path for name in STACK for path in sorted((ROOT / name).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEST_FILES = "tests/test_"


def where(path: Path) -> str:
    """The path as messages name it."""
    return path.relative_to(ROOT).as_posix()


@cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    """Every node of a file."""
    return list(ast.walk(tree))


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import."""
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.lineno, "" if node.level else node.module or ""
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, methods and nested ones too."""
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def started(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, the first argument after -P) of every command that starts our interpreter."""
    for node in nodes(tree):
        if not isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Set):
            continue
        words = node.args if isinstance(node, ast.Call) else node.elts
        for place, word in enumerate(words[:-1], 1):
            if isinstance(word, ast.Attribute) and word.attr == "executable":
                told = map(ast.unparse, words[place:])
                yield word.lineno, next(text for text in told if text != "'-P'")


@cache
def parsed(path: Path) -> tuple[str, ast.Module]:
    """The text of a file, and its tree."""
    text = path.read_text(encoding="utf-8")
    return text, ast.parse(text)


def texts(*paths: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """(name, text, tree) of each file."""
    for path in paths:
        yield where(path), *parsed(path)


def test_modules_say_what_they_are_for() -> None:
    """Each begins with a docstring."""
    assert [name for name, _, tree in texts(*PACKAGES) if not ast.get_docstring(tree)] == []


def test_imports() -> None:
    """Pure modules stay pure, and a library is imported by its owner alone."""
    wrong = []
    for name, _, tree in texts(*PACKAGES):
        for line, module in imported(tree):
            package = module.partition(".")[0]
            if package in TESTS_ONLY:
                wrong.append(f"{name}:{line}: {package} belongs to the tests")
            if package in IO and name.startswith(PURE):
                wrong.append(f"{name}:{line}: {package} in a module without I/O")
            if not name.startswith(ONLY_IN.get(package, ("",))):
                wrong.append(f"{name}:{line}: {package} is for {', '.join(ONLY_IN[package])}")
            if not package:
                wrong.append(f"{name}:{line}: an import that is not absolute")
    assert wrong == []


def test_programs_start_as_modules() -> None:
    """By its path a program would find its neighbours' names before those of packages."""
    by_path = [
        f"{name}:{line}: {word}"
        for name, _, tree in texts(*PACKAGES, *TESTS)
        for line, word in started(tree)
        if word not in ("'-m'", "'-c'")
    ]
    assert [line for line in by_path if not line.startswith(tuple(BY_PATH))] == []
    assert {line.partition(":")[0] for line in by_path} == set(BY_PATH)
    shells = [ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "docker-compose.yml", ROOT / ".ci/run"]
    program = re.compile(r"python[\d.]*[ \",']+[\w./-]+\.py\b")
    assert [path.name for path in shells if program.search(path.read_text("utf-8"))] == []


def test_functions_are_short() -> None:
    """They can be read at once."""
    assert [
        f"{name}:{function.lineno}: {function.name}"
        for name, _, tree in texts(*PACKAGES, *TESTS)
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ] == []


def lines_max(name: str) -> int:
    """How long a file may be, unless it is on the list."""
    return TEST_LINES_MAX if name.startswith(TEST_FILES) else FILE_LINES_MAX


def test_files_are_short() -> None:
    """So can files; a longer one is on the list with its reason, and leaves it when it shrinks."""
    lines = {name: len(text.splitlines()) for name, text, _ in texts(*PACKAGES, *TESTS)}
    assert [
        f"{name}: {lines[name]} lines"
        for name in lines
        if lines[name] > LONGER.get(name, lines_max(name))
    ] == []
    assert [name for name in LONGER if lines.get(name, 0) <= lines_max(name)] == []


def test_scripts_are_short() -> None:
    """So are the modules of the page and their functions, whose last line is a `}` in column 1."""
    wrong = []
    for path in PAGE.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > SCRIPT_LINES_MAX:
            wrong.append(f"{where(path)}: too long")
        if max(map(len, text.splitlines())) > SCRIPT_COLUMNS_MAX:
            wrong.append(f"{where(path)}: too wide")
        for begin in re.finditer(r"^(?:export )?(?:async )?function (\w+)", text, re.MULTILINE):
            body = text[begin.start() :].partition("\n}\n")[0]
            if body.count("\n") >= FUNCTION_LINES_MAX - 1:
                wrong.append(f"{where(path)}: {begin[1]}")
    assert wrong == []


def test_the_page_loads_every_file() -> None:
    """None is left behind, and the page asks for none that is not there."""
    files = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir()}
    asked = {
        name
        for text in (HEAD, *files.values())
        for name in re.findall(r'(?:from "\./|(?:href|src)="/static/)([\w.]+)"', text)
    }
    assert asked | DOCUMENTS.keys() == files.keys()


def test_pure_modules_exist() -> None:
    """A renamed module does not drop out of the check unnoticed."""
    assert [name for name in PURE if not (ROOT / name).exists()] == []


def test_tests_state_facts() -> None:
    """Every test says in a sentence what holds if it passes."""
    assert [
        f"{name}:{function.lineno}: {function.name}"
        for name, _, tree in texts(*TESTS)
        for function in functions(tree)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ] == []


def test_no_example_has_a_deadline() -> None:
    """Hypothesis has its limits from the one profile in `conftest.py`, under load too."""
    assert settings().deadline is None
    assert [
        f"{name}:{node.lineno}"
        for name, _, tree in texts(*TESTS)
        for node in nodes(tree)
        if isinstance(node, ast.keyword) and node.arg == "deadline" and name.startswith(TEST_FILES)
    ] == []


def test_tests_are_flat() -> None:
    """All but `support` and `trials`: a package `tests/proxy` would shadow the package `proxy`."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in TESTS}
    assert {folder.parts[0] for folder in folders if folder.parts} == {"support", "trials"}
    assert not (ROOT / "tests" / "__init__.py").exists()
    assert [
        path.name for path in TESTS if path.match("test_*.py") and path.parent.name != "tests"
    ] == []


def test_exceptions_to_the_checkers_name_their_rule() -> None:
    """No bare `noqa` and no bare `type: ignore`: they would hide the next mistake too."""
    bare = re.compile("# " + r"(?:noqa(?!: [A-Z]+\d+)|type: ignore(?!\[))")
    assert [
        f"{name}:{number}: {line.strip()}"
        for name, text, _ in texts(*PACKAGES, *TESTS)
        for number, line in enumerate(text.splitlines(), 1)
        if bare.search(line)
    ] == []


@pytest.mark.parametrize("name", STACK)
def test_the_package_is_ours(name: str) -> None:
    """Other projects install these names too; half of each would be worse than either."""
    assert Path(import_module(name).__file__ or "").is_relative_to(ROOT)


def test_what_must_be_covered() -> None:
    """make holds every package that is measured to its limit."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    (packages,) = re.findall(r"^COVERED := (.+)$", make, re.MULTILINE)
    assert packages.split() == project["tool"]["coverage"]["run"]["source"]
    assert [name for name in packages.split() if not (ROOT / name).is_dir()] == []


def test_every_target_is_phony() -> None:
    """A file that happens to have a target's name does not hide it."""
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", make, re.MULTILINE)
    assert sorted(phony.split()) == sorted(re.findall(r"^([a-z-]+):", make, re.MULTILINE))


def test_one_version() -> None:
    """The image is named after the version of the distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    images = set(re.findall(r"image: taximeter:(\S+)", compose))
    assert images == {project["version"]}
