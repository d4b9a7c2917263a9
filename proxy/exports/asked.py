"""What may be exported, as the parameters of a question; and the same as rows to read.  Pure."""

from dataclasses import replace
from datetime import UTC, datetime

from exporters.clickhouse.conversations import KINDS, Place, Selection
from proxy.exports.directory import Question
from proxy.query.answer import instant_text
from proxy.query.asked import PERIOD, Accepted, Asked, Mistake, Pairs
from proxy.query.language import Defaults, stretch

AFTER = "after"
CONVERSATIONS = Accepted(PERIOD, filters=True)  # of the command
CONVERSATIONS_PAGE = Accepted((*PERIOD, AFTER), filters=True)  # of the API
WHICH = "give --session, --user or --since, or another filter or period"


def selection(asked: Asked, now: datetime) -> tuple[Selection, Place | None]:
    """The rows that a question wants, and the place to go on from.

    Raises Mistake, also for a question about everything: it is meant as seldom as it is written.
    """
    period = stretch(asked, now, Defaults(since=""))
    if period.since is None and not asked.filters:
        raise Mistake("no conversations were chosen", WHICH, "since")
    # The future is not there yet: an export that is resumed must be the same.
    wanted = Selection(
        since=period.since, until=min(period.until or now, now), filters=asked.filters
    )
    if not wanted.kinds():
        raise Mistake("no row has all that is asked for", "ask for less", "since")
    return wanted, _place(asked.one(AFTER))


def question(wanted: Selection, pairs: Pairs) -> Question:
    """What goes into the manifest; `pairs` are the parameters as they were given."""
    asked = tuple(sorted((name, text) for name, text in pairs if name != AFTER))
    since, until = instant_text(wanted.since), instant_text(wanted.until)
    return Question(asked=asked, since=since, until=until or "")


def parameters(question: Question, after: Place | None) -> list[tuple[str, str]]:
    """The same as parameters of the API, from behind `after`."""
    found = [(name, text) for name, text in question.asked if name not in PERIOD]
    found.append(("until", question.until))
    if question.since is not None:
        found.append(("since", question.since))
    if after is not None:
        found.append((AFTER, f"{after.ts_us},{after.kind},{after.call_id},{after.source}"))
    return found


def again(wanted: Selection, question: Question) -> Selection:
    """The same rows as when the export of `question` began."""
    since, until = map(_instant, (question.since, question.until))
    return replace(wanted, since=since, until=until or wanted.until)


def _place(text: str) -> Place | None:
    if not text:
        return None
    ts, _, rest = text.partition(",")
    kind, _, rest = rest.partition(",")
    call_id, _, source = rest.partition(",")
    if not (ts.isascii() and ts.isdecimal() and len(ts) < 19 and kind in KINDS and call_id):
        hint = "leave it out, or pass ts_us,kind,call_id,source of the last line"
        raise Mistake("invalid after", hint, AFTER)
    return Place(int(ts), kind, call_id, source)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
