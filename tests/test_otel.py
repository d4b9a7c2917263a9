"""Spans over OTLP, to a real receiver on both protocols: what is sent, and what happens if not."""

import asyncio
import logging
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from time import perf_counter

import pytest
from msgspec.structs import replace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporters.otel.otlp import retry_after_s
from exporters.otel.semconv import attributes
from exporters.otel.spans import Otel, from_config
from exporters.otel.target import GRPC, HTTP, Target, from_environment
from exporters.otel.trace import Sampler, trace_of
from exporters.record import Batch, Exporter, PermanentError, Record, TransientError
from support.otlp_receiver import GrpcServer, HttpServer, Receiver, Tls, plain
from support.patience import PATIENCE_S

SECRET = "sk-secret-0123"
RECORD = Record(
    ts_us=1_760_000_000_000_000,
    duration_us=1_500_000,
    call_id="0199c6a1-0000-7000-8000-000000000001",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    provider="openai",
    upstream="api.openai.com",
    endpoint="openai.chat",
    operation="chat",
    request_model="gpt-4o",
    outcome="ok",
    finish_reason="stop",
    usage_origin="reported",
    input_tokens_total=12,
    output_tokens_total=3,
    cost_status="exact",
)


def batch(*records: Record, token: str = "w:1:0-1") -> Batch[Record]:
    return Batch(token, records or (RECORD,))


def many(count: int) -> tuple[Record, ...]:
    return tuple(replace(RECORD, span_id=f"{n:016x}") for n in range(1, count + 1))


class Line:
    """An exporter and the receiver at its other end."""

    def __init__(self, server: HttpServer | GrpcServer, protocol: str) -> None:
        self.receiver = server.receiver
        self.endpoint = server.endpoint + ("/v1/traces" if protocol == HTTP else "")
        self.protocol = protocol
        self.otel = self.exporter()

    def exporter(self, *, bytes_max: int = 0, timeout_s: float = 5.0, gzip: bool = False) -> Otel:
        target = Target(
            endpoint=self.endpoint,
            protocol=self.protocol,
            headers={"authorization": f"Bearer {SECRET}"},
            timeout_s=timeout_s,
            compression=gzip,
        )
        return Otel(target, bytes_max=bytes_max)


@pytest.fixture(params=[HTTP, GRPC])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """Both protocols."""
    server = (HttpServer if request.param == HTTP else GrpcServer)(Receiver())
    async with server:
        line = Line(server, request.param)
        yield line
        await line.otel.close()


async def test_span(line: Line) -> None:
    """A record is one client span with its ids, times, attributes and an unset status."""
    exporter: Exporter = line.otel
    await exporter.export(batch())
    (span,) = line.receiver.spans
    assert span.trace_id.hex() == RECORD.trace_id
    assert span.span_id.hex() == RECORD.span_id
    assert span.parent_span_id == b""
    assert span.name == "chat gpt-4o"
    assert span.kind == Span.SPAN_KIND_CLIENT
    assert span.start_time_unix_nano == RECORD.ts_us * 1000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500_000_000
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert not span.events
    expected = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes(RECORD).items()
    }
    assert plain(span.attributes) == expected
    assert line.receiver.headers[0]["authorization"] == f"Bearer {SECRET}"


async def test_failed_call(line: Line) -> None:
    """A failed call is a span with status ERROR and an error type, under its caller's span."""
    record = replace(
        RECORD, outcome="http_error", error_type="429", parent_span_id="00f067aa0ba902b7"
    )
    await line.otel.export(batch(record))
    (span,) = line.receiver.spans
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert plain(span.attributes)["error.type"] == "429"
    assert span.parent_span_id.hex() == "00f067aa0ba902b7"


async def test_link(line: Line) -> None:
    """A caller that is only linked to is a span link, and no attribute."""
    linked = {"link.trace_id": "ab" * 16, "link.span_id": "cd" * 8}
    await line.otel.export(batch(replace(RECORD, attributes=linked)))
    (span,) = line.receiver.spans
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [
        ("ab" * 16, "cd" * 8)
    ]
    assert not any("link" in name for name in plain(span.attributes))


