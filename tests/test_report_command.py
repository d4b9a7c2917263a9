"""`taximeter report` in a terminal, a pipe and as CSV: with a console, and from the store alone."""

import asyncio
import csv
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import Batch, Record
from proxy.commands import local_zone
from proxy.commands.cli import main
from proxy.commands.report import fitting
from proxy.commands.terminal import Column, Exit
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.settings.config import JournalOptions
from support.product import Product

if TYPE_CHECKING:
    from conftest import RecordMaker

DATABASE = "test_report_command"


@pytest.fixture(scope="module")
def records(make_records: "RecordMaker", chdb_dsn: str) -> list[Record]:
    """Those in the store."""
    records = make_records(60)

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0-59", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


@pytest.fixture
def report(chdb_dsn: str, records: list[Record], tmp_path: Path) -> list[str]:
    """Words for a report from that store; nothing is serving."""
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[store]\ndsn = "{chdb_dsn}"\ndatabase = "{DATABASE}"\n')
    return ["report", "--config", str(config), "--data", str(tmp_path)]


@pytest.mark.thorough
def test_days_as_json_and_csv(
    report: list[str], records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows in both forms, a bucket for each day and team, exact to the last digit."""
    asked = [*report, "--by", "day,team", "--since", "2d", "--tz", "Europe/Berlin"]
    assert main([*asked, "--json"]) == Exit.OK
    rows = json.loads(capsys.readouterr().out)
    assert sum(row["calls"] for row in rows) == len(records)
    known = sum((record.cost_usd or Decimal(0) for record in records), Decimal(0))
    assert sum((Decimal(row["cost_usd"] or 0) for row in rows), Decimal(0)) == known
    assert main([*asked, "--csv"]) == Exit.OK
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(line["day"], line["team"], int(line["calls"])) for line in lines] == [
        (row["day"], row["team"], row["calls"]) for row in rows
    ]


@pytest.mark.thorough
def test_a_table(
    report: list[str], records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    """Groups and their total; a value that is missing has a name, and so has the rest."""
    assert main([*report, "--by", "project", "--not", "project=shop"]) == Exit.OK
    shown = capsys.readouterr().out
    assert "(none)" in shown
    assert main([*report, "--by", "user", "--limit", "2", "--order", "calls"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["user", "user", "user", "(other)", "all"]
    assert str(len(records)) in lines[4]


def test_mistakes_end_with_2(
    report: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is answered that was not asked; what to do stands in the message."""
    for words, said in (
        (["--since", "yesterday"], "invalid time 'yesterday'; expected"),
        (["--by", "tem"], "did you mean team?"),
        (["--month", "2026-10", "--until", "1h"], "contradict each other"),
        (["--json", "--csv"], "contradict each other"),
        (["--tag", "x"], "'x' is not NAME=VALUE"),
        (["--not", "tem=x"], "unknown parameter 'tem!'; did you mean team?"),
        (["--team", "a", "--audit", "--by", "team"], "--by has no meaning here"),
    ):
        assert main([*report, *words]) == Exit.MISTAKE, words
        told = capsys.readouterr()
        assert said in told.err
        assert told.out == ""
    for words, said in (
        (["--tem", "x"], "did you mean --team?"),
        (["--sinse", "x"], "did you mean --since?"),
        (["yesterday"], "yesterday is not understood; see --help"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([*report, *words])
        assert said in capsys.readouterr().err
    for place, said in (("nowhere", "there is no directory"), ("", "is not a data directory")):
        for command in (["report"], ["audit", "log"], ["store", "check"], ["content", "x"]):
            words = [*command, "--data", str(tmp_path / place), "--config", "/dev/null"]
            assert main(words) == Exit.MISTAKE, command
            assert said in capsys.readouterr().err
    nowhere = ["--data", str(tmp_path / "nowhere"), "--config", "/dev/null"]
    assert main(["access", "list", *nowhere]) == Exit.MISTAKE
    assert "there is no directory" in capsys.readouterr().err


def test_no_calls_is_said_only_if_proven(
    report: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not for a team that does not exist, and not while calls wait to be written."""
    assert main([*report, "--since", "2020-01-01T00:00Z", "--until", "2020-01-02T00:00Z"]) == 0
    assert "two years" in capsys.readouterr().out
    empty = [*report, "--since", "20d", "--until", "19d"]
    assert main(empty) == Exit.OK
    assert capsys.readouterr().out.startswith("No calls between 20")
    assert main([*report, "--team", "serch"]) == Exit.OK
    assert capsys.readouterr().out == "Note: no call has team=serch; did you mean search?\n"
    assert main([*report, "--team", "serch", "--json"]) == Exit.OK
    told = capsys.readouterr()
    assert (json.loads(told.out), "did you mean search" in told.err) == ([], True)
    journal = Journal(tmp_path / "records", "meter", JournalOptions())
    journal.append(1, Kind.RECORD, b"{}")
    journal.close()
    assert main(empty) == Exit.OK
    shown = capsys.readouterr().out
    assert "1 calls are recorded, but not in the store yet; start `taximeter serve`" in shown
    assert "No calls" not in shown


def test_with_a_running_console(product: Product, capsys: pytest.CaptureFixture[str]) -> None:
    """The console answers the same question in the same words."""
    place = ["--data", str(product.served.data / "data"), "--config", "/dev/null"]
    assert main(["report", *place, "--by", "hour", "--json", "--tz", "Asia/Kathmandu"]) == Exit.OK
    rows = json.loads(capsys.readouterr().out)
    assert 24 <= len(rows) <= 25
    assert all(row["hour"].endswith(":00+05:45") for row in rows)
    assert main(["report", *place, "--team", "nobody at all"]) == Exit.OK
    assert "no call has team=nobody at all" in capsys.readouterr().out
    assert main(["report", *place, "--audit"]) == Exit.OK
    assert "was counted: see metering.audit_sample" in capsys.readouterr().out


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that do not fit are left out by rank, and named; empty ones are just left out."""
    columns = (Column("team", "team"), Column("cost", "cost"), *_columns("input", "p50", "p95"))
    rows = [{"team": "x" * 40, "cost": "$1", "input": "1" * 20, "p50": "-", "p95": "2" * 20}]
    assert [one.key for one in fitting(columns, rows)[0]] == ["team", "cost", "input", "p95"]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown, left_out = fitting(columns, rows)
    assert ([one.key for one in shown], left_out) == (["team", "cost", "input"], ["P95"])


def _columns(*keys: str) -> list[Column]:
    return [Column(key, key.upper()) for key in keys]


def test_the_local_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """$TZ, else the file that the system links to, else UTC; a name that is none is UTC."""
    for given, zone in (("Asia/Tokyo", "Asia/Tokyo"), (":Asia/Tokyo", "Asia/Tokyo"), ("X1", "UTC")):
        monkeypatch.setenv("TZ", given)
        assert local_zone.local_zone() == zone
    monkeypatch.delenv("TZ")
    link = tmp_path / "localtime"
    assert local_zone.local_zone(link) == "UTC"
    target = tmp_path / "zoneinfo" / "Europe" / "Berlin"
    target.parent.mkdir(parents=True)
    target.touch()
    link.symlink_to(target)
    assert local_zone.local_zone(link) == "Europe/Berlin"
