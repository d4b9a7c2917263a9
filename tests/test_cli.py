"""The command line: what is asked is answered, as text or JSON, with an exit code that says how."""

import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.reason import Reason
from proxy.commands import terminal
from proxy.commands.cli import main
from proxy.commands.reprice import _put_into_force, order
from proxy.commands.terminal import Column, Exit
from proxy.query.language import Stretch
from proxy.settings.config import Config

ROOT = Path(__file__).parents[1]
CALL = {
    "id": "mini",
    "provider": "openai",
    "path": "/v1/chat/completions",
    "at": "2026-11-20T12:00:00Z",
    "request": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]},
    "response": {
        "id": "c1",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
    },
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith("TAXIMETER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


def document(tmp_path: Path, *calls: object) -> str:
    """A file of call documents."""
    file = tmp_path / "calls.jsonl"
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))
    return str(file)


def test_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand tokens each way of gpt-4o-mini: 0.15 and 0.60 USD per million, exactly."""
    assert main(["price", document(tmp_path, CALL)]) == Exit.OK
    charge = json.loads(capsys.readouterr().out)
    assert (charge["id"], charge["usd"], charge["status"]) == ("mini", "0.00075", "exact")
    assert sum(Decimal(line["usd"]) for line in charge["lines"]) == Decimal(charge["usd"])


def test_price_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The receipt shows quantity, list price and source of each line."""
    assert main(["price", "--explain", document(tmp_path, CALL)]) == Exit.OK
    shown = capsys.readouterr().out
    assert "mini: $0.00075 (exact)" in shown
    assert "0.15 per 1,000,000" in shown
    assert "https://" in shown


def test_price_takes_a_document_over_several_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that an editor has indented is one document."""
    file = tmp_path / "call.json"
    file.write_text(json.dumps(CALL, indent=2))
    assert main(["price", str(file)]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["usd"] == "0.00075"


def test_price_of_the_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown model has no price, a reason, and an exit code of its own; never zero."""
    response = {**CALL["response"], "model": "nobody-1"}  # type: ignore[dict-item]  # it is a dict
    request = {"model": "nobody-1", "messages": []}
    unknown = {**CALL, "request": request, "response": response}
    assert main(["price", document(tmp_path, unknown)]) == Exit.UNPRICED
    charge = json.loads(capsys.readouterr().out)
    assert (charge["usd"], charge["status"]) == (None, "unpriced")
    assert charge["reasons"] == ["unknown_model:nobody-1"]


def test_price_explains_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The receipt of a call without a price says why, in a sentence."""
    response = {**CALL["response"], "model": "nobody-1"}  # type: ignore[dict-item]  # it is a dict
    request = {"model": "nobody-1", "messages": []}
    unknown = {**CALL, "request": request, "response": response}
    assert main(["price", "--explain", document(tmp_path, unknown)]) == Exit.UNPRICED
    shown = " ".join(capsys.readouterr().out.split())
    assert f"because unknown_model:nobody-1 {Reason.UNKNOWN_MODEL.sentence}" in shown


def test_price_goes_on_after_a_bad_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The place of the bad one is told, the good ones are priced, the exit code says so."""
    assert main(["price", document(tmp_path, {"provider": "openai"}, CALL)]) == Exit.MISTAKE
    said = capsys.readouterr()
    assert "calls.jsonl:1: missing or not text: path" in said.err
    assert json.loads(said.out)["id"] == "mini"


def test_price_at_no_stated_time_is_that_of_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`at` may be left out of a document."""
    file = document(tmp_path, {key: value for key, value in CALL.items() if key != "at"})
    assert main(["price", file]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["usd"] == "0.00075"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("opnai", "unknown provider 'opnai': did you mean openai?"),
        ("zzz", "unknown provider 'zzz': known ones are anthropic, azure, "),
    ],
)
def test_price_names_an_unknown_provider(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is not a call without a price."""
    assert main(["price", document(tmp_path, CALL | {"provider": name})]) == Exit.MISTAKE
    assert said in capsys.readouterr().err


def test_price_reads_standard_input() -> None:
    """Without files, documents come from a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "price"],
        input=json.dumps(CALL).encode(),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert json.loads(done.stdout)["usd"] == "0.00075"


def test_price_of_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is a mistake, not a traceback."""
    assert main(["price", "nowhere.jsonl"]) == Exit.MISTAKE
    assert "nowhere.jsonl" in capsys.readouterr().err


