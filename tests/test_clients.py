"""Clients through the whole product: WebSockets, curl, a batch whose results lie elsewhere."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from evaluation.standin import processes
from proxy.settings import sources
from support.product import Product
from support.relay_bench import make_certificate
from support.sdks import anthropic, openai
from trials.clients import installing, listed, running
from trials.clients.__main__ import renewed, table
from trials.clients.listed import CLIENTS, Client
from trials.clients.running import ClientReady, ClientResult

LIVE = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
TURN: Any = {"role": "user", "content": "time people year"}
DOCUMENT = Path(__file__).parents[1] / "docs" / "clients.md"


def client(name: str) -> Client:
    return next(one for one in CLIENTS if one.name == name)


def here(one: Client) -> ClientReady:
    """The client as this environment has it."""
    return ClientReady((sys.executable, "-P", str(running.CALLS / one.script)), None, "")


@pytest.mark.slow
def test_realtime_and_responses_over_websockets(product: Product) -> None:
    """OpenAI's SDK sees and sends the same; each response is one row."""
    one = client("openai 3, WebSocket")
    result = running.run(one, here(one), product.upstream, product.served)
    assert (result.changed, result.wrong, result.calls) == ((), (), 2)
    rows = product.served.calls(feature="openai-3-websocket")
    endpoints = sorted(row["endpoint"] for row in rows)
    assert endpoints == 2 * ["openai.realtime"] + 2 * ["openai.responses"]
    assert {row["cost_status"] for row in rows} == {"exact"}
    assert [int(row["usage"]["requests"]) for row in rows] == [1, 1, 1, 1]
    assert len({row["socket_id"] for row in rows}) == 2


