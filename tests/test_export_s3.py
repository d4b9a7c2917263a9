"""Exports to storage that speaks S3: the same bytes as in files, and no key in any word of ours."""

import asyncio
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_export_focus import RECORDS

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.s3_object import parse
from exporters.record import Batch
from proxy.commands import export_target
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from support.patience import PATIENCE_S

SECRET = "wJalrXUtnFEMI/never-shown"
BUCKET = "bills"
# Enough for moto, which checks no signature.
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261103/us-east-1/s3/aws4_request"
BILL = ("export", "focus", "--since", "2026-11-03", "--until", "2026-11-04", "--tz", "UTC")
SHOP = ("export", "conversations", "--project", "shop")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks S3, and its credentials in the environment."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    bucket = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
    urllib.request.urlopen(bucket, timeout=PATIENCE_S).close()
    yield url
    server.stop()


@pytest.fixture
def data(chdb_dsn: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory whose store has the calls of a day."""

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=database)
        await exporter.export(Batch("s:0-99", RECORDS))
        await exporter.close()

    asyncio.run(fill())
    monkeypatch.setenv("TAXIMETER_STORE_DSN", chdb_dsn)
    monkeypatch.setenv("TAXIMETER_STORE_DATABASE", database)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.thorough
def test_files_arrive_as_they_are(
    s3: str, data: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A bill as CSV and Parquet, and conversations; what was there is replaced; errors say why."""

    def taximeter(*words: str) -> int:
        return main([*words, "--data", str(data)])

    def stored(key: str) -> bytes:
        asked = urllib.request.Request(f"{s3}/{BUCKET}/{key}", headers={"Authorization": SIGNED})
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    for _ in range(2):  # the second time it replaces what the first time wrote
        assert taximeter(*BILL, "--output", f"s3://{BUCKET}/x/november") == Exit.OK
    assert taximeter(*BILL, "--output", str(data / "here")) == Exit.OK
    for ending in ("csv", "parquet"):
        name = f"focus-2026-11.{ending}"
        assert stored(f"x/november/{name}") == (data / "here" / name).read_bytes()
    assert taximeter(*SHOP, "--output", f"s3://{BUCKET}/shop/") == Exit.OK
    assert taximeter(*SHOP, "--output", str(data / "shop")) == Exit.OK
    lines = (data / "shop" / "conversations.jsonl").read_bytes()
    assert stored("shop/conversations.jsonl") == lines
    assert sha256(lines).hexdigest().encode() in stored("shop/manifest.json")
    assert taximeter(*BILL, "--output", "s3://nobodys/november.csv") == Exit.FAILED
    out, err = capsys.readouterr()
    assert "Cannot export: s3://nobodys/november.csv: " in err
    assert "The specified bucket does not exist" in err
    written = b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())
    assert SECRET not in out + err + caplog.text + written.decode("latin-1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://", "names no bucket"),
        ("s3://Bucket/key.csv", "names no bucket"),
        ("s3://bucket", "has no key"),
        ("s3://bucket/{a,b}.csv", "odd characters"),
        ("s3://bucket/*.csv", "odd characters"),
        ("s3://bucket/november.xls", "no known ending"),
    ],
)
def test_names_that_are_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read: what names no object, and what the engine takes for a pattern."""
    assert main([*BILL, "--output", text, "--data", str(tmp_path)]) == Exit.MISTAKE
    assert said in capsys.readouterr().err


def test_without_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installation for a ClickHouse server may have no chDB: it says what to install."""
    monkeypatch.setattr(export_target, "find_spec", lambda _: None)
    for output in ("s3://bucket/november.csv", "november.parquet", "november"):
        assert main([*BILL, "--output", output, "--data", str(tmp_path)]) == Exit.MISTAKE
        assert "pip install 'taximeter[embedded]'" in capsys.readouterr().err


def test_where_an_object_is() -> None:
    """The endpoint and region of AWS's own variables; no password in an address."""
    assert parse("s3://b.c/k", {}).url == "https://s3.us-east-1.amazonaws.com/b.c/k"
    at = {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "us-west-2"}
    assert parse("s3://b.c/k", at).url == "https://s3.eu-central-1.amazonaws.com/b.c/k"
    both = at | {"AWS_ENDPOINT_URL": "http://x:9000/", "AWS_ENDPOINT_URL_S3": "http://y:9000"}
    assert parse("s3://b.c/k", both).url == "http://y:9000/b.c/k"
    for environ in ({"AWS_ENDPOINT_URL": "http://u:hush@x"}, {"AWS_REGION": "x/y"}):
        with pytest.raises(ValueError, match="AWS_") as caught:
            parse("s3://b.c/k", environ)
        assert "hush" not in str(caught.value)


@given(st.text("abc/*{}?'\\\" \n\x00é.-=()", max_size=20))
def test_no_key_is_a_pattern(key: str) -> None:
    """A key that is accepted means one object, and stays what it was."""
    try:
        found = parse(f"s3://bucket/{key}", {})
    except ValueError:
        return
    assert not set(found.key) & set('*{}?\\" \n\x00é')
    assert str(found) == f"s3://bucket/{key}"