def test_tariffs(capsys: pytest.CaptureFixture[str]) -> None:
    """They can be listed, shown and checked, as text and as JSON."""
    assert main(["tariffs", "list", "openai", "--json"]) == Exit.OK
    listed = json.loads(capsys.readouterr().out)
    assert {row["provider"] for row in listed} == {"openai"}
    assert main(["tariffs", "show", "openai/gpt-4o-mini"]) == Exit.OK
    assert "openai/gpt-4o-mini" in capsys.readouterr().out
    assert main(["tariffs", "show", "gpt-4o-mini", "--json"]) == Exit.OK
    shown = json.loads(capsys.readouterr().out)
    assert any(rule["meter"] == "output" for rule in shown[0]["rules"])
    assert main(["tariffs", "check"]) == Exit.OK
    assert "No problems found." in capsys.readouterr().out


def test_no_tariff(capsys: pytest.CaptureFixture[str]) -> None:
    """A model without a price says which providers have some."""
    assert main(["tariffs", "show", "nobody-1"]) == Exit.UNPRICED
    assert "No tariff for nobody-1.  Providers with tariffs: " in capsys.readouterr().out
    assert main(["tariffs", "list", "nobody"]) == Exit.UNPRICED


def test_private_tariffs_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad private tariff file stops with its place, before anything is served."""
    tariffs = tmp_path / "tariffs"
    tariffs.mkdir()
    (tariffs / "ours.toml").write_text("provider = \n")
    config = tmp_path / "taximeter.toml"
    config.write_text('[metering]\ntariffs = "tariffs"\n')
    for command in (["tariffs", "check"], ["check"], ["serve"], ["run", "--", "true"]):
        given = [*command[:1], "--config", str(config), *command[1:]]
        assert main(given) == Exit.MISTAKE
        assert "ours.toml:1: " in capsys.readouterr().err


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    """What is in force: addresses, store, and where each provider's calls go."""
    assert main(["check"]) == Exit.OK
    shown = capsys.readouterr().out
    assert "The base URL of a provider is http://127.0.0.1:4000/PROVIDER:" in shown
    assert "not set: providers.azure.base_url" in shown
    assert main(["check", "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["console"] == "http://127.0.0.1:4001"
    assert {"name", "here", "base_url"} <= found["providers"][0].keys()
    assert found["alerts"] == {
        "webhook": False,
        "webhook_headers": [],
        "notify": [],
        "journal_share_max": 0.8,
        "lag_max_s": 300.0,
        "quiet_s": 300.0,
    }


def test_check_hides_passwords(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store is shown without its password, a webhook not at all."""
    monkeypatch.setenv("TAXIMETER_STORE_DSN", "clickhouse://me:hunter2@db.example.org:8123")
    monkeypatch.setenv("TAXIMETER_ALERTS_WEBHOOK", "https://hooks.example.org/hunter2")
    monkeypatch.setenv("TAXIMETER_ALERTS_WEBHOOK_HEADERS", "x-note=hunter2")
    assert main(["check"]) == Exit.OK
    shown = capsys.readouterr().out
    assert "db.example.org" in shown
    assert "to log, console and webhook: a journal 80% full" in shown
    assert main(["check", "--json"]) == Exit.OK
    text = capsys.readouterr().out
    found = json.loads(text)["alerts"]
    assert (found["webhook"], found["webhook_headers"]) == (True, ["x-note"])
    assert "hunter2" not in shown + text


def test_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All mistakes of the configuration at once, exit code 2, for machines too."""
    config = tmp_path / "taximeter.toml"
    config.write_text('relay = 1\n[store]\ndsn = "chdb://relative"\n')
    monkeypatch.setenv("TAXIMETER_CONFIG", str(config))
    monkeypatch.setenv("TAXIMETER_PROXY_PORT", "x")
    assert main(["check", "--json"]) == Exit.MISTAKE
    said = capsys.readouterr()
    assert json.loads(said.out)["mistakes"] == said.err.splitlines()
    assert len(said.err.splitlines()) == 2
    config.write_text('[store]\ndsn = "chdb://relative"\n')
    monkeypatch.delenv("TAXIMETER_PROXY_PORT")
    assert main(["check"]) == Exit.MISTAKE
    assert "store.dsn: " in capsys.readouterr().err


def test_run_needs_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`run` alone says how it is used."""
    assert main(["run"]) == Exit.MISTAKE
    assert "taximeter run -- python app.py" in capsys.readouterr().err


def test_unknown_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's exit code is the one for mistakes."""
    with pytest.raises(SystemExit) as caught:
        main(["check", "--nonsense"])
    assert caught.value.code == Exit.MISTAKE
    assert "--nonsense" in capsys.readouterr().err


def test_demo_has_its_own_arguments() -> None:
    """`taximeter demo` becomes the demo of `evaluation`, which explains itself."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "demo", "--help"],
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert b"--rate N" in done.stdout


@pytest.mark.thorough
def test_a_closed_pipe_is_no_error() -> None:
    """`taximeter tariffs list | head -1` ends without a traceback."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m proxy tariffs list | head -1"],
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.stderr == b""
    assert done.returncode == 0


def test_tables_are_plain_in_a_pipe() -> None:
    """Aligned, without colour, and not cut to any width."""
    out = io.StringIO()
    columns = (Column("a", "name"), Column("b", "cost", number=True))
    terminal.show(columns, [{"a": "x" * 200, "b": "1"}, {"a": "y", "b": "23"}], out)
    assert out.getvalue().splitlines()[1:] == ["x" * 200 + "     1", "y" + " " * 199 + "    23"]


@given(
    widths=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.booleans()), min_size=1),
    width=st.integers(20, 200),
)
def test_columns_are_left_out_whole(widths: list[tuple[int, int, bool]], width: int) -> None:
    """In their order, only those that may, and only if the others do not fit."""
    columns = [
        Column(str(at), "t", number=number, shed=shed)
        for at, (_, shed, number) in enumerate(widths)
    ]
    kept = terminal.fitting(columns, [["x" * size for size, _, _ in widths]], width)
    gone = [columns[at].shed for at in range(len(columns)) if at not in kept]
    staying = [columns[at].shed for at in kept if columns[at].shed]
    assert all(gone)
    assert not gone or min(gone) >= max(staying, default=0)

    def needed(shown: Sequence[int]) -> int:
        sizes = (widths[at][0] if widths[at][2] else min(24, widths[at][0]) for at in shown)
        return sum(sizes) + 2 * (len(shown) - 1)

    assert needed(kept) <= width or not staying
    if gone:
        assert needed(range(len(columns))) > width


