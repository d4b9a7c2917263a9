"""`taximeter content` shows what was said and deletes it, with a console and without."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep

import pytest

from evaluation.standin import processes
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from support.patience import PATIENCE_S

PROMPT = "Say <b>hello</b> to a@mail.example.com"


def call(served: processes.Serving, user: str) -> None:
    body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": PROMPT}]}
    asked = urllib.request.Request(
        f"{served.proxy_url}/openai/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"authorization": "Bearer x", "x-taximeter-user": user},
    )
    urllib.request.urlopen(asked, timeout=PATIENCE_S).close()


def status(url: str, data: bytes | None = None) -> tuple[int, str]:
    """What the console says to somebody without a token."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=data), timeout=PATIENCE_S
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.thorough
def test_show_and_delete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command of the same user may, whoever else asks a console without a token may not."""
    settings = f"[content]\ncapture = true\n{processes.FAST_ROWS}"
    data = ("--config", str(tmp_path / "taximeter.toml"), "--data", str(tmp_path / "data"))

    def content(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["content", *data, *arguments])
        return code, capsys.readouterr().out

    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=settings) as served,
    ):
        for user in ("ann", "ann", "bob"):
            call(served, user)
        rows = served.calls_when(3)
        ids = {str(row["call_id"]): str(row["user_id"]) for row in rows}
        deadline = monotonic() + PATIENCE_S
        while any(content(one)[0] for one in ids) and monotonic() < deadline:
            sleep(0.05)  # it is written a moment after the row
        bob = next(one for one, user in ids.items() if user == "bob")
        code, shown = content(bob)
        assert code == Exit.OK
        assert "Say <b>hello</b> to [redacted:email]" in shown
        assert "redacted: 1 x email" in shown
        code, shown = content(bob, "--json")
        assert json.loads(shown)["output"]

        url = f"{served.console_url}/api/calls/{bob}/content"
        code, said = status(url)
        assert (code, "set console.token" in said) == (403, True)
        assert status(f"{served.console_url}/api/content/delete", b"{}")[0] == 403
        assert content("--delete", "--user", "ann") == (
            Exit.OK,
            "Deleted the content of 2 calls.  Their rows are kept.\n",
        )
        assert json.loads(content(bob, "--json")[1])["call_id"] == bob
        ann = next(one for one, user in ids.items() if user == "ann")
        code, shown = content(ann)
        assert (code, "no content for this call" in shown) == (Exit.FAILED, True)
        assert len(served.calls()) == 3

    def alone(*arguments: str) -> tuple[int, str]:
        """With nothing serving; in a process of its own, for it opens the engine."""
        command = [sys.executable, "-m", "proxy", "content", *data, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout

    assert "Say <b>hello</b>" in alone(bob)[1]
    assert alone(bob, "--delete", "--json") == (Exit.OK, '{"deleted":1}\n')
    assert list((tmp_path / "data" / "contents").glob("*/*.seg")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--user", "x"),
        ("--delete",),
        ("--delete", "no id"),
        ("--delete", "--before", "soon"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an order deletes nothing, and says what is missing."""
    assert main(["content", "--data", str(tmp_path), *arguments]) == Exit.MISTAKE
    assert capsys.readouterr().err.startswith("content: ")
