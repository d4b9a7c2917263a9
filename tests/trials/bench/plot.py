"""The plot of the benchmark as SVG: bars on a logarithmic scale, in light or dark."""

import math
from collections.abc import Mapping
from html import escape

WIDTH, LABEL, BAR, GAP, HEAD = 760, 150, 15, 4, 26
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.n{font-weight:600}.b{fill:#8c959f}"
    ".u{fill:#bf8700}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#6e7681}}"
)


def bars(ratios: Mapping[str, Mapping[str, float]]) -> str:
    """`ratios` by contender and scenario; a group of bars for each scenario."""
    scenarios = list(dict.fromkeys(s for found in ratios.values() for s in found))
    most = max((r for found in ratios.values() for r in found.values()), default=2.0)
    scale = (WIDTH - LABEL - 60) / math.log(max(most, 2.0) * 2)
    parts, y = list[str](), 0
    for scenario in scenarios:
        y += HEAD
        parts.append(f'<text class="n" x="0" y="{y - 8}">{escape(scenario)}</text>')
        for name, found in ratios.items():
            if scenario not in found:
                continue
            length = max(2.0, scale * math.log(found[scenario] * 2)) if found[scenario] else 2.0
            kind = "u" if name.startswith("Taximeter") else "b"
            parts += (
                f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length:.0f}" height="{BAR}"/>',
                f'<text x="{LABEL + length + 6:.0f}" y="{y + 12}">{found[scenario]:.1f}</text>',
            )
            y += BAR + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" role="img">'
        f"<title>CPU per call as a multiple of nginx's, logarithmic</title>"
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )
