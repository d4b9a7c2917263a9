"""Leaves of rows that leave out what follows, beside those of rows from before."""

import msgspec
from test_evidence_store import Place, database, place
from test_metering import BEGUN
from test_mixed_rows import from_before
from test_reprice import OLD, Live

from pricing import Meter, Usage
from proxy.exchange import Part

__all__ = ["database", "place"]  # fixtures


async def test_a_leaf_commits_to_what_its_row_keeps(place: Place) -> None:
    """Be it all of it or not: a check needs nothing else, and names each row that was changed."""
    live = await Live(OLD).ready()
    live.begun = msgspec.structs.replace(BEGUN, headers=())
    usage = Usage({Meter.INPUT: 1_000, Meter.OUTPUT: 100})
    for _ in range(4):
        live.call("m", parts=(Part(usage=usage),))
    made = [msgspec.structs.replace(one, node="here") for one in live.records]
    assert {one.trace_id for one in made} == {""}
    await place.write(place.rows, *map(from_before, made[:2]), *made[2:])
    found = await place.check(place.head())
    assert (found.ok, found.checked, found.leaves) == (True, 4, 4)
    place.change("ALTER TABLE calls UPDATE trace_id = trace WHERE source = 'w:2'")
    place.change("ALTER TABLE calls UPDATE receipt = '{}' WHERE source = 'w:3'")
    third, fourth = (await place.check()).findings()
    assert {third.call_id, fourth.call_id} == {made[2].call_id, made[3].call_id}