async def test_resource(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is `taximeter` with its version, unless the standard variables say otherwise."""
    await line.otel.export(batch())
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.version=9")
    second = line.exporter()
    await second.export(batch(token="other"))
    await second.close()
    found = [
        plain(request.resource_spans[0].resource.attributes) for request in line.receiver.requests
    ]
    assert found[0]["service.name"] == "taximeter"
    assert found[0]["service.version"]
    assert found[1]["service.name"] == "gateway"
    assert found[1]["service.version"] == "9"
    assert found[1]["deployment.environment"] == "prod"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_transient(line: Line, status: int) -> None:
    """What time or a person can mend is worth another attempt; nothing is tried twice unasked."""
    line.receiver.fail(status)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1"):
        await line.otel.export(batch())
    assert len(line.receiver.headers) == 1
    await line.otel.export(batch())
    assert len(line.receiver.spans) == 1


@pytest.mark.parametrize("status", [400])
async def test_permanent(line: Line, status: int) -> None:
    """What the receiver will never take is a permanent error, and shows no key."""
    line.receiver.fail(status)
    with pytest.raises(PermanentError) as caught:
        await line.otel.export(batch())
    assert SECRET not in repr(caught.value)


async def test_retry_after(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that asks for rest is not called until it is over."""
    line.receiver.retry_after_s = 30
    line.receiver.fail(429)
    for _ in range(3):
        with pytest.raises(TransientError):
            await line.otel.export(batch())
    assert len(line.receiver.headers) == 1
    later = perf_counter() + 1_000_000
    monkeypatch.setattr("exporters.otel.spans.monotonic", lambda: later)
    await line.otel.export(batch())
    assert len(line.receiver.spans) == 1


async def test_slow(line: Line) -> None:
    """A receiver that does not answer costs no more than the timeout."""
    line.receiver.delay_s = 0.6
    impatient = line.exporter(timeout_s=0.2)
    with pytest.raises(TransientError):  # it was given up before it would have answered
        await impatient.export(batch())
    await impatient.close()


async def test_a_message_too_large_for_the_receiver() -> None:
    """gRPC names it as it names being busy; it is refused for good, so that halves are tried."""
    async with GrpcServer(Receiver(), message_bytes_max=2_000) as server:
        line = Line(server, GRPC)
        with pytest.raises(PermanentError, match="RESOURCE_EXHAUSTED"):
            await line.otel.export(batch(*many(20)))
        await line.otel.export(batch(token="w:1:0-2"))
        await line.otel.close()
    assert len(line.receiver.spans) == 1


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_down(protocol: str) -> None:
    """A receiver that is not there is a transient error at once, and shows no key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target = Target(
        endpoint=f"http://user:{SECRET}@127.0.0.1:{port}/v1/traces?key={SECRET}",
        protocol=protocol,
        headers={"x-api-key": SECRET},
        timeout_s=PATIENCE_S,
    )
    if protocol == GRPC:
        plain = f"http://127.0.0.1:{port}"
        target = Target(endpoint=plain, protocol=protocol, timeout_s=PATIENCE_S)
    otel = Otel(target)
    started = perf_counter()
    with pytest.raises(TransientError) as caught:
        await otel.export(batch())
    assert perf_counter() - started < PATIENCE_S / 2
    assert SECRET not in repr(caught.value)
    assert SECRET not in repr(caught.value.__cause__)
    await otel.close()


async def test_partial_success(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """Spans refused in a partial success are counted and logged, and the batch is done."""
    line.receiver.rejected = 2
    await line.otel.export(batch(*many(3)))
    assert line.otel.rejected == 2
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]


async def test_split(line: Line) -> None:
    """A batch over the limit goes out in several requests below it, in order, nothing twice."""
    records = many(40)
    otel = line.exporter(bytes_max=8_000)
    await otel.export(batch(*records))
    await otel.close()
    assert len(line.receiver.requests) > 2
    assert all(size <= 8_000 for size in line.receiver.sizes)
    assert [span.span_id.hex() for span in line.receiver.spans] == [r.span_id for r in records]


async def test_split_and_resent(line: Line) -> None:
    """A batch that failed half way goes on from there when it is sent again."""
    records = many(40)
    otel = line.exporter(bytes_max=8_000)
    line.receiver.fail(503, after=2)
    with pytest.raises(TransientError):
        await otel.export(batch(*records))
    await otel.export(batch(*records))
    await otel.close()
    assert [span.span_id.hex() for span in line.receiver.spans] == [r.span_id for r in records]


async def test_one_span_over_the_limit(line: Line) -> None:
    """A span that alone is over the limit can never be sent."""
    otel = line.exporter(bytes_max=100)
    with pytest.raises(PermanentError, match="bytes"):
        await otel.export(batch())
    await otel.close()


async def test_ids_that_follow_from_the_call_id(line: Line) -> None:
    """A record that leaves them out has the span that it had when it said them."""
    await line.otel.export(batch(replace(RECORD, trace_id="", span_id="")))
    (span,) = line.receiver.spans
    said = trace_of({}, RECORD.call_id, "parent")
    assert (span.trace_id.hex(), span.span_id.hex()) == (said.trace_id, said.span_id)


@pytest.mark.parametrize("ids", [{"span_id": "x" * 16}, {"trace_id": "x" * 32}])
async def test_record_without_ids(line: Line, ids: dict[str, str]) -> None:
    """A record that cannot be a span is refused for good, so that the others can go on."""
    with pytest.raises(PermanentError):
        await line.otel.export(batch(replace(RECORD, **ids)))


async def test_compression(line: Line) -> None:
    """gzip is undone by the receiver to the same spans."""
    otel = line.exporter(gzip=True)
    await otel.export(batch(*many(5)))
    await otel.close()
    assert len(line.receiver.spans) == 5


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate that no one has reason to trust."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = Tls(folder / "certificate.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return made


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_certificate(protocol: str, tls: Tls) -> None:
    """A private authority is trusted where its certificate is named, and nowhere else."""
    async with (HttpServer if protocol == HTTP else GrpcServer)(Receiver(), tls) as server:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
        }
        stranger = from_config(environ=environ)
        named = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls.certificate)}
        trusting = from_config(environ={**environ, **named})
        assert stranger is not None
        assert trusting is not None
        with pytest.raises(TransientError):
            await stranger.export(batch())
        await trusting.export(batch())
        assert len(server.receiver.spans) == 1
        await stranger.close()
        await trusting.close()


async def test_sampler() -> None:
    """What the sampler leaves out is counted and not sent; an empty batch makes no request."""
    async with HttpServer(Receiver()) as server:
        otel = Otel(Target(endpoint=server.endpoint), sampler=Sampler(share=0.0))
        await otel.export(batch(*many(3)))
        await otel.close()
        assert otel.unsampled == 3
        assert not server.receiver.headers


async def test_configured_endpoint_wins() -> None:
    """Configuration wins over the environment, and its base URL gets the signal's path."""
    async with HttpServer(Receiver()) as server:
        environ = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/elsewhere",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-a=from%20env,x-b=1,x-c=YTpi==",
        }
        otel = from_config(endpoint=server.endpoint, headers={"X-B": "2"}, environ=environ)
        assert otel is not None
        await otel.export(batch())
        await otel.close()
        (headers,) = server.receiver.headers
        assert (headers["x-a"], headers["x-b"]) == ("from env", "2")
        assert headers["x-c"] == "YTpi=="  # as base64 ends
        assert headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_not_wanted(environ: Mapping[str, str]) -> None:
    """Without an endpoint, or switched off, there is no exporter."""
    assert from_config(environ=environ) is None


