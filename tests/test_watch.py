"""Which alerts fire, from what health shows: each loss once, from its beginning to its end."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.notify.alert import Alert
from proxy.health.losses import LOSSES
from proxy.health.watch import CATCHING_UP_S, ENDED_MAX, KNOWN, State, Watch
from proxy.settings.config import AlertOptions

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = AlertOptions(quiet_s=60.0)
Parts = dict[str, dict[str, Any]]


def status(**changed: object) -> Parts:
    """A status in which all is well, but for what is `changed`: a key of the meter or exporter."""
    parts: Parts = {
        "meter": {
            "ok": True,
            "failed": 0,
            "damaged_bytes": 0,
            "write_errors": 0,
            "journal": {"frames_dropped": 0, "calls_lost": 0, "write_errors": 0},
            "journal_bytes": {"calls": 0, "records": 0},
            "journal_bytes_max": {"calls": 1_000, "records": 1_000, "contents": 1_000},
        },
        "clickhouse": {"ok": True, "set_aside": 0, "waiting": 0, "lag_s": 0.0},
    }
    for name, value in changed.items():
        part = next(part for part in parts.values() if name in part)
        part[name] = part[name] | value if isinstance(value, dict) else value
    return parts


class Looks:
    """A watch with a clock of its own."""

    def __init__(self, state: State | None = None, at_s: float = 0.0) -> None:
        self.watch = Watch(LIMITS, state)
        self.at_s = at_s

    def look(self, after_s: float = 2.0, /, **changed: object) -> list[Alert]:
        self.at_s += after_s
        now = BEGAN + timedelta(seconds=self.at_s)
        return self.watch.look(status(**changed), now, self.at_s)


def test_all_is_well() -> None:
    """A status without losses fires nothing, however old its counters are."""
    looks = Looks()
    old = {"frames_dropped": 7, "calls_lost": 3, "write_errors": 1}
    for _ in range(100):
        assert looks.look(journal=old, set_aside=4) == []
    assert looks.watch.firing == []


@pytest.mark.parametrize(
    ("changed", "name", "severity", "said"),
    [
        ({"journal": {"frames_dropped": 1234}}, "frames_dropped", "critical", "1,234 journal"),
        ({"journal": {"calls_lost": 2}}, "calls_lost", "critical", "2 calls will have no row"),
        (
            {"set_aside": 3},
            "rows_set_aside (clickhouse)",
            "critical",
            "house permanently rejected 3",
        ),
        ({"failed": 4}, "frames_unreadable", "critical", "4 journal frames could not be read"),
        ({"damaged_bytes": 5}, "journal_damaged", "critical", "5 bytes at the ends"),
        (
            {"journal": {"write_errors": 6}},
            "journal_write_errors (calls)",
            "warning",
            "6 journal writes of calls",
        ),
        (
            {"write_errors": 7},
            "journal_write_errors (records)",
            "warning",
            "7 journal writes of rec",
        ),
        (
            {"journal_bytes": {"records": 800}},
            "journal_nearly_full (records)",
            "warning",
            "800 of 1,000 bytes (80%)",
        ),
    ],
)
def test_each_loss_has_its_alert(
    changed: dict[str, object], name: str, severity: str, said: str
) -> None:
    """It begins at the look that sees it, says how much, and ends a quiet minute later."""
    looks = Looks()
    looks.look()
    (begun,) = looks.look(**changed)
    assert (begun.title, begun.severity) == (name, severity)
    assert said in begun.summary
    assert begun.action
    assert (begun.started_at, begun.ended_at) == (BEGAN + timedelta(seconds=4), None)
    level = "journal_bytes" in changed
    quiet = {} if level else changed
    assert looks.look(58, **quiet) == []
    (over,) = looks.look(2, **quiet)
    assert msgspec.structs.replace(over, ended_at=None) == begun
    assert over.ended_at == BEGAN + timedelta(seconds=64)
    assert looks.watch.firing == []
    assert list(looks.watch.ended) == [over]


def test_an_exporter_that_takes_no_rows() -> None:
    """It is behind once its oldest row is too old, for longer than catching up takes."""
    looks = Looks()
    assert looks.look(waiting=9, lag_s=300.0) == []
    assert looks.look(waiting=9, lag_s=302.0) == []
    assert looks.look(CATCHING_UP_S - 1, waiting=9, lag_s=330.0) == []
    (begun,) = looks.look(1, waiting=9, lag_s=3331.0)
    assert begun.title == "exporter_behind (clickhouse)"
    assert begun.summary == "9 rows wait for clickhouse, the oldest for 3,331 s."
    assert looks.look(waiting=9, lag_s=3_400.0) == []
    assert "3,400 s" in looks.watch.firing[0].summary


def test_old_rows_that_are_caught_up_with_are_no_alarm() -> None:
    """After a night without a meter its rows are a night old, and gone within seconds."""
    looks = Looks()
    for _ in range(10):
        assert looks.look(waiting=9_000, lag_s=30_000.0) == []
    assert looks.look(waiting=0, lag_s=0.0) == []
    assert looks.look(CATCHING_UP_S, waiting=3, lag_s=400.0) == []


def test_more_of_it_is_the_same_alert() -> None:
    """While frames go on being dropped the number grows; there is no second alert."""
    looks = Looks()
    looks.look()
    looks.look(journal={"frames_dropped": 10})
    for dropped in range(20, 1_000, 10):
        assert looks.look(59, journal={"frames_dropped": dropped}) == []
    (firing,) = looks.watch.firing
    assert firing.summary.startswith("990 journal frames")


def restarted(state: State) -> State:
    """As the file gives it back."""
    return msgspec.json.decode(msgspec.json.encode(state), type=State)


def test_a_restart_neither_tells_twice_nor_forgets() -> None:
    """The next watch has what fires, counts on, and ends it in its time."""
    looks = Looks()
    looks.look()
    (begun,) = looks.look(journal={"frames_dropped": 5})
    again = Looks(restarted(looks.watch.state), at_s=10_000.0)
    assert again.look(journal={"frames_dropped": 5}) == []
    assert [alert.started_at for alert in again.watch.firing] == [begun.started_at]
    assert again.look(journal={"frames_dropped": 8}) == []
    assert again.watch.firing[0].summary.startswith("8 journal frames")
    (over,) = again.look(60, journal={"frames_dropped": 8})
    assert over.started_at == begun.started_at
    assert Looks(restarted(again.watch.state)).look(journal={"frames_dropped": 8}) == []


def test_what_was_lost_without_a_meter_is_told() -> None:
    """Relays drop frames while the meter is down: the first look of the next one says so."""
    looks = Looks()
    looks.look(journal={"frames_dropped": 5})
    again = Looks(restarted(looks.watch.state))
    (begun,) = again.look(journal={"frames_dropped": 6}, failed=1)[:1]
    assert begun.summary.startswith("1 journal frames")
    assert {alert.name for alert in again.watch.firing} == {"frames_dropped", "frames_unreadable"}


def test_a_counter_that_fell_back_is_no_loss() -> None:
    """Counters that went with a killed meter count from where they are."""
    looks = Looks()
    looks.look(journal={"frames_dropped": 50})
    assert looks.look(journal={"frames_dropped": 20}) == []
    (begun,) = looks.look(journal={"frames_dropped": 22})
    assert begun.summary.startswith("2 journal frames")


def test_unknown_is_no_news() -> None:
    """A status that lacks a number neither begins an alert nor is read as zero."""
    watch = Watch(LIMITS)
    assert watch.look({}, BEGAN, 0.0) == []
    assert watch.look({"meter": {"journal": None, "journal_bytes": {"calls": 9}}}, BEGAN, 1.0) == []
    assert watch.look(status(journal={"frames_dropped": 9}), BEGAN, 2.0) == []
    watch.look({}, BEGAN, 3.0)
    (begun,) = watch.look(status(journal={"frames_dropped": 10}), BEGAN, 4.0)
    assert begun.summary.startswith("1 journal frames")


def test_a_clock_that_is_set_back() -> None:
    """Holds go by the monotonic clock, and nothing ends before it began."""
    watch = Watch(LIMITS)
    watch.look(status(), BEGAN, 0.0)
    watch.look(status(failed=1), BEGAN, 2.0)
    (over,) = watch.look(status(failed=1), BEGAN - timedelta(hours=1), 62.0)
    assert over.ended_at == over.started_at


def test_those_that_are_over_have_a_limit() -> None:
    """The last hundred are kept, the newest first."""
    looks = Looks()
    for number in range(1, ENDED_MAX + 21):
        looks.look(failed=number)
        looks.look(60, failed=number)
    assert len(looks.watch.ended) == ENDED_MAX
    assert looks.watch.ended[0].started_at > looks.watch.ended[1].started_at


def test_names_are_stable() -> None:
    """Rules and runbooks go by them: this list only grows."""
    assert dict(KNOWN) == {
        "frames_dropped": "critical",
        "calls_lost": "critical",
        "rows_set_aside": "critical",
        "content_dropped": "critical",
        "frames_unreadable": "critical",
        "journal_damaged": "critical",
        "journal_write_errors": "warning",
        "journal_nearly_full": "warning",
        "exporter_behind": "warning",
        "tokens_beyond_band": "warning",
        "costs_drift": "warning",
        "budgets_unreadable": "critical",
        "relay_hangs": "critical",
    }
    assert all(loss.summary.endswith(".") and loss.action.endswith(".") for loss in LOSSES)


steps = st.lists(
    st.tuples(
        st.floats(0.5, 90.0),  # seconds since the last look
        st.integers(0, 2),  # frames dropped meanwhile
        st.sampled_from((0, 790, 800, 1_000)),  # bytes in the journal
        st.sampled_from((0.0, 299.0, 301.0, 9_999.0)),  # lag
        st.booleans(),  # whether the meter is restarted before it
    ),
    max_size=60,
)


@pytest.mark.thorough
@given(steps)
@settings(max_examples=300)
def test_nothing_flaps(taken: list[tuple[float, int, int, float, bool]]) -> None:
    """Begin and end take turns, an alert has at most one end, and holds until it was quiet."""
    looks, dropped = Looks(), 0
    looks.look()
    told: dict[str, list[tuple[float, Alert]]] = {}
    for after_s, more, size, lag_s, restart in taken:
        if restart:
            looks = Looks(restarted(looks.watch.state), looks.at_s)
        dropped += more
        sizes = {"calls": size}
        changed = {"journal": {"frames_dropped": dropped}, "journal_bytes": sizes}
        for alert in looks.look(after_s, lag_s=lag_s, waiting=1, **changed):
            told.setdefault(alert.title, []).append((looks.at_s, alert))
        firing = {alert.title for alert in looks.watch.firing}
        assert firing == {title for title, seen in told.items() if seen[-1][1].ended_at is None}
        assert "frames_dropped" in firing or not more
        assert "journal_nearly_full (calls)" in firing or size < 800
    for seen in told.values():
        assert [alert.ended_at is None for _, alert in seen] == [
            number % 2 == 0 for number in range(len(seen))
        ]
        for (at_s, one), (later_s, other) in pairwise(seen):
            if other.ended_at is not None:
                assert other.started_at == one.started_at
                assert later_s - at_s >= LIMITS.quiet_s
