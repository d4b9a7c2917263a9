"""Rows and content go when their project's time is over, by entries in the log, and not before."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from test_evidence_store import Place, content, correction, database, entry, place, record

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.erasing import CONTENT, ROWS, Deletion, Erasing
from exporters.clickhouse.reconcile import reconcile
from exporters.clickhouse.selection import Selection
from exporters.evidence.checking import Erasure
from exporters.record import EPOCH, TransientError
from proxy.access.roles import COMMAND, Caller
from proxy.retention.eraser import Eraser
from proxy.retention.schedule import delete_old
from proxy.settings import sources
from proxy.settings.config import Config, RetentionOptions, StoreOptions
from proxy.settings.places import Places
from proxy.settings.retention import FOREVER_DAYS, held, limits, shortest_days, table_days

__all__ = ("database", "place")  # fixtures
NOW = datetime.now(UTC)
PROJECTS = ("hiring", "held", "")


def aged(days: float) -> int:
    """An instant so long ago, in microseconds."""
    return (NOW - timedelta(days=days) - EPOCH) // timedelta(microseconds=1)


def config_of(text: str, tmp_path: Path) -> Config:
    """Settings from TOML."""
    file = tmp_path / "t.toml"
    file.write_text(text)
    return sources.load(file, {}, {"data": str(tmp_path / "d")})


@dataclass
class Keeping:
    """A place with an eraser whose entries go the way of all entries."""

    place: Place
    eraser: Callable[..., Eraser]
    erasing: Erasing


@pytest.fixture
async def keeping(place: Place) -> AsyncIterator[Keeping]:
    erasing = Erasing(place.dsn, database=place.database)
    number = iter(range(100, 200))

    async def note(
        actor: Caller, action: str, target: str, before: object = None, after: object = None
    ) -> None:
        made = entry(
            next(number),
            actor=actor.name,
            action=action,
            target=target,
            after=msgspec.json.encode(after).decode(),
        )
        await place.write(place.audit, made)

    def eraser(held: Sequence[str] = (), store: object = erasing) -> Eraser:
        file = Places(place.config.data).erasing
        return Eraser(store, file, note, nullcontext, tuple(held))  # type: ignore[arg-type]

    yield Keeping(place, eraser, erasing)
    await erasing.close()


async def fill(place: Place) -> None:
    """Old and new calls of three projects, with content and corrections."""
    facts = [(project, aged(days)) for project in PROJECTS for days in (0.01, 20, 100)]
    await place.write(
        place.rows,
        *(record(at, project=one, ts_us=ts) for at, (one, ts) in enumerate(facts)),
    )
    said = [
        msgspec.structs.replace(content(at), project=one, ts_us=ts)
        for at, (one, ts) in enumerate(facts)
    ]
    await place.write(place.contents, *said)
    changed = [
        msgspec.structs.replace(correction(at), project=one, ts=ts)
        for at, (one, ts) in enumerate(facts)
    ]
    await place.correct(*changed)


def left(place: Place, table: str) -> set[tuple[str, int]]:
    """(project, age in days) of the rows of a table."""
    sql = f"SELECT project, toInt64(round((now64(6) - ts) / 86400)) FROM {table}"
    return {(str(one), int(age)) for one, age in place.client.query(sql).result_rows}


CONFIG = """
[content]
ttl_days = 30
[retention.hiring]
rows_days = 184
content_days = 10
[retention.held]
rows_days = 1
legal_hold = true
"""


@pytest.mark.thorough
async def test_each_project_has_its_own_time(keeping: Keeping, tmp_path: Path) -> None:
    """Old rows go with an entry, a hold keeps all, and a check accepts just these deletions."""
    place, config = keeping.place, config_of(CONFIG, tmp_path)
    await fill(place)
    before = place.head()
    sums = "SELECT sum(calls) FROM usage_1h"
    assert place.client.query(sums).result_rows == [(9,)]
    done = await delete_old(config, keeping.eraser(held(config)), NOW)
    assert done == 3  # content of hiring and of the others, and rows of the others
    held_rows = {("held", 0), ("held", 20), ("held", 100)}
    for table in ("calls", "corrections"):
        assert left(place, table) == held_rows | {
            *(("hiring", 0), ("hiring", 20), ("hiring", 100), ("", 0), ("", 20)),
        }
    assert left(place, "contents") == held_rows | {("hiring", 0), ("", 0), ("", 20)}
    found = await place.check(before, place.head())
    assert found.ok, found
    assert (found.heads, found.erased) == (2, 5)
    assert await delete_old(config, keeping.eraser(held(config)), NOW) == 0
    dsn = parse_dsn(place.dsn, place.database)
    reconcile(place.client, dsn, 400, repair=True, quiet_s=0)
    assert place.client.query(sums).result_rows == [(9,)]  # the sums of deleted calls stay
    nonces = "SELECT count() FROM nonces WHERE (tree, number) IN (SELECT tree, number FROM erased)"
    assert place.client.query(nonces).result_rows == [(0,)]


@pytest.mark.slow
async def test_an_order_spares_what_is_held(keeping: Keeping) -> None:
    """And says of how many calls; the call whose content went can still be proved."""
    place = keeping.place
    await fill(place)
    whose = Selection(before=NOW)
    erased = await keeping.eraser(["held"]).erase(COMMAND, "content-delete", "all", CONTENT, whose)
    assert (erased.deleted, erased.held) == (6, 3)
    assert {project for project, _ in left(place, "contents")} == {"held"}
    found = await place.check(place.head())
    assert (found.ok, found.erased) == (True, 6)


@pytest.mark.slow
async def test_a_deletion_nobody_wrote_down_is_found(keeping: Keeping) -> None:
    """Listing a row as deleted under a deletion that was about others gives it away."""
    place = keeping.place
    await fill(place)
    await keeping.eraser().erase(COMMAND, "x", "one", ROWS, Selection(call_id=record(0).call_id))
    assert (await place.check()).ok
    place.change(
        "INSERT INTO erased SELECT e.deletion, l.tree, l.number FROM leaves AS l, (SELECT any("
        "deletion) AS deletion FROM erased) AS e WHERE l.kind = 'call' AND l.source = 'w:1'"
    )
    place.change("ALTER TABLE calls DELETE WHERE source = 'w:1'")
    found = await place.check()
    assert [one.kind for one in found.altered] == ["deletion"]
    assert "an entry about 3 rows" in found.altered[0].reason


class Dying:
    """A store that fails at one step."""

    def __init__(self, inner: Erasing, step: str) -> None:
        self._inner, self._step = inner, step

    async def count(self, kinds: Sequence[str], whose: Selection) -> int:
        return await self._inner.count(kinds, whose)

    async def now_us(self) -> int:
        return await self._inner.now_us()

    async def list(self, deletion: Deletion) -> Sequence[Erasure]:
        found = await self._inner.list(deletion)
        if self._step == "list":
            raise TransientError("killed")
        return found

    async def delete(self, deletion: Deletion) -> None:
        raise TransientError("killed")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["list", "delete"])
async def test_a_deletion_that_was_interrupted_is_finished(keeping: Keeping, step: str) -> None:
    """By the next process, and a check finds nothing wrong before nor after."""
    place = keeping.place
    await fill(place)
    whose = Selection(call_id=record(0).call_id)
    with pytest.raises(TransientError):
        await keeping.eraser(store=Dying(keeping.erasing, step)).erase(
            COMMAND, "x", "one", ROWS, whose
        )
    assert len(left(place, "calls")) == 9
    assert (await place.check()).ok or step == "list"
    await keeping.eraser().finish()
    assert len(left(place, "calls")) == 8
    found = await place.check(place.head())
    assert (found.ok, found.erased) == (True, 3)
    assert not Places(place.config.data).erasing.exists()


@pytest.mark.slow
async def test_what_the_tables_deleted_themselves_is_written_down(keeping: Keeping) -> None:
    """While no meter ran: an entry says so later, of those that are old enough alone."""
    place = keeping.place
    await fill(place)
    place.change("ALTER TABLE calls DELETE WHERE ts < now() - INTERVAL 10 DAY")
    assert not (await place.check()).ok
    before = NOW - timedelta(days=50)
    noted = await keeping.eraser().note_gone(COMMAND, "rows-expire", "ttl", ("call",), before)
    assert noted == 3
    found = await place.check()
    assert {one.what for one in found.findings()} == {"missing"}
    assert len(found.findings()) == 3


def test_the_tables_own_limit_comes_later(tmp_path: Path) -> None:
    """Later than every project's, none under a hold, and sums are checked while rows are there."""
    plain = Config(data=tmp_path, store=StoreOptions(ttl_days=90))
    assert table_days(plain) == (92, 9)
    assert shortest_days(plain) == 90
    some = config_of("[retention.a]\nrows_days = 30\n[retention.b]\ncontent_days = 200", tmp_path)
    assert table_days(some) == (92, 202)
    assert shortest_days(some) == 30
    assert {(one.project, one.days) for one in limits(some) if not one.content_only} == {
        (None, 90),
        ("a", 30),
        ("b", 90),
    }
    kept = config_of(CONFIG, tmp_path)
    assert table_days(kept) == (FOREVER_DAYS, FOREVER_DAYS)
    assert held(kept) == ("held",)
    assert "held" not in {one.project for one in limits(kept)}
    assert NOW + timedelta(days=FOREVER_DAYS) < datetime(2106, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[retention.a]", "set content_days, rows_days or legal_hold"),
        ("[retention.a]\nrows_days = -1", "expected 1 to 20,000 days"),
        ("[retention.a]\nrow_days = 1", "did you mean rows_days?"),
        ("[retention.a]\nlegal_hold = 1", "true or false"),
    ],
)
def test_mistakes_are_named(text: str, said: str, tmp_path: Path) -> None:
    """With the key and what to do."""
    with pytest.raises(sources.SettingsError, match=r"retention\.a") as refused:
        config_of(text, tmp_path)
    assert said in str(refused.value)


def test_options_are_kept_for_children(tmp_path: Path) -> None:
    """The meter's process gets them."""
    config = config_of(CONFIG, tmp_path)
    again = sources.parse(sources.dump(config))
    assert again.retention["hiring"] == RetentionOptions(
        name="hiring", rows_days=184, content_days=10
    )
