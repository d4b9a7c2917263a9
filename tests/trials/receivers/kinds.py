"""Phoenix, MLflow, Rotel and Prometheus: how each is installed, started and queried.

Versions are pinned, because what a receiver recognises in a span changes between them.
"""

import base64
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from evaluation.standin import processes
from trials.receivers.receiver import Receiver, ReceiverReady, Seen, SkippedError

INSTALL_TIMEOUT_S = 900.0
START_TIMEOUT_S = 120.0


def _run(*command: str) -> None:
    """Raises SkippedError with the last line of the command's output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SkippedError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SkippedError(f"{Path(command[0]).name}: {said[-1] if said else done.returncode}")


def _installed(directory: Path, requirement: str) -> Path:
    """A virtual environment with `requirement` in it."""
    environment = directory / "venv"
    if not (environment / "installed").exists():
        _run(sys.executable, "-m", "venv", str(environment))
        pip = (str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet")
        _run(*pip, "--disable-pip-version-check", requirement)
        (environment / "installed").touch()
    return environment


def _json(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=10) as answer:
        return json.load(answer)


def _wait_for(url: str, log: Path) -> None:
    """Wait until `url` answers.  Raises SkippedError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SkippedError(f"did not start within {START_TIMEOUT_S:.0f} s; see {log}")


def _otlp(endpoint: str, headers: str = "{}") -> str:
    return f'[otlp]\nendpoint = "{endpoint}"\nheaders = {headers}\n'