@pytest.mark.parametrize(
    ("environ", "endpoint", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "", "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/otlp"}, "", "http://c:1/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/otlp"}, "", "http://c:1/otlp"),
        ({}, "https://c/custom", "https://c/custom"),
        ({}, "https://c", "https://c/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "",
            "c:4317",
        ),
    ],
)
def test_endpoints(environ: Mapping[str, str], endpoint: str, expected: str) -> None:
    """The path is added to a base URL and to nothing else."""
    target = from_environment(environ, endpoint=endpoint)
    assert target is not None
    assert target.endpoint == expected


def test_standard_variables() -> None:
    """The traces variable wins over the general one; timeouts are milliseconds."""
    target = from_environment(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://c:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_HEADERS": f"a=1,authorization=Bearer%20{SECRET},broken",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=2",
        }
    )
    assert target == Target(
        endpoint="https://c:4317",
        protocol="grpc",
        headers={"a": "2", "authorization": f"Bearer {SECRET}"},
        timeout_s=2.5,
        compression=True,
        certificate="/ca.pem",
    )
    assert SECRET not in repr(target)


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "brotli"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        {"OTEL_EXPORTER_OTLP_HEADERS": f"x-key={SECRET}%0d%0ax: y"},
        {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization: {SECRET}=="},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"},
        {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/absent/ca.pem"},
    ],
)
def test_mistakes(environ: Mapping[str, str]) -> None:
    """A setting that cannot be is refused at the start, in words, without the keys."""
    with pytest.raises(ValueError, match="OTLP") as caught:
        from_config(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c:4318", **environ})
    assert SECRET not in str(caught.value)


def test_unknown_profile() -> None:
    """The profile is one that there is."""
    with pytest.raises(ValueError, match="compat, latest"):
        from_config(profile="newest", environ={})


def test_unknown_sampler(caplog: pytest.LogCaptureFixture) -> None:
    """A sampler of some other SDK, set for the whole machine, is passed over with a warning."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_SAMPLER": "xray"}
    otel = from_config(environ=environ)
    assert otel is not None
    assert "xray" in caplog.text
    asyncio.run(otel.close())


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("", None), ("7", 7.0), ("soon", None), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0)],
)
def test_retry_after_forms(header: str | None, expected: float | None) -> None:
    """Retry-After is seconds or a date; anything else is as if it were not there."""
    assert retry_after_s(header) == expected