@pytest.mark.thorough
def test_curl_in_ways_that_no_sdk_calls(product: Product) -> None:
    """Compressed, chunked, asking before it sends, in HTTP/1.0: the same bytes, the right rows."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    ready = running.prepare(running.CALLS / "curl.sh", (), Path("unused"))
    result = running.run(client("curl"), ready, product.upstream, product.served)
    assert (result.changed, result.wrong, result.calls) == ((), (), 5)


async def test_each_turn_of_gemini_live_is_a_row(product: Product) -> None:
    """Two turns of a Live session are two rows with their usage, as its messages stated it."""
    processes.clear_journal(product.upstream)
    base = product.served.proxy_url.replace("http", "ws", 1)
    stated: list[Any] = []
    async with connect(
        f"{base}/~feature=live/gemini/{LIVE}?key=AIza-standin", proxy=None
    ) as socket:
        await socket.send(json.dumps({"setup": {"model": "models/gemini-live-2.5-flash"}}))
        assert json.loads(await socket.recv()) == {"setupComplete": {}}
        for text in ("time people year", "life hand"):
            turn = {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}
            await socket.send(json.dumps({"clientContent": turn}))
            while not stated or "usageMetadata" not in stated[-1]:
                stated.append(json.loads(await socket.recv()))
            stated.append({})
    usage = [said["usageMetadata"] for said in stated if "usageMetadata" in said]
    rows = await asyncio.to_thread(product.served.calls_when, 2, feature="live")
    for row, turn in zip(reversed(rows), usage, strict=True):
        assert (row["outcome"], row["usage_origin"], row["http_status"]) == ("ok", "reported", 101)
        assert row["input_tokens_total"] == turn["promptTokenCount"]
        assert row["output_tokens_total"] == turn["responseTokenCount"]
        assert row["request_model"] == "gemini-live-2.5-flash"


@pytest.mark.slow
def test_googles_sdk_reaches_live_over_tls(product: Product, tmp_path: Path) -> None:
    """It insists on wss: with a certificate of ours it holds its session, a row for each turn."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not installed")
    cert, key = make_certificate(tmp_path)
    tls = f'{processes.FAST_ROWS}\n[proxy]\ntls_cert = "{cert}"\ntls_key = "{key}"\n'
    with processes.serve(tmp_path, {"gemini": product.upstream}, settings=tls) as served:
        url = served.proxy_url.replace("http://127.0.0.1", "https://localhost")
        script = running.CALLS / "google_genai_live.py"
        done = subprocess.run(
            [sys.executable, "-P", str(script)],
            env={
                "PATH": os.environ["PATH"],
                "GEMINI_API_KEY": running.KEY,
                "GOOGLE_GEMINI_BASE_URL": f"{url}/gemini",
                "SSL_CERT_FILE": str(cert),
                "NO_PROXY": "localhost",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rows = served.calls_when(2)
    made = [len(text.split()) for text in json.loads(done.stdout)]
    assert [row["output_tokens_total"] for row in reversed(rows)] == made
    assert len(made) == 2


@pytest.mark.thorough
def test_anthropics_batch_results_pass_by_unless_fetched_here(product: Product) -> None:
    """Its SDK goes to the provider's own URL for them; fetched through us they are charged once."""
    base = f"{product.served.proxy_url}/~feature=results/anthropic"
    asked: Any = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [TURN]}
    with anthropic.Anthropic(base_url=base, api_key=running.KEY) as sdk:
        batch = sdk.messages.batches.create(
            requests=[{"custom_id": name, "params": asked} for name in ("a", "b")]
        )
        while batch.processing_status != "ended":
            batch = sdk.messages.batches.retrieve(batch.id)
        past_us = [one.custom_id for one in sdk.messages.batches.results(batch.id)]
        path = f"/v1/messages/batches/{batch.id}/results"
        through = [sdk.get(path, cast_to=str).splitlines() for _ in range(2)]
    assert past_us == ["a", "b"]
    assert through[0] == through[1]
    usage = [json.loads(line)["result"]["message"]["usage"] for line in through[0]]
    items = len(usage)
    calls = 1 + 2 + 1 + 2  # create, polls (one more by `results`), and the two downloads
    rows = product.served.calls_when(calls + items, feature="results")
    charged = [row for row in rows if row["input_tokens_total"]]
    assert (len(rows), len(charged)) == (calls + items, items)
    assert sum(row["output_tokens_total"] for row in charged) == sum(
        u["output_tokens"] for u in usage
    )
    assert {row["cost_status"] for row in charged} == {"exact"}


def test_a_response_fetched_again_costs_nothing(product: Product) -> None:
    """`GET /v1/responses/{id}` repeats the usage and is not billed."""
    base = f"{product.served.proxy_url}/~feature=fetched/openai/v1"
    with openai.OpenAI(base_url=base, api_key=running.KEY) as sdk:
        made = sdk.responses.create(model="gpt-5.4", input="life")
        assert sdk.responses.retrieve(made.id).usage == made.usage
    rows = product.served.calls_when(2, feature="fetched")
    assert sorted(row["cost_status"] for row in rows) == ["exact", "not_billed"]


def test_every_client_is_whole() -> None:
    """Each has a name of its own, a script, a known provider, and a way to point it at us."""
    names = [one.name for one in CLIENTS]
    assert len(set(names)) == len(names)
    providers = sources.load(None, {}).providers
    for one in CLIENTS:
        assert (running.CALLS / one.script).is_file(), one.name
        assert one.provider in providers, one.name
        assert one.variables or one.code, one.name
        assert one.packages or one.script.endswith(".sh"), one.name


def test_the_document_names_every_client_and_its_setting() -> None:
    """docs/clients.md has a line for each, with the setting that was tested."""
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [one.name for one in CLIENTS if f"| {one.name} |" not in text]
    assert missing == []
    for one in CLIENTS:
        base = f"http://127.0.0.1:4000/{one.provider}"
        shown = [f"{name}={value.format(base=base)}" for name, value in one.variables.items()]
        shown += [one.code.format(base=base)] if one.code else []
        for setting in shown:
            assert f"`{setting}`" in text, (one.name, setting)


def test_the_page_is_renewed_where_it_has_the_client() -> None:
    """Version, calls and verdicts change; the setting, other lines and other tables do not."""
    head, line = (
        "# Clients\n\n| client | setting |\n|---|---|\n",
        "| {} | `A=b` | {} | yes | yes |\n",
    )
    page = head + line.format("openai 3", "3.1 | 2") + line.format("openai 2", "2.1 | 2")
    found = [ClientResult(name="openai 3", version="3.2", calls=4), ClientResult(name="new")]
    assert renewed(page, found) == page.replace("3.1 | 2", "3.2 | 4")


def test_a_client_that_fails_is_a_finding(product: Product, tmp_path: Path) -> None:
    """Its error is in the result, and the table says that its row is not right."""
    one = client("openai 3")
    ready = ClientReady((sys.executable, "-c", "import sys; sys.exit('no such model')"), None, "0")
    result = running.run(one, ready, product.upstream, product.served)
    assert result.wrong == ("openai_sdk.py: no such model",)
    assert not result.right
    assert table([result, ClientResult(name="gone", skipped="not installed")]).row_count == 2


def test_what_cannot_be_installed_says_why(tmp_path: Path) -> None:
    """A failing installer becomes one line, and nothing of it is taken for installed."""
    with pytest.raises(installing.InstallError, match="exists"):
        installing._run([sys.executable, "-c", "raise SystemExit('ERROR: no such thing exists')"])
    with pytest.raises(installing.InstallError, match="nowhere"):
        installing._run(["/nowhere/at/all"])
    assert not (tmp_path / "python").exists()


def test_the_environment_of_a_client_holds_no_key_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and proxies of whoever runs it do not reach the clients."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    found = running.environment(client("openai 3").variables, "http://127.0.0.1:1/openai")
    assert found["OPENAI_API_KEY"] == running.KEY
    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:1/openai/v1"
    assert "HTTPS_PROXY" not in found
    assert client("boto3 bedrock-runtime").fresh == listed.SIGNED
