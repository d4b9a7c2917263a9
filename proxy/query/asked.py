"""The parameters of a question: which there are, how often each may be given, and what is wrong.

What is not understood is refused, with what to do instead; nothing is ignored, since an answer to
another question looks like an answer to this one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from exporters.clickhouse.dimensions import COLUMNS, DIMENSIONS, TAG, Value, dimension
from exporters.clickhouse.query import Filter

FILTERS_MAX = 50  # of one question
VALUES_MAX = 200  # of one filter
LENGTH_MAX = 2_000  # characters of a value
NOT = "!"  # `team!=search` arrives as name "team!" and value "search"
FORMATS = ("json", "csv")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}

Pairs = Iterable[tuple[str, str]]


class Mistake(ValueError):
    """A question that is not understood: what is wrong, about which parameter, and what to do."""

    def __init__(self, wrong: str, hint: str, parameter: str = "") -> None:
        super().__init__(f"{wrong}; {hint}" if hint else wrong)
        self.hint = hint
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Accepted:
    """The parameters of one kind of question: those given once at most, and those given often.

    With `filters`, every dimension is a parameter as well, and so is its negation.  With `prefix`,
    so is every name that begins with it; whoever answers knows which there are.
    """

    once: tuple[str, ...] = ()
    often: tuple[str, ...] = ()
    filters: bool = False
    prefix: str = ""

    def repeats(self, name: str) -> bool:
        """Whether a parameter may be given more than once."""
        return name in self.often or bool(self.prefix and name.startswith(self.prefix))

    @property
    def names(self) -> tuple[str, ...]:
        """All names, without those of tags."""
        return (*self.once, *self.often, *(DIMENSIONS if self.filters else ()))


NOTHING = Accepted()
PERIOD = ("since", "until", "month", "tz")
ZONE_ALONE = Accepted(("tz", "format"))
PERIOD_ALONE = Accepted((*PERIOD, "format"))
FILTERED_PERIOD = Accepted((*PERIOD, "format"), filters=True)
# A parameter → what it is, for `--help` and documents.
MEANINGS: Mapping[str, str] = {
    "since": "start, as a time or an age such as 2026-11-01 or 7d",
    "until": "end, which does not belong to the period, as a time or an age (default: now)",
    "month": "a calendar month such as 2026-10, instead of since and until",
    "tz": "time zone of days and of times without an offset, such as Europe/Berlin",
    "by": "what to group by: dimensions, tag.NAME, and one of hour, day, week, month",
    "measure": "what to measure besides: successes, cost_per_success",
    "limit": "how many to show; of a report the dearest groups, with the rest as one more",
    "columns": "which columns, such as ts,call_id,cost_usd; all by default",
    "order": "what groups are ranked by",
    "format": "json or csv",
    "step": "seconds of a step of time",
    "before": "for the next page: time of the last row",
    "before_id": "for the next page: id of the last row",
    "provider": "who bills",
    "search": "words that are in a provider or a name of a model, as in opus 4.5",
    "own": "true for prices of your own alone, false for shipped ones",
    "offset": "how many to skip, for the next page",
    "after": "to go on with an export: `ts_us,kind,call_id,source` of the last line",
    "run": "a run of an evaluation suite, whose answers are the quality",
    "slo": "a hard limit, such as p95_ttft<1s",
    "weights": "what matters how much, such as quality=4,cost=3",
    "anchors": "values that are worth 0 and 1, such as cost=0.02:0,0.002:1",
    "smallest": "the loss of quality that matters, of 1",
    "purpose": "export, which is an entry of the audit log, or verify",
    "from": "start, as Grafana writes it: now-7d, now/d, milliseconds since 1970, or ISO 8601",
    "to": "end, in the same forms",
    "refId": "which query of the panel",
    "name": "one budget",
    "amount": "what the call would hold back, in the budget's unit",
    "size": "leaves of the tree under an earlier head",
    "quiet_s": "skip days with rows newer than so many seconds",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose names are all known; values are still text."""

    given: Mapping[str, tuple[str, ...]]
    filters: tuple[Filter, ...] = ()

    def one(self, name: str, default: str = "") -> str:
        """The value of a parameter; empty counts as not given."""
        return (self.given.get(name) or ("",))[0] or default

    def listed(self, name: str) -> tuple[str, ...] | None:
        """All values, given one by one or with commas; None if the parameter is not there."""
        values = self.given.get(name)
        if values is None:
            return None
        return tuple(filter(None, (part.strip() for one in values for part in one.split(","))))

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds.  Raises Mistake."""
        text = self.one(name, str(default))
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if digits and least <= int(text) <= most:
            return int(text)
        hint = f"{name} must be a number from {least} to {most}"
        raise Mistake(f"invalid {name} {_short(text)}", hint, name)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of `choices`, the first by default.  Raises Mistake."""
        text = self.one(name, choices[0])
        if text not in choices:
            raise Mistake(f"invalid {name} {_short(text)}", near(text, choices), name)
        return text


