"""SECURITY.md names tests, limits and dependencies that exist."""

import re
import tomllib
from pathlib import Path

from proxy.settings.config import Config
from proxy.settings.typed import leaves

ROOT = Path(__file__).parents[1]


def test_the_tests_on_the_page() -> None:
    """Every file of tests that it points to exists."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w*]+\.py)`", page)
    assert len(named) > 3
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_the_limits_on_the_page() -> None:
    """Every limit that SECURITY.md names is a setting or a constant."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.partition("## Limits")[2].partition("## What")[0]
    names = set(re.findall(r"`([\w.]+)`", table))
    sources = [*(ROOT / "proxy").rglob("*.py"), *(ROOT / "exporters").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    constants = set(re.findall(r"^([A-Z]\w+) = ", text, re.MULTILINE))
    known = constants | set(leaves(Config, {"providers": {}}))
    assert len(names) > 20
    assert names - known == set()


def test_the_dependencies_on_the_page() -> None:
    """It names every package that we ask for ourselves, and no other."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.partition("## Dependencies")[2].partition("## Reporting")[0]
    cells = re.findall(r"^\| ([a-z][\w ,;()-]+) \|", table, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"[a-z][\w-]+", cell)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    wanted = {re.split(r"[^\w-]", requirement)[0] for requirement in asked}
    assert listed - {"package", "optional"} == wanted
