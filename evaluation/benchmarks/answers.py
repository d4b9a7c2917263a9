"""Models that answered the same prompts, from a table of calls: accuracy, cost, oracle, routing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from evaluation.benchmarks.routing import Document, Rivals, accuracy
from evaluation.benchmarks.routing import document as routing
from evaluation.benchmarks.tables import Table, by_value
from evaluation.statistics import cost_per_success
from evaluation.statistics.clusters import Floats

# RouterArena's score (https://github.com/RouteWorks/RouterArena): accuracy against the logarithm of
# the cost of 1,000 queries, which is worth nothing at $200 and everything at $0.0044.
BETA = 0.1
COST_WORST, COST_BEST = 200.0, 0.0044


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answered: arrays by item, in order of item.  None: no such column."""

    model: str
    calls: int
    items: Sequence[str]
    labels: Sequence[str | None]
    scores: Floats | None  # the mean, where an item has several calls
    costs: Sequence[Decimal] | None  # of all calls of an item
    tokens: Floats | None  # of the prompt; the mean again

    def at(self, items: Sequence[str]) -> list[int]:
        """The positions of some of the items."""
        places = {item: at for at, item in enumerate(self.items)}
        return [places[item] for item in items]


def answered(table: Table, model: str, rows: Sequence[int]) -> Answers:
    """What a model answered in these rows of a table of calls."""
    by_item = by_value(table.texts("item", rows) or [])
    amounts = table.texts("cost_usd", rows)
    costs = None
    if amounts is not None:
        costs = [sum((Decimal(amounts[at]) for at in ats), Decimal()) for _, ats in by_item]

    def means(title: str) -> Floats | None:
        values = table.numbers(title, rows)
        return None if values is None else np.asarray([values[ats].mean() for _, ats in by_item])

    labels = table.labels(rows) or [None] * len(rows)
    return Answers(
        model=model,
        calls=len(rows),
        items=[item for item, _ in by_item],
        labels=[min((labels[at] for at in ats), key=str) for _, ats in by_item],
        scores=means("score"),
        costs=costs,
        tokens=means("input_tokens"),
    )


def document(table: Table) -> Document:
    """Every model, the oracle over all, and routing between two of them, for JSON."""
    names = by_value(table.texts("model", range(table.rows)) or [])
    models = [answered(table, name, rows) for name, rows in names]
    two = strong_and_weak(models)
    return {
        "models": [_model(each) for each in models],
        "oracle": _oracle(models),
        "strong": two[0].model if two else None,
        "weak": two[1].model if two else None,
        "routing": routing(_rivals(*two)) if two else None,
    }


def arena_score(accuracy: float, usd_per_thousand: float, beta: float = BETA) -> float:
    """S = (1+β)·A·C/(β·A + C) with C from 0 to 1; 0 where both are 0."""
    cost = math.log2(COST_WORST / max(usd_per_thousand, COST_BEST))
    merit = max(cost / math.log2(COST_WORST / COST_BEST), 0.0)
    below = beta * accuracy + merit
    return (1 + beta) * accuracy * merit / below if below else 0.0


def strong_and_weak(models: Sequence[Answers]) -> tuple[Answers, Answers] | None:
    """The most accurate model, and the cheapest other by item (without costs the least accurate).

    None where no two models have scores for the same items.
    """
    scored = [each for each in models if each.scores is not None]
    if len(scored) < 2:
        return None
    strong = max(scored, key=lambda each: (_accuracy(each), each.model))
    others = [each for each in scored if set(each.items) & set(strong.items)]
    others.remove(strong)
    priced = all(each.costs is not None for each in others)
    value = _cost if priced else _accuracy
    weak = min(others, key=lambda each: (value(each), each.model), default=None)
    return None if weak is None else (strong, weak)


def _model(answers: Answers) -> Document:
    scores, costs = answers.scores, answers.costs
    total = None if costs is None else sum(costs, Decimal())
    found: Document = {
        "model": answers.model,
        "items": len(answers.items),
        "calls": answers.calls,
        "cost_usd": None if total is None else float(total),
        "accuracy": None,
        "cost_per_success_usd": None,
        "arena_score": None,
    }
    if scores is not None:
        found["accuracy"] = accuracy(scores, answers.labels)
    if scores is not None and costs is not None and total is not None:
        paid = cost_per_success(np.asarray(costs, np.float64), scores, answers.labels)
        found["cost_per_success_usd"] = paid.interval.document()
        thousand = float(total * 1000 / answers.calls)
        found["arena_score"] = arena_score(float(scores.mean()), thousand)
    return found


def _oracle(models: Sequence[Answers]) -> Document | None:
    """The best answer to each item that every model answered; None without scores or such items."""
    items = list(models[0].items) if models else []
    for each in models[1:]:
        items = sorted(set(items) & set(each.items))
    rows = [each.scores[each.at(items)] for each in models if each.scores is not None]
    if not items or not rows:
        return None
    labels = [models[0].labels[at] for at in models[0].at(items)]
    return {"items": len(items), "accuracy": accuracy(np.max(rows, axis=0), labels)}


def _rivals(strong: Answers, weak: Answers) -> Rivals:
    """On the items that both answered; length as the weak model's provider counted it."""
    items = sorted(set(strong.items) & set(weak.items))
    here, there = strong.at(items), weak.at(items)

    def costs(answers: Answers, places: list[int]) -> Floats | None:
        paid = answers.costs
        return None if paid is None else np.asarray([paid[at] for at in places], np.float64)

    return Rivals(
        strong=_scores(strong)[here],
        weak=_scores(weak)[there],
        labels=[strong.labels[at] for at in here],
        length=None if weak.tokens is None else weak.tokens[there],
        strong_costs=costs(strong, here),
        weak_costs=costs(weak, there),
    )


def _scores(answers: Answers) -> Floats:
    if answers.scores is None:
        raise ValueError(f"{answers.model} has no scores")
    return answers.scores


def _accuracy(answers: Answers) -> float:
    return float(_scores(answers).mean())


def _cost(answers: Answers) -> float:
    return float(sum(answers.costs or (), Decimal()) / len(answers.items))
