"""`python -m trials.accessible`: axe-core looks at every page of the console.

    python -m trials.accessible [--cache DIRECTORY] [--pictures DIRECTORY] [--only PATH]...

Each page is opened in chromium with some traffic behind it, 390, 768 and 1440 pixels wide, light
and dark.  Prints every violation, and exits with 1 if there is one.  axe-core comes from npm.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selenium import webdriver

from evaluation.standin import processes, traffic
from proxy.commands import terminal
from proxy.commands.terminal import Column
from proxy.console.page import PAGES
from support.browser import browser, resize

WIDTHS = (390, 768, 1440)
SCHEMES = ("light", "dark")
CALLS = 80
DRAWN_S = 4.0  # until every panel is drawn
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SETTINGS = (
    f"[content]\ncapture = true\n{processes.FAST_ROWS}"
    "[budgets.all]\nlimit_usd = 0.5\n[budgets.models]\nscope = { model = '*' }\nlimit_usd = 1\n"
)
ROUTE = """
[gateway]
insecure = true
[gateway.keys.main]
provider = "openai"
value = "file:{key}"
[gateway.routes.assistant]
candidates = [
  {{ provider = "openai", model = "gpt-5.4-mini", when = "input_tokens < 20000" }},
  {{ provider = "openai", model = "gpt-5.4" }},
]
split = [{{ candidate = 0, share = 0.9 }}, {{ candidate = 1, share = 0.1 }}]
canary = {{ candidate = 1 }}
"""
# Pages of one thing, which the addresses of all pages do not name.
ONES = (
    "/routes?name=assistant",
    "/tariffs?provider=openai&model=gpt-5.4-mini",
    "/budgets?name=all",
)
RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: arguments[0]}).then((found) => done(found.violations));
"""
COLUMNS = (
    Column("page", "page"),
    Column("width", "px", number=True),
    Column("scheme", "scheme"),
    Column("rule", "rule"),
    Column("where", "where"),
)
PLACES_MAX = 3  # elements shown of one violation
Violation = Mapping[str, Any]


def axe(cache: Path) -> str:
    """The source of axe-core, from npm."""
    file = cache / "node_modules" / "axe-core" / "axe.min.js"
    if not file.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm is not installed")
        command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefix"]
        subprocess.run([*command, str(cache), "axe-core"], check=True, capture_output=True)
    return file.read_text(encoding="utf-8")


def pages(served: processes.Serving) -> Iterator[str]:
    """The paths of all pages."""
    listed = processes.get_json(f"{served.console_url}/api/dashboards")
    yield from (f"/dashboards/{board['uid']}" for board in listed)
    yield from (path for path in PAGES if "{" not in path)
    yield from ONES


def look(page: webdriver.Chrome, url: str, width: int, scheme: str, source: str) -> list[Violation]:
    """What is wrong with a page as somebody sees it."""
    resize(page, width)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.get(url)
    time.sleep(DRAWN_S)
    page.execute_script(source)
    page.set_script_timeout(60)
    return list(page.execute_async_script(RUN, list(RULES)))


def rows(path: str, width: int, scheme: str, found: list[Violation]) -> Iterator[dict[str, str]]:
    """A row for each violation."""
    for violation in found:
        places = [" ".join(map(str, node["target"])) for node in violation["nodes"]]
        more = f" and {len(places) - PLACES_MAX} more" if len(places) > PLACES_MAX else ""
        yield {
            "page": path,
            "width": str(width),
            "scheme": scheme,
            "rule": f"{violation['id']} ({violation['impact']})",
            "where": "; ".join(places[:PLACES_MAX]) + more,
        }


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.accessible", description=__doc__)
    parser.add_argument("--cache", type=Path, help="directory to keep axe-core in")
    parser.add_argument("--pictures", type=Path, help="directory for a picture of each page")
    parser.add_argument("--only", metavar="PATH", action="append", help="one of the pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taximeter-accessible-") as temporary:
        data = Path(temporary)
        source = axe(options.cache or data)
        key = data / "key"
        key.write_text("a-key-of-the-stand-in", encoding="ascii")
        key.chmod(0o600)
        settings = SETTINGS + ROUTE.format(key=key)
        with processes.stand_in(data / "stand-in.log") as (upstream, _):
            upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
            with processes.serve(data, upstreams, settings=settings) as served, browser() as page:
                asyncio.run(traffic.run(served.proxy_url, calls=CALLS, rate=60, seed=7, speed=20))
                found: list[dict[str, str]] = []
                for path in options.only or pages(served):
                    for width in WIDTHS:
                        for scheme in SCHEMES:
                            url = served.console_url + path
                            wrong = look(page, url, width, scheme, source)
                            found += rows(path, width, scheme, wrong)
                            print(f"{path} {width} {scheme}: {len(wrong)}", file=sys.stderr)
                            if options.pictures:
                                name = re.sub(r"\W+", "-", path.strip("/")) or "overview"
                                options.pictures.mkdir(parents=True, exist_ok=True)
                                page.save_screenshot(
                                    str(options.pictures / f"{name}-{width}-{scheme}.png")
                                )
    terminal.show(COLUMNS, found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
