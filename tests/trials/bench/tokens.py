"""Measures the error of token counts: `python -m trials.bench.tokens PATH [--json]`.

PATH is a JSONL file of cases: `kind`, `provider`, `model`, and either `request` with the
`input_tokens` that were billed, or `width`, `height`, `detail` with `image_tokens`.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from proxy.exchange import CountRequest
from proxy.tokens import vocabularies
from proxy.tokens.images import Image
from proxy.tokens.tokens import count

BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Absolute errors of a group of cases, relative to what was billed."""

    provider: str
    kind: str
    cases: int
    exact: int  # cases without error
    median: float
    p90: float
    worst: float


def estimate(case: Mapping[str, object]) -> tuple[int, int]:
    """(tokens counted, tokens billed) of one case."""
    model = str(case["model"])
    if isinstance(request := case.get("request"), Mapping):
        counted = count(str(case["provider"]), model, CountRequest(request=request), BYTES_MAX)
        return counted.usage.input_tokens, int(str(case["input_tokens"]))
    image = Image(
        width=int(str(case["width"])),
        height=int(str(case["height"])),
        detail=str(case.get("detail") or "auto"),
    )
    return vocabularies.find(model).image(image, model), int(str(case["image_tokens"]))


def table(cases: Iterable[Mapping[str, object]]) -> list[Line]:
    """One line for each provider and kind of case, sorted by name."""
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for case in cases:
        ours, billed = estimate(case)
        errors[str(case["provider"]), str(case["kind"])].append(abs(ours / billed - 1))
    return [
        Line(
            provider=provider,
            kind=kind,
            cases=len(found),
            exact=sum(error == 0 for error in found),
            median=quantile(found, 0.5),
            p90=quantile(found, 0.9),
            worst=max(found),
        )
        for (provider, kind), found in sorted(errors.items())
    ]


def quantile(values: Iterable[float], share: float) -> float:
    """The value that `share` of `values` do not exceed, interpolated between neighbours."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = ordered[int(at)]
    return low + (ordered[min(int(at) + 1, len(ordered) - 1)] - low) * (at - int(at))


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns 2 if the file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.tokens", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        text = options.path.read_text(encoding="utf-8")
        lines = table(json.loads(line) for line in text.splitlines())
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.path}: cannot read cases: {error!r}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return 0
    shown = Table("provider", "kind", "cases", "exact", "median", "p90", "worst")
    for line in lines:
        errors = (f"{error:.1%}" for error in (line.median, line.p90, line.worst))
        shown.add_row(line.provider, line.kind, str(line.cases), str(line.exact), *errors)
    Console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
