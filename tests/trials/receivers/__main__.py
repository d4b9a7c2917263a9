"""`python -m trials.receivers`: sends calls to receivers by others, and reads back what they saw.

Installs each receiver into a directory of its own, starts it, makes calls through the proxy to the
stand-in provider, and asks the receiver for them.  Receivers that cannot be installed are skipped,
with the reason.  The first run downloads about 600 MB.
"""

import argparse
import contextlib
import json
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation.standin import processes
from trials.receivers.kinds import RECEIVERS
from trials.receivers.receiver import Receiver, Seen, SkippedError

READ_TIMEOUT_S = 60.0
POLL_S = 1.0
USER = "u-4711"


@dataclass(frozen=True, slots=True)
class SentCall:
    """One call with its caller's span, by which it is found."""

    name: str
    path: str
    body: Mapping[str, Any]
    steering: Mapping[str, str]
    trace_id: str
    parent_id: str


def calls() -> list[SentCall]:
    """Cached, streamed, refused, embeddings and an image: each in a trace of its own."""
    messages = [{"role": "user", "content": "Hello"}]
    chat = {"model": "gpt-5.4-mini", "messages": messages}
    stream = {"model": "claude-sonnet-5-5", "max_tokens": 400, "stream": True, "messages": messages}
    refused = {"model": "gpt-5.4", "input": "Hello"}
    embedded = {"model": "text-embedding-3-small", "input": "Hello"}
    drawn = {"model": "gpt-image-1", "prompt": "A taxi", "size": "1024x1024", "quality": "low"}
    cached = {"input-tokens": "1200", "cache-read-tokens": "800", "output-tokens": "300"}
    written = {"input-tokens": "900", "cache-write-tokens": "600", "output-tokens": "40"}
    wanted: Sequence[tuple[str, str, Mapping[str, Any], Mapping[str, str]]] = (
        ("chat", "/openai/v1/chat/completions", chat, cached),
        ("stream", "/anthropic/v1/messages", stream, written),
        ("refused", "/openai/v1/responses", refused, {"status": "429"}),
        ("embeddings", "/openai/v1/embeddings", embedded, {"input-tokens": "7"}),
        ("image", "/openai/v1/images/generations", drawn, {}),
    )
    return [SentCall(*one, secrets.token_hex(16), secrets.token_hex(8)) for one in wanted]


def send(call: SentCall, proxy_url: str) -> None:
    """Make the call and read the response, whatever its status."""
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer sk-not-a-key",
        "anthropic-version": "2023-06-01",
        "x-taximeter-user": USER,
        "traceparent": f"00-{call.trace_id}-{call.parent_id}-01",
        **{f"x-standin-{name}": value for name, value in call.steering.items()},
    }
    asked = urllib.request.Request(
        proxy_url + call.path, data=json.dumps(call.body).encode(), headers=headers
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.HTTPError), opener.open(asked, timeout=30) as answer:
        answer.read()


def expected(call: SentCall, rows: Sequence[processes.Row]) -> Seen:
    """The call as in its row."""
    (row,) = (row for row in rows if row["trace_id"] == call.trace_id)
    usd = row["cost_usd"]
    return Seen(
        model=row["response_model"] or row["request_model"],
        input_tokens=row["input_tokens_total"],
        output_tokens=row["output_tokens_total"],
        cost_usd=None if usd is None else float(Decimal(str(usd))),
        failed=row["outcome"] != "ok",
        parent_id=call.parent_id,
        user=USER,
        operation=str(row["operation"]),
    )


def compare(want: Seen, got: Seen | None, unread: frozenset[str]) -> dict[str, str]:
    """By column: `yes`, `-` if the receiver does not tell, or what it tells instead."""
    found: dict[str, str] = {}
    for name in Seen.__match_args__:
        ours, theirs = getattr(want, name), getattr(got, name, None)
        if name in unread:
            found[name] = "-"
        elif got is None:
            found[name] = "missing"
        elif ours == theirs or (isinstance(ours, float) and _near(ours, theirs)):
            found[name] = "yes"
        else:
            found[name] = f"{theirs} for {ours}"
    return found


def _near(ours: float, theirs: object) -> bool:
    return isinstance(theirs, float) and abs(ours - theirs) <= 1e-9 * max(ours, theirs)


def examine(receiver: Receiver, upstream: str, data: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(call, comparison) for each call.  Raises SkippedError or processes.LaunchError."""
    made = calls()
    shutil.rmtree(data / "served", ignore_errors=True)  # from an earlier run
    with receiver.started(data) as ready:
        upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
        with processes.serve(
            data / "served",
            upstreams,
            settings=processes.FAST_ROWS + ready.settings,
            environ=ready.environ,
            console_port=ready.console_port,
        ) as served:
            for call in made:
                send(call, served.proxy_url)
            rows = served.calls_when(len(made))
            models = {call.trace_id: str(call.body["model"]) for call in made}
            seen = _read(lambda: ready.read(models), len(made))
            for call in made:
                want = expected(call, rows)
                yield call.name, compare(want, seen.get(call.trace_id), receiver.unread)


def _read(read: Callable[[], dict[str, Seen]], count: int) -> dict[str, Seen]:
    """What the receiver has once everything has arrived, or at the timeout."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    seen: dict[str, Seen] = {}
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            seen = read()
        if len(seen) >= count:
            break
        time.sleep(POLL_S)
    return seen


def main() -> int:
    """Returns the exit code: 1 if a receiver that started did not see what was sent."""
    parser = argparse.ArgumentParser(prog="python -m trials.receivers", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECEIVERS)}; default: all")
    parser.add_argument("--data", type=Path, help="directory to keep installations and logs in")
    options = parser.parse_args()
    if unknown := set(options.names) - set(RECEIVERS):
        parser.error(f"unknown receiver: {', '.join(sorted(unknown))}")
    terminal = Console()
    table = Table("receiver", "call", *Seen.__match_args__, box=None)
    wrong = False
    with contextlib.ExitStack() as stack:
        data = options.data or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="taximeter-receivers-"))
        )
        data.mkdir(parents=True, exist_ok=True)
        upstream, _ = stack.enter_context(processes.stand_in(data / "stand-in.log"))
        for name in options.names or RECEIVERS:
            terminal.print(f"{name} …", highlight=False)
            try:
                for call, found in examine(RECEIVERS[name], upstream, data / name):
                    table.add_row(f"{name} {RECEIVERS[name].version}", call, *found.values())
                    wrong |= not set(found.values()) <= {"yes", "-"}
            except (SkippedError, processes.LaunchError, subprocess.TimeoutExpired) as reason:
                table.add_row(name, f"skipped: {str(reason).splitlines()[0]}")
    terminal.print(table)
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