def in_terminal(columns: int, *argv: str) -> list[str]:
    """What a command shows in a terminal of that many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", *argv],
        cwd=ROOT,
        env=environ | {"TERM": "dumb"},
        stdout=slave,
        stderr=slave,
    ):
        os.close(slave)
        shown = b""
        with suppress(OSError):  # the other side is closed
            while data := os.read(master, 65536):
                shown += data
    os.close(master)
    return [line.rstrip() for line in shown.decode().replace("\r\n", "\n").split("\n")]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "argv",
    [
        ("check",),
        ("tariffs", "list", "openai"),
        ("tariffs", "show", "openai/gpt-5.4-mini"),
        ("quote", "--providers", "openai,anthropic", "--tiers", "standard,batch"),
    ],
)
def test_eighty_columns_are_enough(argv: tuple[str, ...]) -> None:
    """No line but a lone address is wider; no name and no amount is cut."""
    lines = in_terminal(80, *argv)
    assert len(lines) > 5
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []
    assert "…" not in "".join(lines)


def test_tables_in_a_terminal() -> None:
    """A terminal gets the table of rich, and the values as they are: no markup, no escapes."""
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8") as out:
        terminal.show((Column("a", "name"),), [{"a": "[red]x\x1b[31m"}], out)
    shown = os.read(master, 4096).decode()
    os.close(master)
    assert "[red]x\\x1b[31m" in shown


ALWAYS = Stretch(None, None, "UTC")


@pytest.mark.parametrize("configured", [False, True])
def test_how_new_tariffs_come_into_force_is_said(
    configured: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repricing by a directory of the command's changes stored calls alone."""
    metering = replace(Config(data=tmp_path).metering, tariffs=tmp_path if configured else None)
    config = replace(Config(data=tmp_path), metering=metering)
    _put_into_force(config, order(ALWAYS, str(tmp_path)))
    said = capsys.readouterr().out
    assert "send SIGHUP to `taximeter serve`, or restart it" in said
    assert (f'tariffs = "{tmp_path}"' in said) is not configured
    _put_into_force(config, order(ALWAYS, ""))
    assert capsys.readouterr().out == ""
