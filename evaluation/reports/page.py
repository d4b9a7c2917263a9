"""A report as one HTML file that needs nothing else: intervals drawn as SVG, light and dark."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from evaluation.reports import words
from evaluation.reports.differences import Difference
from evaluation.reports.drawing import Mark, intervals
from evaluation.reports.report import ModelReport, Report

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --paper: #fff; --line: #dde4ea;
  --mark: #1565c0; --good: #2e7d32; --bad: #c62828; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa9b8; --paper: #12181f;
  --line: #2b3642; --mark: #64b5f6; --good: #81c784; --bad: #ef9a9a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .soft, .none { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); } th:first-child, td:first-child { text-align: left; }
td.said { text-align: left; white-space: normal; min-width: 14rem; } th.said { text-align: left; }
th { color: var(--soft); font-weight: 600; } svg { width: 100%; max-width: 40rem; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; paint-order: stroke;
  stroke: var(--paper); stroke-width: 4px; }
svg .tick { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--line); } .zero { stroke: var(--soft); stroke-dasharray: 3 3; }
.interval { stroke: var(--mark); stroke-width: 4; stroke-linecap: round; opacity: .55; }
.dot { fill: var(--mark); } .better { stroke: var(--good); } .worse { stroke: var(--bad); }
.dot.better { fill: var(--good); } .dot.worse { fill: var(--bad); }
@media (max-width: 30rem) { svg text { font-size: 20px; } svg .tick { font-size: 17px; }
  .talk { width: 100%; } .talk td { white-space: normal; overflow-wrap: anywhere; min-width: 0;
  vertical-align: top; } .talk td:first-child { width: 36%; } }
"""
NOTE = (
    "Intervals are 95 %, clustered. The detectable difference is what a comparison of so many cases"
    " sees in 80 % of runs; smaller ones need more cases. Answers that never came and checks that"
    " could not be run count for nobody."
)


PAIRED = "First minus second, in percentage points, paired by case, p-values after Holm."
SINCE = (
    "Now minus then, in percentage points, paired by case. Each run since then is a look: intervals"
    " hold at all looks and for all models together."
)


def page(found: Report) -> str:
    """The whole document."""
    return whole(f"Evaluation {found.run_id}", "".join(_sections(found)))


def whole(title: str, body: str) -> str:
    """A document of sections in HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _sections(found: Report) -> Iterator[str]:
    yield f'<p class="soft">{escape(words.heading(found))}</p>'
    marks = [Mark(model.model, model.accuracy) for model in found.models]
    yield "<h2>Accuracy</h2>"
    yield intervals(marks, words.percent, low=0.0, high=1.0)
    yield "<h2>Cost per success</h2>"
    marks = [Mark(model.model, model.cost_per_success_usd) for model in found.models]
    yield intervals(marks, words.usd, low=0.0)
    yield "<h2>Models</h2>"
    yield _models(found.models)
    yield from _compared("Differences in accuracy", found.differences, PAIRED, found.smallest)
    if found.against:
        yield from _compared(f"Since run {found.against}", found.since, SINCE, found.smallest)
    yield "<h2>Tasks</h2>"
    yield _tasks(found.models)
    yield from _refusals(found.models)
    yield from _losses(found.models)
    yield f'<p class="soft">{NOTE}</p>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], said: int = -1) -> str:
    """A table of texts; `said` is the column that holds a sentence."""
    titles = "".join(
        f'<th class="said">{escape(title)}</th>' if at == said else f"<th>{escape(title)}</th>"
        for at, title in enumerate(head)
    )
    lines = (
        "".join(
            f'<td class="said">{escape(cell)}</td>' if at == said else f"<td>{escape(cell)}</td>"
            for at, cell in enumerate(row)
        )
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    scrolls = f'tabindex="0" role="group" aria-label="By {escape(head[0], quote=True)}"'
    kind = ' class="talk"' if said >= 0 else ""
    return f'<div class="wide" {scrolls}><table{kind}><tr>{titles}</tr>{body}</table></div>'


def _models(models: Sequence[ModelReport]) -> str:
    head = ("model", "accuracy", "95 %", "cases", "detectable", "per success", "95 %",
            "time to success", "cost", "judge")  # fmt: skip
    return table(
        head,
        (
            (
                model.model,
                words.percent(model.accuracy.value),
                words.spread(model.accuracy),
                f"{model.cases:,}",
                words.detectable(model),
                words.usd(model.cost_per_success_usd.value),
                words.spread(model.cost_per_success_usd, words.usd),
                words.seconds(model.time_to_success_s.value),
                words.usd(model.cost_usd),
                words.usd(model.judge_usd),
            )
            for model in models
        ),
    )


def _compared(title: str, found: Sequence[Difference], note: str, smallest: float) -> Iterator[str]:
    if not found:
        return
    yield f"<h2>{escape(title)}</h2>"
    yield (
        f'<p class="soft">{note} Differences below {smallest * 100:g} points are taken as'
        " alike.</p>"
    )
    marks = [
        Mark(_pair(each), each.at_every_look if each.look else each.difference, each.verdict)
        for each in found
    ]
    kinds = ("better", "worse")
    marks = [Mark(m.name, m.bounds, m.kind if m.kind in kinds else "") for m in marks]
    yield intervals(marks, words.points, zero=True)
    yield table(("comparison", "result"), ((_pair(each), _said(each)) for each in found), said=1)


def _said(each: Difference) -> str:
    return words.since(each) if each.look else words.difference(each)


def _pair(each: Difference) -> str:
    return each.first if each.first == each.second else f"{each.first} – {each.second}"


def _tasks(models: Sequence[ModelReport]) -> str:
    names = sorted({task for model in models for task in model.tasks})
    rows = []
    for task in names:
        cells = []
        for model in models:
            score = model.tasks.get(task)
            value = score.accuracy.value if score else None
            cells.append(f"{words.percent(value)} of {score.cases:,}" if score else "–")
        rows.append((task, *cells))
    return table(("task", *(model.model for model in models)), rows)


def _refusals(models: Sequence[ModelReport]) -> Iterator[str]:
    names = sorted({name for model in models for name in model.refusals})
    if names:
        yield "<h2>Refusals: both errors</h2>"
        yield table(
            ("model", *(name.replace("_", " ") for name in names)),
            (
                (
                    model.model,
                    *(
                        f"{words.percent(model.refusals[name].value)}"
                        f" ({words.spread(model.refusals[name])})"
                        if name in model.refusals
                        else "–"
                        for name in names
                    ),
                )
                for model in models
            ),
        )


def _losses(models: Sequence[ModelReport]) -> Iterator[str]:
    """What is not in the numbers, and what casts doubt on them."""
    rows = [
        (model.model, f"{count:,} × {what}")
        for model in models
        for what, count in (
            *((f"no answer: {kind}", n) for kind, n in model.errors.items()),
            *((f"not run: {reason}", n) for reason, n in model.not_run.items()),
            ("calls of unknown cost: the cost is a lower bound", model.unknown_cost_calls),
            ("answers with the suite's canary: trained on the suite", model.contaminated),
        )
        if count
    ]
    if rows:
        yield "<h2>Not counted, or doubtful</h2>"
        yield table(("model", "what"), rows, said=1)
