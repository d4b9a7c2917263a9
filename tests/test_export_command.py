"""`taximeter export` and `taximeter import`, with a console and without."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest
from test_reconcile_command import fill, lines, record

from evaluation.standin import processes
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from support import bills, cloud_bills
from support.documents import blocks, read, shell_lines
from support.newcomer import newcomer
from support.patience import PATIENCE_S


def call(served: processes.Serving, session: str, path: str, body: Mapping[str, object]) -> None:
    """One call of a session."""
    asked = urllib.request.Request(
        f"{served.proxy_url}{path}",
        data=json.dumps(body).encode(),
        headers={"authorization": "Bearer x", "x-taximeter-session": session},
    )
    urllib.request.urlopen(asked, timeout=PATIENCE_S).close()


def status(url: str) -> int:
    """What the console says to somebody without a token."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def taximeter(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, as it may open an embedded store."""
    command = [sys.executable, "-m", "proxy", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow  # eight processes, each with a store of its own
def test_conversations_leave_and_come_back(tmp_path: Path) -> None:
    """The same bytes from a running console, from its stopped store, and from one they went to."""
    settings = f"[content]\ncapture = true\n{processes.FAST_ROWS}"
    config = tmp_path / "taximeter.toml"
    data = ("--config", str(config), "--data", str(tmp_path / "data"))
    asked = ("export", "conversations", "--session", "s1", "--json", "--output")
    chat = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "I am a@b.example"}]}
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=settings) as served,
    ):
        for session in ("s1", "s2", "s1"):
            call(served, session, "/openai/v1/chat/completions", chat)
        served.calls_when(3)
        deadline = monotonic() + PATIENCE_S
        while monotonic() < deadline:  # content is written a moment after the row
            made = taximeter(*asked, str(tmp_path / f"live{monotonic()}"), *data)
            manifest = json.loads(made.stdout)
            if manifest["with_content"] == 2:
                break
            sleep(0.1)
        assert (manifest["calls"], manifest["with_content"]) == (2, 2)
        signed = taximeter("audit", "head", *data)
        assert signed.returncode == 0, signed.stderr
        assert status(f"{served.console_url}/api/export/conversations?session=s1") == 403
        taken = taximeter("import", str(next(tmp_path.glob("live*"))), *data)
        assert (taken.returncode, "in use by another" in taken.stderr) == (Exit.TAKEN, True)
        audit = taximeter("audit", "log", "--json", *data)
        assert '"action":"export","target":"conversations"' in audit.stdout
    stopped = taximeter(*asked, str(tmp_path / "stopped"), *data)
    assert json.loads(stopped.stdout)["digests"] == manifest["digests"]
    assert json.loads(stopped.stdout)["tree_head"]["tree"] == json.loads(signed.stdout)["tree"]

    again = ("--config", str(config), "--data", str(tmp_path / "other"))
    assert taximeter("import", str(tmp_path / "stopped"), *again).returncode == Exit.OK
    back = taximeter(*asked, str(tmp_path / "back"), *again)
    assert json.loads(back.stdout)["digests"] == manifest["digests"]
    (first, _) = (tmp_path / "back" / "conversations.jsonl").read_text().splitlines()
    assert json.loads(first)["messages"][0] == {"role": "user", "content": "I am [redacted:email]"}


def test_questions_that_are_not_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything at once, an empty period, a misspelt filter, no export: exit code 2."""
    (tmp_path / "state").mkdir()
    data = ("--data", str(tmp_path), "--output", str(tmp_path / "out"))
    for words, said in (
        ((), "no conversations were chosen; give --session, --user or --since"),
        (("--since", "1d", "--until", "2d"), "is empty"),
        (("--session", "s", "--user", "u"), ""),
    ):
        code = main(["export", "conversations", *words, *data])
        assert (code, said in capsys.readouterr().err) == (Exit.MISTAKE if said else 0, True)
    with pytest.raises(SystemExit):
        main(["export", "conversations", "--sesion", "x", *data])
    assert "did you mean --session?" in capsys.readouterr().err
    assert main(["import", str(tmp_path), "--data", str(tmp_path / "data")]) == Exit.MISTAKE
    assert "has no manifest.json" in capsys.readouterr().err


@pytest.mark.slow  # a process for each command of two documents
@pytest.mark.parametrize("page", ["docs/export.md", "docs/invoice.md"])
def test_the_documents_can_be_followed(page: str, tmp_path: Path) -> None:
    """Every command of the pages on export and bills, in their order, in one directory."""
    data = tmp_path / "data"
    calls = [record(number) for number in range(4)]
    fill(data)
    bill = {"costs.json": bills.openai(lines())[0], "usage.json": bills.openai(lines())[1]}
    bill["cur.csv"] = cloud_bills.bedrock([replace(one, model="nova-pro") for one in lines()])[0]
    for name, text in bill.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "prices").mkdir()
    settings = "\n".join(blocks(read(page), "toml")).replace(" models", "models")
    (tmp_path / "taximeter.toml").write_text(settings, encoding="utf-8")
    environ = {"TAXIMETER_CONFIG": "taximeter.toml", "TAXIMETER_DATA": str(data)}
    who = newcomer(tmp_path, **environ)
    for line in shell_lines("\n".join(blocks(read(page), "sh"))):
        if line.startswith("export ") or "s3://" in line:
            continue
        if " reconcile " in line and "--file" not in line:
            continue  # it asks OpenAI
        who.bash(line)
    if page == "docs/export.md":
        assert (tmp_path / "november.parquet").stat().st_size
        lines_of = (tmp_path / "support" / "conversations.jsonl").read_text(encoding="utf-8")
        assert len(lines_of.splitlines()) <= len(calls)
        log = b"".join(file.read_bytes() for file in (data / "audit").rglob("*.seg"))
        assert log.count(b'"action":"export","target":"focus"') == 2
