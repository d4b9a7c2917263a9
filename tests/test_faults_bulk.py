"""The audit of calls too many to compare one by one, and that it would notice."""

from collections.abc import Mapping

import pytest

from proxy.journal.counters import LAG_COUNTS
from trials.faults.__main__ import markdown
from trials.faults.audit import AuditResult
from trials.faults.bulk import Bulk, check_rollup, check_sums
from trials.faults.lag import lag_since

ONE = {"input_tokens_total": 3, "output_tokens_total": 4, "cost_usd": "0.000001"}
SUMS = {"input_tokens_total": 30, "output_tokens_total": 40, "cost_usd": "0.00001"}
ROWS = dict.fromkeys(("calls", "sources", "call_ids", "span_ids", "ok", "exact"), 10)


def audited(sums: Mapping[str, object], *, begun: int = 10, errors: int = 0) -> AuditResult:
    """What is said of ten calls with these sums."""
    result = AuditResult(fault="none")
    bulk = Bulk(proxy_url="", team="t", connections=1, begun=begun, errors=errors)
    bulk.finished = begun - errors
    check_sums(result, bulk, dict(sums), ONE)
    return result


def test_ten_calls_with_ten_rows_are_well() -> None:
    """Nothing lost, doubled or wrong, and the sums are ten times those of one."""
    assert audited(ROWS | SUMS).ok


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sources": 9, "calls": 9}, "lost"),
        ({"calls": 11}, "doubled"),
        ({"span_ids": 9}, "wrong"),
        ({"exact": 9}, "wrong"),
        ({"ok": 9}, "wrong"),
        ({"cost_usd": "0.000010000000000001"}, "wrong"),
        ({"output_tokens_total": 41}, "wrong"),
    ],
)
def test_what_is_amiss_is_seen(change: dict[str, object], field: str) -> None:
    """A missing row, a second one, an id twice, a cost that is off in its last digit."""
    result = audited(ROWS | SUMS | change)
    assert getattr(result, field) >= 1
    assert not result.ok


def test_a_call_that_its_caller_saw_fail_is_an_error() -> None:
    """Nobody was killed, so nobody is excused."""
    assert audited(ROWS | SUMS, begun=11, errors=1).errors == 1


@pytest.mark.parametrize("change", [{"calls": 9}, {"cost_usd": "0.000011"}, {"cost_usd": None}])
def test_a_rollup_that_is_not_the_sum_is_seen(change: dict[str, object]) -> None:
    """Exact to the last digit."""
    good, bad = AuditResult(fault="none"), AuditResult(fault="none")
    check_rollup(good, ROWS | SUMS, ROWS | SUMS)
    check_rollup(bad, ROWS | SUMS, ROWS | SUMS | change)
    assert (good.wrong, bad.wrong) == (0, 1)


def test_lag_is_told_by_the_bounds_that_it_stayed_below() -> None:
    """Of the looks between two readings only."""
    before = dict.fromkeys(LAG_COUNTS, 5)
    after = before | {"lag_1ms": 95, "lag_64ms": 14, "lag_longer": 6}
    told = lag_since(before, after)
    assert told.endswith("(100 looks): p50 ≤ 1 ms, p99 ≤ 64 ms, p99.9 > 1024 ms")


def test_the_page_gets_the_table_as_it_was_printed() -> None:
    """A row for each fault under its columns, then what was noted."""
    lines = markdown(
        [
            AuditResult(fault="one", calls=1_234, notes=["a", "b"]),
            AuditResult(fault="two", skipped=True),
        ]
    ).splitlines()
    assert lines == [
        "| fault | rounds | calls | cut | lost | doubled | wrong | errors |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        "| one | 1 | 1,234 | 0 | 0 | 0 | 0 | 0 |",
        "| two | skipped |  |  |  |  |  |  |",
        "",
        "- one: a; b",
    ]
