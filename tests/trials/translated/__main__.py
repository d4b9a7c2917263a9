"""`python -m trials.translated`: real SDKs and agents through the gateway, at other providers.

Each client speaks its own API to `/gateway`, and is served by stand-ins of providers that speak
another one: whole answers, streams, tools and their results, images, structured output, and errors,
which must be of the client's own classes.  The rows must be the provider's, and exact.  The first
run installs the clients into the cache directory of `trials.clients`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from evaluation.standin import processes
from support.generated import between
from support.rooms import ROOT
from trials.clients.__main__ import CACHE
from trials.clients.installing import InstallError
from trials.clients.running import prepare
from trials.translated import running
from trials.translated.listed import CLIENTS, MODELS, OWNERS, Client
from trials.translated.running import Result

CALLS = Path(__file__).with_name("calls")
PAGE = ROOT / "docs" / "translation.md"
NAME = "clients"  # of the part of the page
COLUMNS = {
    "whole": ("text",),
    "stream": ("stream",),
    "tools": ("tool", "result"),
    "images": ("image",),
    "schema": ("shape",),
    "errors": ("errors",),
    "rows": ("rows",),
}


def results(clients: Sequence[Client], cache: Path) -> Iterator[Result]:
    """The result of each client with each provider, as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="taximeter-translated-") as folder:
        data = Path(folder)
        with (
            processes.stand_in(data / "stand-in.log") as (upstream, _),
            processes.serve(
                data,
                dict.fromkeys(MODELS.keys() - OWNERS.keys(), upstream),
                settings=processes.FAST_ROWS + running.settings(),
                environ={"GATEWAY_KEY": running.KEY},
            ) as served,
        ):
            for client in clients:
                try:
                    ready = prepare(CALLS / client.script, client.packages, cache)
                except InstallError as failure:
                    yield Result(client=client, provider="", skipped=str(failure))
                    continue
                for provider in client.providers:
                    yield running.run(client, provider, ready, served)


def table(found: Sequence[Result], at: datetime) -> str:
    """The results for the page: a line for each client and API."""
    heads = ("client", "version", "speaks", "served by", *COLUMNS)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for client, of in groupby(found, key=lambda one: one.client):
        ran = [one for one in of if not one.skipped]
        served = ", ".join(one.provider for one in ran) or "not installed"
        cells = [_cell(name, client, ran) for name in COLUMNS]
        version = ran[0].version if ran else ""
        lines.append(
            f"| {client.name} | {version} | {client.api} | {served} | {' | '.join(cells)} |"
        )
    day = f"{at.day} {at:%B %Y}"
    return "\n".join([*lines, "", f"Measured on {day} by `python -m trials.translated`.", ""])


def _cell(name: str, client: Client, ran: Sequence[Result]) -> str:
    """Empty where the client was not asked for it."""
    keys = COLUMNS[name]
    asked = name == "rows" or (bool(client.errors) if name == "errors" else keys[0] in client.shown)
    if not ran or not asked:
        return ""
    bad = [one.provider for one in ran if "run" in one.wrong or set(keys) & one.wrong.keys()]
    return f"not by {', '.join(bad)}" if bad else "yes"


def main() -> int:
    """Returns the exit code: 1 if a client got something wrong or a row is."""
    parser = argparse.ArgumentParser(prog="python -m trials.translated", description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="only clients so named")
    parser.add_argument("--cache", type=Path, default=CACHE, help="directory for installed clients")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    arguments = parser.parse_args()
    chosen = [one for one in CLIENTS if arguments.only.lower() in one.name.lower()]
    if not chosen:
        parser.error(f"unknown client; choose from: {', '.join(one.name for one in CLIENTS)}")
    found = []
    for result in results(chosen, arguments.cache):
        found.append(result)
        said = result.skipped or "; ".join(f"{w}: {how}" for w, how in result.wrong.items())
        who = f"{result.client.name} ({result.client.api}) at {result.provider}"
        sys.stderr.write(f"{who}: {said or 'right'}\n")
    made = table(found, datetime.now(UTC))
    sys.stdout.write(made)
    if arguments.write:
        PAGE.write_text(between(PAGE.read_text(), NAME, made), encoding="utf-8")
    return 1 if any(one.wrong for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
