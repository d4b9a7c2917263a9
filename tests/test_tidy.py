"""The house rules that a tool can check.  A failure names the file, the line and the rule."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

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
    "exporters/clickhouse/grouping.py",
    "exporters/otel/call_metrics.py",
    "proxy/exchange.py",
    "proxy/instants.py",
    "proxy/secrecy/kinds.py",
    "proxy/secrecy/mask.py",
    "proxy/secrecy/patterns.py",
    "proxy/secrecy/redaction.py",
    "proxy/secrecy/scrubbing.py",
    "proxy/settings/config.py",
    "proxy/settings/places.py",
    "proxy/settings/typed.py",
    "proxy/journal/frames.py",
    "proxy/relay/headers.py",
    "proxy/relay/http1.py",
    "proxy/relay/routes.py",
    "proxy/relay/websocket.py",
    "proxy/dialects/",
    "proxy/tokens/encodings.py",
    "proxy/tokens/images.py",
    "proxy/tokens/prompts.py",
    "proxy/tokens/toolspecs.py",
    "proxy/reading/",
    "proxy/content/capture.py",
    "proxy/content/walker.py",
    "proxy/metering/doubts.py",
    "proxy/metering/rows.py",
    "proxy/repricing/differences.py",
    "proxy/health/vitals.py",
    "proxy/health/watch.py",
    "proxy/commands/upstreams.py",
)
ONLY_IN = {  # package → the modules that may import it
    "opentelemetry": (
        "exporters/otel",
        "exporters/otlp",
        "tests/trials/faults/collectors.py",  # plays the collector
    ),
    "clickhouse_connect": ("exporters/",),
}
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 300
PACKAGES = [path for name in STACK for path in sorted((ROOT / name).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def where(path: Path) -> str:
    """The path as messages name it."""
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.lineno, "" if node.level else node.module or ""
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, methods and nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def texts(*paths: Path) -> Iterator[tuple[str, str, ast.Module]]:
    """(name, text, tree) of each file."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        yield where(path), text, ast.parse(text)


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


def test_functions_are_short() -> None:
    """They can be read at once."""
    assert [
        f"{name}:{function.lineno}: {function.name}"
        for name, _, tree in texts(*PACKAGES, *TESTS)
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ] == []


def test_files_are_short() -> None:
    """So can files."""
    lines = {name: len(text.splitlines()) for name, text, _ in texts(*PACKAGES)}
    assert [f"{name}: {n} lines" for name, n in lines.items() if n > FILE_LINES_MAX] == []


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


def test_one_version() -> None:
    """The image is named after the version of the distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    images = set(re.findall(r"image: taximeter:(\S+)", compose))
    assert images == {project["version"]}