@contextmanager
def phoenix(directory: Path) -> Iterator[ReceiverReady]:
    """Arize Phoenix: spans over HTTP; tokens and model in its own attributes."""
    directory.mkdir(parents=True, exist_ok=True)
    binary = _installed(directory, f"arize-phoenix=={RECEIVERS['phoenix'].version}") / "bin"
    port, log = processes.free_port(), directory / "phoenix.log"
    environ = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(processes.free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url = f"http://127.0.0.1:{port}"

    def read(trace_ids: Mapping[str, str]) -> dict[str, Seen]:
        spans = _json(f"{url}/v1/projects/default/spans?limit=1000")["data"]
        found = {span["context"]["trace_id"]: _phoenix_span(span) for span in spans}
        return {trace_id: seen for trace_id, seen in found.items() if trace_id in trace_ids}

    with processes.process([str(binary / "phoenix"), "serve"], log, environ=environ):
        _wait_for(f"{url}/healthz", log)
        yield ReceiverReady(read=read, settings=_otlp(url))


def _phoenix_span(span: Mapping[str, Any]) -> Seen:
    value = span["attributes"].get
    return Seen(
        model=value("llm.model_name") or value("embedding.model_name"),
        input_tokens=value("llm.token_count.prompt"),
        output_tokens=value("llm.token_count.completion"),
        failed=span["status_code"] == "ERROR",
        parent_id=span["parent_id"],
        user=value("user.id"),
        operation=value("gen_ai.operation.name"),
    )


@contextmanager
def mlflow(directory: Path) -> Iterator[ReceiverReady]:
    """MLflow: spans over HTTP, to the experiment that a header names."""
    directory.mkdir(parents=True, exist_ok=True)
    binary = _installed(directory, f"mlflow=={RECEIVERS['mlflow'].version}") / "bin"
    port, log = processes.free_port(), directory / "mlflow.log"
    url = f"http://127.0.0.1:{port}"
    command = [str(binary / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
    environ = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

    def read(trace_ids: Mapping[str, str]) -> dict[str, Seen]:
        found = {}
        for trace_id in trace_ids:
            asked = f"{url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}&allow_partial=true"
            (span,) = _json(asked)["trace"]["spans"]
            found[trace_id] = _mlflow_span(span)
        return found

    with processes.process(command, log, environ=environ):
        _wait_for(f"{url}/health", log)
        yield ReceiverReady(read=read, settings=_otlp(url, '{ x-mlflow-experiment-id = "0" }'))


def _mlflow_span(span: Mapping[str, Any]) -> Seen:
    """What MLflow made of the span: its own attributes next to ours."""
    values = {pair["key"]: pair["value"] for pair in span["attributes"]}
    usage = {
        pair["key"]: int(pair["value"]["int_value"])
        for pair in values.get("mlflow.chat.tokenUsage", _NOTHING)["kvlist_value"]["values"]
    }
    return Seen(
        model=values.get("mlflow.llm.model", {}).get("string_value"),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        failed=span["status"].get("code") in (2, "STATUS_CODE_ERROR"),
        parent_id=base64.b64decode(span["parent_span_id"]).hex(),
        user=values.get("user.id", {}).get("string_value"),
        operation=values.get("gen_ai.operation.name", {}).get("string_value"),
    )


_NOTHING: Mapping[str, Any] = {"kvlist_value": {"values": []}}


@contextmanager
def rotel(directory: Path) -> Iterator[ReceiverReady]:
    """Rotel decodes strictly and prints what it decoded: spans and metrics."""
    environment = _installed(directory, f"rotel=={RECEIVERS['rotel'].version}")
    (agent,) = environment.glob("lib/python*/site-packages/rotel/rotel-agent")
    ports = processes.free_port(), processes.free_port()
    log = directory / "rotel.log"
    log.unlink(missing_ok=True)
    command = [str(agent), "start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]
    command += ["--debug-log", "traces", "--debug-log", "metrics"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{ports[0]}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}"]
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports[0]}",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }

    def read(trace_ids: Mapping[str, str]) -> dict[str, Seen]:
        text = log.read_text(errors="replace")
        if "-> Name: taximeter.cost\n" not in text:
            raise ValueError("no metrics yet")
        spans = (_rotel_span(span) for span in _ROTEL_SPAN.findall(text))
        return {trace_id: seen for trace_id, seen in spans if trace_id in trace_ids}

    with processes.process(command, log):
        yield ReceiverReady(read=read, environ=environ)


_ROTEL_SPAN = re.compile(
    r"^Span #\d+$(.*?)^(?=Span #|ScopeSpans #|Resource\w+ #|\x1b|\Z)", re.M | re.S
)


def _rotel_span(text: str) -> tuple[str, Seen]:
    attributes = dict(re.findall(r"-> (\S+): \w+\((.*)\)$", text, flags=re.M))
    facts = dict(re.findall(r"^ +([\w ]+?) *: (.*)$", text, flags=re.M))
    number = {name: attributes.get(f"gen_ai.usage.{name}_tokens") for name in ("input", "output")}
    cost = attributes.get("gen_ai.usage.cost")
    return facts["Trace ID"], Seen(
        model=attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model"),
        input_tokens=None if number["input"] is None else int(number["input"]),
        output_tokens=None if number["output"] is None else int(number["output"]),
        cost_usd=None if cost is None else float(cost),
        failed=facts["Status code"] == "STATUS_CODE_ERROR",
        parent_id=facts["Parent ID"],
        user=attributes.get("user.id"),
        operation=attributes.get("gen_ai.operation.name"),
    )


@contextmanager
def prometheus(directory: Path) -> Iterator[ReceiverReady]:
    """Prometheus scrapes the console; it knows sums by model, not single calls."""
    directory.mkdir(parents=True, exist_ok=True)
    binary, log = _unpacked(directory, "prometheus") / "usr/bin/prometheus", directory / "log"
    console_port, port = processes.free_port(), processes.free_port()
    target = {"static_configs": [{"targets": [f"127.0.0.1:{console_port}"]}]}
    scrape = {"job_name": "taximeter", "scrape_interval": "1s", "scrape_timeout": "1s", **target}
    config = directory / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML
    url = f"http://127.0.0.1:{port}"
    command = [str(binary), f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    command.append(f"--storage.tsdb.path={directory / 'tsdb'}")

    def asked(query: str) -> float | None:
        result = _json(f"{url}/api/v1/query?{urlencode({'query': query})}")["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def seen(model: str) -> Seen:
        of = f'gen_ai_request_model="{model}"'
        served = f"count by (gen_ai_response_model) (taximeter_calls_total{{{of}}})"
        (found,) = _json(f"{url}/api/v1/query?{urlencode({'query': served})}")["data"]["result"]
        tokens = f"sum(gen_ai_client_token_usage_sum{{{of},gen_ai_token_type='%s'}})"
        return Seen(
            model=found["metric"].get("gen_ai_response_model") or model,
            input_tokens=_whole(asked(tokens % "input")),
            output_tokens=_whole(asked(tokens % "output")),
            cost_usd=asked(f"sum(taximeter_cost_USD_total{{{of}}})"),
            failed=asked(f"sum(taximeter_errors_total{{{of}}})") is not None,
        )

    with processes.process(command, log):
        _wait_for(f"{url}/-/ready", log)
        read = lambda calls: {trace_id: seen(model) for trace_id, model in calls.items()}  # noqa: E731
        yield ReceiverReady(read=read, console_port=console_port)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _unpacked(directory: Path, package: str) -> Path:
    """The files of a Debian package, unpacked but not installed."""
    root = directory / "root"
    if not root.exists():
        done = subprocess.run(
            ["apt-get", "download", package], cwd=directory, capture_output=True, check=False
        )
        archives = sorted(directory.glob(f"{package}_*.deb"))
        if not archives:
            raise SkippedError(f"apt-get download {package}: {done.stderr.decode()[-200:]}")
        _run("dpkg", "-x", str(archives[0]), str(root))
    return root


OF_SINGLE_CALLS = frozenset({"parent_id", "user", "operation"})
RECEIVERS: dict[str, Receiver] = {
    "phoenix": Receiver(version="20.26.1", started=phoenix, unread=frozenset({"cost_usd"})),
    "mlflow": Receiver(version="3.17.2", started=mlflow, unread=frozenset({"cost_usd"})),
    "rotel": Receiver(version="0.0.1a15", started=rotel),
    "prometheus": Receiver(version="2.42", started=prometheus, unread=OF_SINGLE_CALLS),
}
