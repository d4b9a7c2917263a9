"""Through the whole product to a stand-in by another hand: aimock, which shares no code with us."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from support import node
from support.patience import PATIENCE_S
from support.sdks import anthropic, genai, openai

FOLDER = Path(__file__).with_name("node")
KEY = "sk-standin-aimock"
PROVIDERS = ("openai", "anthropic", "gemini")
INPUT_TOKENS, OUTPUT_TOKENS = 21, 9  # what aimock.json makes it report
OWN = frozenset({"x-request-id", "connection"})  # aimock notes its own id among the headers

Call = Callable[[str, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class House:
    """aimock and the product in front of it."""

    upstream: str
    served: processes.Serving


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("aimock")
    try:
        modules = node.packages(FOLDER)
    except node.NodeError as failure:
        pytest.skip(str(failure))
    with (
        _aimock(modules, data / "aimock.log") as upstream,
        processes.serve(
            data, dict.fromkeys(PROVIDERS, upstream), settings=processes.FAST_ROWS
        ) as served,
    ):
        yield House(upstream, served)


@contextmanager
def _aimock(modules: Path, log: Path) -> Iterator[str]:
    port = processes.free_port()
    command = ["node", str(modules / "@copilotkit" / "aimock" / "dist" / "cli.js")]
    command += ["--port", str(port), "--fixtures", str(FOLDER / "aimock.json")]
    with (
        log.open("wb") as written,
        subprocess.Popen(command, stdout=written, stderr=written) as one,
    ):
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
        try:
            while True:
                try:
                    _journal(url)
                    break
                except OSError:
                    assert one.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, "aimock does not answer"
                    time.sleep(0.05)
            yield url
        finally:
            one.terminate()


def _journal(url: str) -> list[dict[str, Any]]:
    return list(processes.get_json(f"{url}/__aimock/journal"))


def _received(entry: Mapping[str, Any]) -> dict[str, Any]:
    headers = {name: value for name, value in entry["headers"].items() if name not in OWN}
    return {key: entry[key] for key in ("method", "path", "body")} | {"headers": headers}


def chat(base_url: str, headers: Mapping[str, str]) -> str:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client:
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}]
        )
        return str(answer.choices[0].message.content)


def chat_stream(base_url: str, headers: Mapping[str, str]) -> str:
    with (
        openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client,
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream,
    ):
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def responses_stream(base_url: str, headers: Mapping[str, str]) -> str:
    with (
        openai.OpenAI(base_url=f"{base_url}/v1", api_key=KEY, default_headers=headers) as client,
        client.responses.create(model="gpt-4o-mini", input="hello", stream=True) as stream,
    ):
        return "".join(e.delta for e in stream if e.type == "response.output_text.delta")


def messages(base_url: str, headers: Mapping[str, str]) -> str:
    with anthropic.Anthropic(base_url=base_url, api_key=KEY, default_headers=headers) as client:
        answer = client.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=100,
            messages=[{"role": "user", "content": "hello"}],
        )
        return "".join(block.text for block in answer.content if block.type == "text")


def messages_stream(base_url: str, headers: Mapping[str, str]) -> str:
    with (
        anthropic.Anthropic(base_url=base_url, api_key=KEY, default_headers=headers) as client,
        client.messages.stream(
            model="claude-sonnet-5-5",
            max_tokens=100,
            messages=[{"role": "user", "content": "hello"}],
        ) as stream,
    ):
        return stream.get_final_text()


def gemini_stream(base_url: str, headers: Mapping[str, str]) -> str:
    options = genai.types.HttpOptions(
        base_url=base_url, headers=dict(headers), api_version="v1beta"
    )
    with genai.Client(api_key=KEY, http_options=options) as client:
        stream = client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello")
        return "".join(chunk.text or "" for chunk in stream)


CALLS: tuple[tuple[str, Call], ...] = (
    ("openai", chat),
    ("openai", chat_stream),
    ("openai", responses_stream),
    ("anthropic", messages),
    ("anthropic", messages_stream),
    ("gemini", gemini_stream),
)


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "call"), CALLS, ids=[call.__name__ for _, call in CALLS])
def test_aimock_sees_the_same_call_and_the_row_has_its_usage(
    house: House, provider: str, call: Call
) -> None:
    """Path, headers, body and text are the same without us; tokens are the ones it reported."""
    direct = call(house.upstream, {})
    feature = call.__name__
    through = call(f"{house.served.proxy_url}/{provider}", {"x-taximeter-feature": feature})
    alone, behind = _journal(house.upstream)[-2:]
    assert direct == through == "Good morning to you, and a pleasant journey."
    assert _received(behind) == _received(alone)
    (row,) = house.served.calls_when(1, feature=feature)
    assert (row["outcome"], row["usage_origin"]) == ("ok", "reported")
    assert (row["input_tokens_total"], row["output_tokens_total"]) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert row["cost_usd"] is not None
