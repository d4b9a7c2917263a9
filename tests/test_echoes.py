"""An error keeps its type and code, and of its message only what the request does not hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Begun, Reading, ResponseHead
from proxy.reading.echoes import CUT, NEAR_CHARS_MAX, SHARED_CHARS_MIN, WITHHELD, without_echo
from proxy.reading.reading import CallReader
from proxy.secrecy.names import masked_name
from proxy.settings.config import MeteringOptions, Provider

PROMPT = "the patient's name is Ada Lovelace"
WORDS = st.text(st.sampled_from("abcdé 漢\n\"'"), min_size=0, max_size=60)


def read(
    body: bytes, answer: object, *, kind: str = "application/json", status: int = 400
) -> Reading:
    """The reading of a call whose answer is an error."""
    begun = Begun(
        call_id="c",
        wall_ns=1,
        method="POST",
        target="/v1/chat/completions",
        provider="openai",
        upstream="https://api.openai.com",
        headers=(("content-type", kind),),
    )
    reader = CallReader(begun, Provider(name="openai"), MeteringOptions())
    reader.request(body, 1)
    head = ResponseHead(status=status, headers=(("content-type", "application/json"),))
    reader.head(head, 2)
    reader.response(json.dumps(answer).encode(), 3)
    return reader.close()


def error(message: str) -> dict[str, object]:
    return {"error": {"type": "invalid_request_error", "code": "bad", "message": message}}


def asked(prompt: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode()


@pytest.mark.parametrize(
    ("body", "message", "kept"),
    [
        (asked(PROMPT), f"Flagged: {PROMPT}.", f"Flagged: {CUT}."),
        (asked(PROMPT), f"Flagged: {PROMPT[5:24]}", f"Flagged: {CUT}"),
        (asked("a\nb  " + PROMPT), f"Bad 'a b {PROMPT}'", f"Bad '{CUT}'"),
        (asked('say "hi"\n' + PROMPT), f'Bad: "say \\"hi\\"\\n{PROMPT}"', f'Bad: "{CUT}"'),
        (asked([{"type": "text", "text": PROMPT}]), f"no {PROMPT}", f"no {CUT}"),
        (
            b"{not json " + PROMPT.encode(),
            f"cannot parse {{not json {PROMPT}",
            f"cannot parse {CUT}",
        ),
        (asked(PROMPT), "Unsupported value: 'temperature'", "Unsupported value: 'temperature'"),
        (asked(1234567890123456), "No 1234567890123456.", f"No {CUT}."),
        (
            json.dumps({"tools": [{"properties": {"name_of_the_patient": {}}}]}).encode(),
            "bad name_of_the_patient",
            f"bad {CUT}",
        ),
    ],
)
def test_echoes_are_cut(body: bytes, message: str, kept: str) -> None:
    """What the request says is cut, however it is quoted; type and code stay."""
    reading = read(body, error(message))
    assert (reading.error_type, reading.error_message) == ("invalid_request_error", kept)


def test_errors_inside_an_answer() -> None:
    """So it is with an error in a body or a stream that began well."""
    reading = read(asked(PROMPT), error(f"Flagged: {PROMPT}"), status=200)
    assert reading.error_message == f"Flagged: {CUT}"


@pytest.mark.parametrize("shape", ["error", "message", "detail"])
def test_other_shapes(shape: str) -> None:
    """The shape of the error does not matter."""
    assert read(asked(PROMPT), {shape: f"no: {PROMPT}"}).error_message == f"no: {CUT}"


def test_what_cannot_be_compared() -> None:
    """Of a request that was not read whole, the message is withheld."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
    )
    reading = read(form, error("bad line: abc"), kind="multipart/form-data; boundary=x")
    assert (reading.error_type, reading.error_message) == ("invalid_request_error", WITHHELD)


@given(WORDS, WORDS, WORDS, WORDS)
def test_no_shared_text_is_left(before: str, shared: str, after: str, rest: str) -> None:
    """Wherever it stands, no 16 characters of the request are left in the message."""
    prompt = " ".join((before + shared + after).split())
    left = without_echo(f"Error: {shared}{rest}", [{"messages": [prompt]}])
    pieces = left.split(CUT)
    for piece in pieces:
        for at in range(len(piece) - SHARED_CHARS_MIN + 1):
            assert piece[at : at + SHARED_CHARS_MIN] not in prompt


def test_a_large_request() -> None:
    """A request that looks like the message all over is not searched for ever."""
    message = "abcdefgh" * 400
    assert without_echo(message, ["abcdefghX" * NEAR_CHARS_MAX]) in (WITHHELD, message)


@pytest.mark.parametrize(
    "name",
    [
        "sk-proj-abcdefghijkl",
        "AIzaSyA1234567890abcdefghijk",
        "gsk_0123456789abcdefghij",
        "pplx-Zx81Kd92mQpLs0293847561",
        "openai/sk-ant-api03-abcdefgh",
        "Zx7Kp9vR2aB3cD4eF5gH",
        "a3f9c2e17b804d56a3f9c2e17b804d56",
    ],
)
def test_keys_as_models(name: str) -> None:
    """A key that was sent as the name of a model is masked."""
    assert "***" in masked_name(name)
    assert name.rpartition("/")[2][-8:] not in masked_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-5.4-mini-2026-03-17",
        "pplx-embed-context-v1-0.6b",
        "perplexity/pplx-decider-v1-27b",
        "ft:gpt-4o-mini-2024-07-18:acme::9xYzAbC1",
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "Qwen25VL72BInstructAWQ",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "owner/model:" + "0123456789abcdef" * 4,
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl",
    ],
)
def test_names_of_models(name: str) -> None:
    """A name of a model is no key."""
    assert masked_name(name) == name
