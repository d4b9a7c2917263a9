"""Evidence of the whole product: proved to others, checked from outside, and safe from kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from evaluation.standin import processes
from proxy.access.rules import RULES
from support.documents import read
from support.patience import PATIENCE_S

SETTINGS = processes.FAST_ROWS + "[content]\ncapture = true\n"
DOCUMENT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say / \u2028"}]}


@dataclass
class Served:
    """The product, and its commands."""

    running: processes.Serving

    def call(self, count: int = 1) -> list[dict[str, Any]]:
        """Make calls; the rows of all."""
        before = len(self.running.calls())
        for _ in range(count):
            request = urllib.request.Request(
                f"{self.running.proxy_url}/openai/v1/chat/completions",
                json.dumps(DOCUMENT).encode(),
                {"content-type": "application/json", "authorization": "Bearer sk-x"},
            )
            urllib.request.urlopen(request).read()
        return self.running.calls_when(before + count)

    def audit(self, *words: str) -> tuple[int, str]:
        """A command, in a process of its own: (exit code, output)."""
        return audit(self.running.data, *words)

    def status(self, method: str, path: str, token: str) -> int:
        """What a route answers to a token."""
        request = urllib.request.Request(
            self.running.console_url + path,
            method=method,
            headers={"Authorization": f"Bearer {token}"},
            data=b"{}" if method != "GET" else None,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def audit(data: Path, *words: str) -> tuple[int, str]:
    """The same without a running product."""
    command = [sys.executable, "-m", "proxy", "audit", *words, "--data", str(data / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    with processes.stand_in(tmp_path / "stand-in.log") as (url, _):
        yield url


@pytest.mark.slow
def test_evidence_from_call_to_check(upstream: str, tmp_path: Path) -> None:
    """Verified while it runs, proved to a script of the docs, and by role; later without it."""
    with processes.serve(tmp_path, {"openai": upstream}, settings=SETTINGS) as running:
        served = Served(running)
        rows = served.call(3)
        call_id = str(rows[0]["call_id"])
        code, said = served.audit("head")
        head = json.loads(said)
        assert (code, head["size"] >= 3) == (0, True)
        (tmp_path / "head.json").write_text(said)
        proof = tmp_path / "proof.json"
        assert served.audit("prove", call_id, "--output", str(proof))[0] == 0
        assert checks(proof, tmp_path) == 0
        for old, new in (("stop", "length"), ('\\"ok\\"', '\\"no\\"')):
            text = proof.read_text()
            (tmp_path / "forged.json").write_text(text.replace(old, new))
            assert (checks(tmp_path / "forged.json", tmp_path) != 0) == (old in text)
        tokens = {role: added(served, role) for role in ("viewer", "finance", "auditor", "admin")}
        for method, path in (
            ("GET", f"/api/calls/{call_id}/content"),
            ("GET", f"/api/audit/proof/{call_id}"),
            ("GET", "/api/audit/consistency?size=1"),
            ("POST", "/api/audit/head"),
            ("GET", "/api/audit"),
        ):
            for role, token in tokens.items():
                allowed = role in ("auditor", "admin")
                assert (served.status(method, path, token) < 300) == allowed, (path, role)
        for (
            token
        ) in tokens.values():  # rows and nonces of everybody: for the owner's commands alone
            assert served.status("GET", "/api/audit/evidence", token) == 403
        assert ("GET", "/api/audit/evidence") in RULES
        entries = json.loads(served.audit("log", "--json", "--action", "content-read")[1])
        assert {(one["actor"], one["target"]) for one in entries} == {
            *((role, f"call {call_id}") for role in ("auditor", "admin")),
            *((who, f"proof of call {call_id}") for who in ("auditor", "admin", "command")),
        }
        code, said = served.audit("verify", "--json", "--head", str(tmp_path / "head.json"))
        found = json.loads(said)
        assert (code, found["ok"], found["checked"] >= 6) == (0, True, True), found
        assert served.audit("export", "--output", str(tmp_path / "out"))[0] == 0
        grown = tmp_path / "grown.json"
        since = ("prove", "--head", str(tmp_path / "head.json"), "--output", str(grown))
        assert served.audit("head")[0] == 0  # a newer one, of the entries that were written
        assert served.audit(*since)[0] == 0
        assert checks(grown, tmp_path, "grown") == 0
    assert audit(tmp_path, *since)[0] == 0
    assert checks(grown, tmp_path, "grown") == 0
    code, said = audit(tmp_path, "verify", "--head", str(tmp_path / "head.json"))
    assert (code, said.startswith("Verified: ")) == (0, True)
    code, said = audit(tmp_path, "verify", "--export", str(tmp_path / "out"), "--json")
    assert (code, json.loads(said)["ok"]) == (0, True)


def added(served: Served, role: str) -> str:
    """A new token of that name and role."""
    command = [sys.executable, "-m", "proxy", "access", "add", role, "--role", role]
    command += ["--data", str(served.running.data / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()[0]


def checks(proof: Path, folder: Path, name: str = "check") -> int:
    """The exit code of a script in the docs."""
    text = read("docs/audit.md")
    found = re.search(rf"<!-- {name}: begin -->\n```python\n(.*?)```", text, re.S)
    assert found is not None
    script = folder / f"{name}.py"
    script.write_text(found[1])
    assert len([line for line in found[1].splitlines() if line]) <= 35
    done = subprocess.run(
        [sys.executable, "-m", name, str(proof)], cwd=folder, capture_output=True, check=False
    )
    return done.returncode


@pytest.mark.slow
def test_kill_while_rows_and_heads_are_written(upstream: str, tmp_path: Path) -> None:
    """Ten times at any moment: each row has its leaf, and each head that was told still fits."""
    told: list[str] = []
    for number in range(10):
        with processes.serve(tmp_path, {"openai": upstream}, settings=SETTINGS) as running:
            served = Served(running)
            served.call(5)
            for _ in range(number % 3):
                told.append(served.audit("head")[1])
            meter = meters(running.pid)
            os.kill(meter[0], signal.SIGKILL)
            deadline = monotonic() + PATIENCE_S
            while meters(running.pid) in ([], meter) and monotonic() < deadline:
                sleep(0.05)
    # What the last meter had no time for is in the journal, and is delivered at the next start.
    with processes.serve(tmp_path, {"openai": upstream}, settings=SETTINGS) as running:
        deadline = monotonic() + PATIENCE_S
        while checked(Served(running)) < 100 and monotonic() < deadline:
            sleep(0.5)
    (tmp_path / "told.jsonl").write_text("".join(told))
    code, said = audit(tmp_path, "verify", "--json", "--head", str(tmp_path / "told.jsonl"))
    found = json.loads(said)
    assert (code, found["ok"]) == (0, True), found
    assert found["checked"] >= 100
    assert found["heads"] >= 2 * len(told)


def checked(served: Served) -> int:
    """How many rows are as their leaves say."""
    return int(json.loads(served.audit("verify", "--json")[1])["checked"])


def meters(parent: int) -> list[int]:
    """The meter process of a product."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(one)
        for one in children
        if b"meter_process" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
