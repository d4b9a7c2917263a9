"""The rooms of the house and their ranks: who may import whom.

A room is a folder or a file right inside one of the four packages.  Each imports only packages to
the left of its own and, within its package, rooms of a lower rank.  `test_rooms` holds this table
against the code; docs/architecture.md is drawn from it and from the first sentence of each room.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# From the lowest rank to the highest.
RANKS: dict[str, tuple[str, ...]] = {
    "pricing": (
        *("usage", "terms", "reason", "cause", "condition", "tariff", "plan", "charge", "money"),
        *(
            "steps",
            "charge_line",
            "savings",
            "sheet",
            "book",
            "published",
            "near_names",
            "retired",
            "bill",
            "quote",
        ),
        *("window", "budget", "budget_state", "forecast", "anomaly", "upkeep"),
    ),
    "exporters": (
        *("record", "receipt", "content", "audit", "evaluation", "finishes", "feedback", "samples"),
        *("evidence", "series", "prometheus"),
        *("clickhouse", "otel", "notify"),
    ),
    "proxy": (
        *("exchange", "clients", "instants", "query", "dashboards", "sampling", "secrecy"),
        *("gateway", "settings", "regions", "network", "probes", "journal", "access", "gate"),
        *("relay", "dialects", "tokens", "reading", "content", "metering", "door", "repricing"),
        *("exports", "invoices", "results"),
        *("delivery", "notices", "evidence", "retention"),
        *("budgets", "canaries", "health", "backup"),
        *("console", "serving", "commands"),
    ),
    "evaluation": (
        *("sandbox", "checks", "suites", "standin", "provider", "statistics", "benchmarks"),
        *("frontier", "simulation", "history", "runs", "imports", "reports", "judges", "schedules"),
        *("decisions", "whatif", "loadtest", "commands"),
    ),
}
# Started as processes, not imported.  Commands are named in `proxy.commands.cli.COMMANDS`.
STARTED = (
    *("proxy.serving.start", "proxy.serving.relay_process", "proxy.serving.meter_process"),
    *("pricing.upkeep.seed", "pricing.upkeep.retiring", "evaluation.schedules.process"),
)


def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name; a package is its `__init__`."""
    found = {}
    for package in RANKS:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """(line, module) of each import of one of `known`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known:
                    yield node.lineno, full
                elif node.module in known:
                    yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names if each.name in known)


def room_of(module: str) -> str:
    """The room that a module is in; "" for a package itself."""
    return module.split(".")[1] if "." in module else ""


def sentence(package: str, room: str) -> str:
    """What a room is for: the first sentence of its docstring."""
    path = ROOT / package / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first, stop, _ = " ".join(doc.split("\n\n")[0].split()).partition(". ")
    return first + "." if stop else first


def room_list() -> str:
    """The rooms as a Markdown table, lowest rank first within each package."""
    lines = ["| room | what lives there |", "|---|---|"]
    for package, rooms in RANKS.items():
        for room in rooms:
            folder = (ROOT / package / room).is_dir()
            name = f"{package}/{room}/" if folder else f"{package}/{room}.py"
            lines.append(f"| `{name}` | {sentence(package, room)} |")
    return "\n".join(lines) + "\n"
