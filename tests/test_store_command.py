"""`taximeter store check`: differences are found, shown and mended, with a console and without."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from time import monotonic

import pytest
from conftest import RecordMaker
from test_metrics import parsed

from evaluation.standin import processes
from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.reconcile import SumDifference
from exporters.record import Batch, TransientError
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.delivery.delivery import Cursor
from proxy.delivery.lag import waiting
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.serving import catching_up
from proxy.serving.catching_up import CatchingUp
from proxy.settings.config import JournalOptions
from support.patience import PATIENCE_S


@dataclass
class Served:
    """A running product that has metered a call."""

    serving: processes.Serving
    config: Path

    def command(self, *arguments: str) -> int:
        return main(["store", "check", "--config", str(self.config), *self.data, *arguments])

    @property
    def data(self) -> tuple[str, str]:
        return "--data", str(self.serving.data / "data")

    def text(self, path: str, **headers: str) -> str:
        asked = urllib.request.Request(f"{self.serving.console_url}{path}", headers=headers)
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`taximeter serve` before a stand-in provider, after one call."""
    data = tmp_path_factory.mktemp("served")
    with processes.stand_in(data / "stand-in.log") as (upstream, _):
        upstreams = {"openai": upstream}
        with processes.serve(data, upstreams, settings=processes.FAST_ROWS) as running:
            body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hi"}]}
            asked = urllib.request.Request(
                f"{running.proxy_url}/openai/v1/chat/completions",
                data=json.dumps(body).encode(),
                headers={"content-type": "application/json", "authorization": "Bearer x"},
            )
            urllib.request.urlopen(asked, timeout=PATIENCE_S).close()
            assert running.calls_when(1)
            yield Served(running, data / "taximeter.toml")


@pytest.mark.thorough
def test_metrics_of_a_running_one(served: Served) -> None:
    """`/metrics` has the call with its exact cost, and our own health, in one readable page."""
    samples = list(parsed(served.text("/metrics")))
    deadline = monotonic() + PATIENCE_S  # a row can be read a moment before its writer knows of it
    rows = {"taximeter_exporter": "clickhouse"}
    while ("taximeter_delivery_delivered_total", rows, "1") not in samples:
        assert monotonic() < deadline
        samples = list(parsed(served.text("/metrics")))
    (row,) = served.serving.calls()
    cost = [Decimal(value) for name, _, value in samples if name == "taximeter_cost_USD_total"]
    assert cost == [Decimal(row["cost_usd"])]
    names = {name: value for name, _, value in samples}
    assert names["taximeter_calls_total"] == "1"
    assert names["taximeter_delivery_waiting"] == "0"
    assert names["taximeter_delivery_lag_seconds"] == "0.0"
    assert names["taximeter_relay_calls_begun_total"] == "1"
    assert names["taximeter_relay_calls_lost_total"] == "0"
    assert names["taximeter_meter_open_calls"] == "0"
    assert names["taximeter_export_duration_seconds_count"] == "1"
    assert int(names["taximeter_journal_size_bytes"]) > 0
    assert len({(name, tuple(labels.items())) for name, labels, _ in samples}) == len(samples)


def test_metrics_are_for_us(served: Served) -> None:
    """A page of another site that resolves to us reads nothing."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        served.text("/metrics", Host="evil.example")
    assert caught.value.code == 403
    caught.value.close()


def test_through_the_console(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """A running console compares, on its own connection to the embedded store."""
    assert served.command("--quiet", "0") == Exit.OK
    assert "The rollups match the rows on every day" in capsys.readouterr().out
    assert served.command("--quiet", "0", "--repair", "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out) == []


def test_no_page_repairs(served: Served) -> None:
    """A browser says where a POST comes from, and is refused."""
    url = f"{served.serving.console_url}/api/store/check"
    asked = urllib.request.Request(url, method="POST", headers={"Origin": "http://127.0.0.1"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=PATIENCE_S)
    assert caught.value.code == 403
    caught.value.close()


@pytest.fixture
def broken(chdb_dsn: str, database: str, make_records: RecordMaker, tmp_path: Path) -> list[str]:
    """Arguments for a store in which an hour's sums were lost; nothing is serving."""
    records = tuple(make_records(50))

    async def write() -> None:
        store = ClickHouse(chdb_dsn, database=database)
        await store.export(Batch("w:1:0-1", records))
        await store.close()

    asyncio.run(write())
    client = connection.connect(parse_dsn(chdb_dsn))
    client.command(f"TRUNCATE TABLE {database}.sums_1h")
    client.close()
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[store]\ndsn = "{chdb_dsn}"\ndatabase = "{database}"\n')
    return ["store", "check", "--config", str(config), "--data", str(tmp_path), "--quiet", "0"]


@pytest.mark.thorough
def test_found_and_repaired(broken: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A difference is a table and exit code 1; after a repair there is none."""
    assert main(broken) == Exit.FAILED
    shown = capsys.readouterr().out
    assert "sums_1h" in shown
    assert "no rows" in shown
    assert "latency_1h" not in shown
    assert main([*broken, "--repair", "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert {one["rollup"] for one in found} == {"sums_1h"}
    assert all(one["repaired"] and one["rolled_up"] == {} for one in found)
    assert sum(one["rows"]["calls"] for one in found) == 50
    assert main(broken) == Exit.OK


def test_rows_that_wait(
    broken: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With rows in the journal nothing is compared: a repair could count them twice."""
    journal = Journal(tmp_path / "records", "meter", JournalOptions())
    journal.append(1, Kind.RECORD, b"{}")
    journal.close()
    assert main([*broken, "--repair"]) == Exit.FAILED
    assert "1 rows are waiting in the journal" in capsys.readouterr().out
    assert main(broken) == Exit.FAILED


async def test_a_check_waits_for_rows_that_are_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The meter compares once all is written; one that takes no rows is told after long."""
    done: list[str] = []

    class Store:
        """Takes rows after a while, and compares them."""

        def __init__(self, wait_s: float) -> None:
            self.wait_s = wait_s

        async def drained(self) -> None:
            await asyncio.sleep(self.wait_s)
            done.append("written")

        async def reconcile(self, **_: object) -> list[SumDifference]:
            done.append("compared")
            return []

    store = Store(0.2)
    assert await CatchingUp(store, (), store).check(repair=False, quiet_s=0) == []
    assert done == ["written", "compared"]
    assert catching_up.CATCH_UP_S >= 60
    monkeypatch.setattr(catching_up, "CATCH_UP_S", 0.05)
    with pytest.raises(TransientError, match="rows are waiting to be written"):
        await CatchingUp(Store(5), (), store).check(repair=False, quiet_s=0)


def test_waiting(tmp_path: Path) -> None:
    """Records behind the cursor are counted, over segments and writers; those before are not."""
    first = Journal(tmp_path, "meter", JournalOptions())
    for number in range(3):
        first.append(number, Kind.RECORD, b"{}")
    first.close()
    second = Journal(tmp_path, "meter", JournalOptions())
    second.append(1, Kind.RECORD, b"{}")
    second.flush()
    assert waiting(tmp_path, Cursor()) == 4
    assert waiting(tmp_path, Cursor(writer=second.writer, segment=1, offset=0)) == 1
    assert waiting(tmp_path / "nowhere", Cursor()) == 0
    second.close()