def asked(pairs: Pairs, accepted: Accepted) -> Asked:
    """A question from its parameters as they came.

    Raises Mistake for an unknown name, for one value too many, and for a filter's invalid value.
    """
    given: dict[str, tuple[str, ...]] = {}
    filters: dict[tuple[str, bool], tuple[Value, ...]] = {}
    for name, text in pairs:
        if len(text) > LENGTH_MAX:
            raise Mistake(f"{_short(name)} is too long", f"{LENGTH_MAX} characters at most", name)
        if name in accepted.once and name in given:
            raise Mistake(f"{name} is given twice", "give it once", name)
        if name in accepted.once or accepted.repeats(name):
            given[name] = (*given.get(name, ()), text)
            if len(given) > FILTERS_MAX or len(given[name]) > VALUES_MAX:
                raise too_long(name)
            continue
        plain = name.removesuffix(NOT)
        found = dimension(plain) if accepted.filters else None
        if found is None:
            raise unknown(name, accepted)
        key = (plain if plain.startswith(TAG) else found.name, name.endswith(NOT))
        filters[key] = (*filters.get(key, ()), _value(found.kind, plain, text))
        if len(filters) > FILTERS_MAX or len(filters[key]) > VALUES_MAX:
            raise too_long(plain)
    return Asked(given, tuple(Filter(n, values, out) for (n, out), values in filters.items()))


def too_long(name: str) -> Mistake:
    """The mistake of too many values."""
    most = f"{FILTERS_MAX} filters of {VALUES_MAX} values at most"
    return Mistake("the question is too long", most, name)


def unknown(name: str, accepted: Accepted) -> Mistake:
    """The mistake of a name that is no parameter."""
    known = accepted.names
    if not known:
        return Mistake(f"unknown parameter {_short(name)}", "there are none here", name)
    names = [*known, *(COLUMNS if accepted.filters else ())]
    hint = near(name, names, (*known, f"{TAG}NAME") if accepted.filters else known)
    return Mistake(f"unknown parameter {_short(name)}", hint, name)


def near(name: str, known: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """What to do about an unknown name: the nearest one, or all of them."""
    known = list(known)
    return meant(name, known) or f"expected: {', '.join(listed or known)}"


def meant(name: str, known: Iterable[str]) -> str:
    """Which of the known names an unknown one was probably meant to be; "" if none is near."""
    known = list(known)
    close = get_close_matches(name.lower(), known, n=1)
    close = close or get_close_matches(name.lower().replace("-", "_"), known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _value(kind: type[Value], name: str, text: str) -> Value:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise Mistake(f"invalid {name} {_short(text)}", f"{name} is true or false", name)
        return _TRUTH[text.lower()]
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Mistake(f"invalid {name} {_short(text)}", f"{name} is a whole number", name)
    return int(text)


def _short(text: str) -> str:
    """A caller's text, for a message."""
    return repr(text if len(text) <= 100 else f"{text[:100]}…")
