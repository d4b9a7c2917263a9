"""Recommendations as one HTML file that needs nothing else."""

from collections.abc import Iterator
from html import escape

from evaluation.decisions.change import Change
from evaluation.decisions.recommended import Recommendation
from evaluation.reports.drawing import Mark, intervals
from evaluation.reports.page import table, whole
from evaluation.reports.words import points, spread, usd
from pricing.money import amount


def page(found: Recommendation, since: str | None, until: str) -> str:
    """The whole document."""
    period = f"{since or 'the beginning'} to {until}"
    title = f"Recommendations, {(since or 'the beginning')[:10]} to {until[:10]}"
    body = f'<p class="soft">{escape(period)}</p>{"".join(_sections(found))}'
    return whole(title, body)


def _sections(found: Recommendation) -> Iterator[str]:
    yield f"<p><strong>{escape(summary(found))}</strong></p>"
    yield f'<p class="soft">{escape(found.claim.capitalize())}.</p>'
    if found.changes:
        yield "<h2>Savings in this period</h2>"
        yield intervals([_mark(one) for one in found.changes], usd, zero=True)
    for one in found.changes:
        yield from _change(one)
    yield "<h2>Spend</h2>"
    yield table(("candidate", "cost"), ((name, amount(cost)) for name, cost in found.spend.items()))
    yield "<h2>What is not known</h2><ul>"
    yield "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    yield "</ul>"


def summary(found: Recommendation) -> str:
    """How many changes there are of each conclusion."""
    rejected = found.count("not recommended")
    return (
        f"{found.count('recommended')} recommended, {found.count('try')} to try,"
        f" {found.count('not enough evidence')} without enough evidence"
        f"{f', {rejected} not recommended' if rejected else ''}."
    )


def _mark(one: Change) -> Mark:
    kind = "better" if one.conclusion == "recommended" else ""
    return Mark(f"{one.conclusion}: {one.title}", one.saving_usd, kind)


def _change(one: Change) -> Iterator[str]:
    yield f"<h2>{escape(one.title.capitalize())}</h2>"
    saves = "saves" if one.conclusion in ("recommended", "try") else "could save"
    rows = [
        ("conclusion", one.conclusion),
        (saves, f"{usd(one.saving_usd.value)} ({spread(one.saving_usd, usd)})"),
        ("evidence", f"{one.evidence_kind}: {one.evidence}"),
        ("what could go wrong", one.risk),
        ("what would prove it", one.canary),
    ]
    if one.quality_difference is not None:
        found = one.quality_difference
        rows.insert(2, ("quality", f"{points(found.value)} points ({spread(found, points)})"))
    if one.collect is not None:
        number = "" if one.collect.number is None else f"{one.collect.number:,} "
        rows.append(("collect", f"{number}{one.collect.what}"))
    yield table(("", ""), rows, said=1)
