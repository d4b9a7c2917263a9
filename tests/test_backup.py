"""A backup made while calls pass is whole, is proven to be, and never replaces anything."""

import json
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evaluation.standin import processes
from proxy.backup import backup
from proxy.backup.backup import MANIFEST, STORE
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.delivery.delivery import Cursor
from proxy.serving.instance import TakenError, claimed
from proxy.settings.places import Places

CALLS = 12


def taximeter(*arguments: str | Path) -> tuple[int, str, str]:
    """A command in a process of its own, for it opens the engine."""
    command = [sys.executable, "-m", "proxy", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def call(served: processes.Serving, count: int) -> None:
    body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "hello"}]}
    for _ in range(count):
        asked = urllib.request.Request(
            f"{served.proxy_url}/openai/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"authorization": "Bearer x", "x-taximeter-team": "search"},
        )
        urllib.request.urlopen(asked, timeout=20).close()


def team(data: Path) -> list[dict[str, Any]]:
    """What a stopped data directory reports."""
    code, out, err = taximeter("report", "--data", data, "--by", "team", "--json")
    assert code == Exit.OK, err
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `live`, made while calls passed, `later`, without a meter, and `data`."""
    place = tmp_path_factory.mktemp("backup")
    data = ("--config", place / "taximeter.toml", "--data", place / "data")
    with (
        processes.stand_in(place / "stand-in.log") as (upstream, _),
        processes.serve(place, {"openai": upstream}, settings=processes.FAST_ROWS) as served,
    ):
        call(served, CALLS)
        assert len(served.calls_when(CALLS)) == CALLS
        busy = threading.Thread(target=call, args=(served, CALLS))
        busy.start()
        code, out, err = taximeter("backup", *data, place / "live", "--json")
        assert code == Exit.OK, err
        assert json.loads(out)["rows"]["calls"] >= CALLS
        busy.join()
        assert len(served.calls_when(2 * CALLS)) == 2 * CALLS  # nobody waited for it, or was lost
        code, _, err = taximeter("backup", *data, place / "live")
        assert (code, "is not empty" in err) == (Exit.MISTAKE, True)
        code, _, err = taximeter("backup", *data, place / "data" / "inside")
        assert (code, "inside the data directory" in err) == (Exit.MISTAKE, True)
    code, out, err = taximeter("backup", *data, place / "later")
    assert code == Exit.OK, err
    assert f"Backed up {2 * CALLS} calls" in out
    return place


@pytest.mark.slow
def test_a_backup_without_a_meter_comes_back(backed_up: Path, tmp_path: Path) -> None:
    """Rows, rollups and state are as they were, and the audit log says who restored what."""
    data = tmp_path / "data"
    code, out, err = taximeter("restore", backed_up / "later", "--data", data)
    assert code == Exit.OK, err
    assert f"Restored {2 * CALLS} calls" in out
    assert team(data) == team(backed_up / "data")
    assert (data / "fingerprint.key").read_bytes() == (
        backed_up / "data" / "fingerprint.key"
    ).read_bytes()
    assert taximeter("store", "check", "--data", data, "--quiet", "0")[0] == Exit.OK
    assert (data / "state").stat().st_mode & 0o777 == 0o700
    code, _, err = taximeter("restore", backed_up / "later", "--data", data)
    assert (code, "is not empty" in err) == (Exit.MISTAKE, True)


@pytest.mark.slow
def test_a_backup_while_serving_comes_back(backed_up: Path, tmp_path: Path) -> None:
    """Each call that it saw is there once: in the store, or in a journal until the next start."""
    assert taximeter("restore", backed_up / "live", "--data", tmp_path / "data")[0] == Exit.OK
    settings = processes.FAST_ROWS
    with processes.serve(tmp_path, {}, settings=settings) as served:
        rows = served.calls_when(CALLS)
        entries = taximeter("audit", "log", "--data", tmp_path / "data", "--json")[1]
    assert CALLS <= len(rows) <= 2 * CALLS
    assert len({row["call_id"] for row in rows}) == len(rows)
    actions = [entry["action"] for entry in json.loads(entries)]
    assert [one for one in actions if one in ("restore", "backup")] == ["restore", "backup"]


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["flip", "drop", "add", "manifest", "unfinished", "newer"])
def test_damage_is_found(
    backed_up: Path, tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed byte, a missing or an added file, or no manifest: nothing is restored."""
    source = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(backed_up / "later"), str(source)], check=True)
    part = next(file for file in sorted((source / STORE).rglob("data.bin")))
    manifest = source / MANIFEST
    match harm:
        case "flip":
            part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
        case "drop":
            part.unlink()
        case "add":
            (source / "data" / "more").write_text("x")
        case "manifest":
            manifest.write_text("{")
        case "unfinished":
            manifest.unlink()
        case _:
            manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    assert main(["restore", str(source), "--data", str(tmp_path / "data")]) == Exit.MISTAKE
    assert "restore: " in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_batch_on_its_way_is_not_backed_up(tmp_path: Path) -> None:
    """A restored store does not remember tokens, so such a batch could be there twice."""
    places = Places(tmp_path)
    places.state.mkdir()
    places.cursor("clickhouse").write_bytes(msgspec.json.encode(Cursor(sending_to=9)))
    with pytest.raises(Exception, match="start taximeter serve first"):
        backup.copy_files(tmp_path, tmp_path / "to")


def test_an_interrupted_restore_is_not_served(tmp_path: Path) -> None:
    """The directory names the remedy instead of passing for the whole."""
    Places(tmp_path).restoring.touch()
    with pytest.raises(TakenError, match="not completely restored"), claimed(tmp_path):
        pass


def test_a_server_backs_up_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With store.dsn set, half a backup would look like a whole one, so it is refused."""
    config = tmp_path / "taximeter.toml"
    config.write_text('[store]\ndsn = "clickhouse://127.0.0.1:1"\n')
    (tmp_path / "data").mkdir()
    words = ["backup", "--config", str(config), "--data", str(tmp_path / "data")]
    assert main([*words, str(tmp_path / "to")]) == Exit.MISTAKE
    assert "BACKUP DATABASE" in capsys.readouterr().err
