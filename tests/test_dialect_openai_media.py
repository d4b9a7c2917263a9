"""Embeddings, images, videos, transcription and speech."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from pricing.cause import texts
from proxy.dialects import table
from proxy.dialects.contract import Ask
from proxy.exchange import Operation, Part, Reading

IMAGE_USAGE = {
    "total_tokens": 100,
    "input_tokens": 50,
    "output_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


def read(path: str, *documents: object, request: Mapping[str, object] | None = None) -> Reading:
    ask = Ask(method="POST", path=path, request=request or {}, stream=len(documents) > 1)
    endpoint = table.find(ask.method, path)
    reader = endpoint.reader(ask, endpoint)
    for document in documents:
        reader.read(document, 0)
    return reader.close()


def the_part(reading: Reading) -> Part:
    (part,) = reading.parts
    return part


def quantities(reading: Reading) -> dict[str, object]:
    found = {m.value: n for m, n in the_part(reading).usage.quantities.items()}
    del found["requests"]
    return dict(found)


def test_embeddings() -> None:
    """Embeddings read tokens and make none."""
    body = {"model": "e-1", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    request = {"model": "e", "input": [[1, 2, 3]], "encoding_format": "base64", "dimensions": 256}
    reading = read("/v1/embeddings", body, request=request)
    assert reading.operation is Operation.EMBEDDINGS
    assert quantities(reading) == {"input": 8}
    assert reading.attributes == {
        "request.encoding_formats": "base64",
        "embeddings.dimension.count": 256,
    }


def test_embeddings_without_usage() -> None:
    """Servers that state no usage leave the input to be counted; nothing was made."""
    reading = read("/v1/embeddings", {"data": []}, request={"model": "e", "input": ["a"]})
    assert reading.count is not None
    assert reading.count.request == {"model": "e", "input": ["a"]}
    assert reading.count.output == ""


def test_moderations_are_free() -> None:
    """Moderation costs nothing."""
    reading = read("/v1/moderations", {"id": "modr-1", "model": "omni", "results": []})
    assert not reading.billable
    assert texts(reading.reasons) == ("free_of_charge",)


def test_images_bill_tokens() -> None:
    """Without details of the output, what an image model made are images."""
    body = {
        "data": [{"b64_json": "..."}],
        "usage": IMAGE_USAGE,
        "size": "1024x1024",
        "quality": "high",
    }
    reading = read(
        "/v1/images/generations", body, request={"model": "gpt-image-1.5", "size": "auto"}
    )
    assert quantities(reading) == {"input": 10, "input.image": 40, "output.image": 50}
    assert the_part(reading).terms == {"size": "1024x1024", "quality": "high"}


def test_images_in_a_stream() -> None:
    """A stream of images states its usage with the last one."""
    reading = read(
        "/v1/images/edits",
        {"type": "image_edit.partial_image", "b64_json": "..."},
        {"type": "image_edit.completed", "b64_json": "...", "usage": IMAGE_USAGE},
    )
    assert quantities(reading) == {"input": 10, "input.image": 40, "output.image": 50}
    assert reading.complete


def test_images_without_usage() -> None:
    """DALL-E states no usage: images are counted, under the size and quality asked for."""
    request = {"model": "dall-e-3", "n": 2, "size": "1024x1792", "quality": "hd"}
    body = {"created": 1, "data": [{"url": "..."}, {"url": "..."}]}
    reading = read("/v1/images/generations", body, request=request)
    assert quantities(reading) == {"images": 2}
    assert the_part(reading).terms == {"size": "1024x1792", "quality": "hd"}


def test_a_video() -> None:
    """A video job states its seconds, as text."""
    body = {"id": "video_1", "model": "sora-2", "seconds": "8", "size": "1280x720", "error": None}
    reading = read("/v1/videos", body, request={"model": "sora-2"})
    assert quantities(reading) == {"video_seconds": 8}
    assert the_part(reading).terms == {"size": "1280x720"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"usage": {"type": "duration", "seconds": 27}}, {"audio_seconds": 27}),
        (
            {"usage": {"type": "duration", "seconds": Decimal("3.5")}},
            {"audio_seconds": Decimal("3.5")},
        ),
        (
            {"duration": Decimal("8.470000267028809")},
            {"audio_seconds": Decimal("8.470000267028809")},
        ),
        (
            {
                "usage": {
                    "type": "tokens",
                    "input_tokens": 14,
                    "input_token_details": {"text_tokens": 10, "audio_tokens": 4},
                    "output_tokens": 45,
                    "total_tokens": 59,
                }
            },
            {"input": 10, "input.audio": 4, "output": 45},
        ),
        (
            {"usage": {"input_tokens": 14, "output_tokens": 45, "total_tokens": 59}},
            {"input.audio": 14, "output": 45},
        ),
    ],
)
def test_transcription(body: Mapping[str, object], expected: Mapping[str, object]) -> None:
    """Transcription bills seconds or tokens; tokens without a split are sound."""
    request = {"model": "whisper-1", "file": {"bytes": 9}}
    reading = read("/v1/audio/transcriptions", {"text": "Hi", **body}, request=request)
    assert quantities(reading) == expected


def test_transcription_stream() -> None:
    """A streamed transcription states its usage with the text that is done."""
    usage = {"input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 45}
    reading = read(
        "/v1/audio/transcriptions",
        {"type": "transcript.text.delta", "delta": "I see"},
        {"type": "transcript.text.done", "text": "I see", "usage": usage},
    )
    assert quantities(reading) == {"input.audio": 14, "output": 45}
    assert reading.complete


def test_transcription_as_text() -> None:
    """Subtitles state no usage, and sound cannot be counted: unknown, not zero."""
    reading = read("/v1/audio/transcriptions", "1\n00:00:00,000 --> 00:00:03,000\nHi\n")
    assert reading.billable
    assert reading.parts == ()
    assert reading.count is None
    assert texts(reading.reasons) == ("no_usage",)


def test_speech() -> None:
    """Speech bills the characters of the request; the answer is sound and says nothing."""
    reading = read("/v1/audio/speech", request={"model": "tts-1", "input": "Grüße"})
    assert quantities(reading) == {"characters": 5}
    assert reading.complete


def test_speech_stream() -> None:
    """A speech stream that states tokens is billed by them: what it made is sound."""
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    reading = read(
        "/v1/audio/speech",
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.done", "usage": usage},
        request={"model": "gpt-4o-mini-tts", "input": "Hi"},
    )
    assert quantities(reading) == {"input": 14, "output.audio": 101}


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/audio/speech", "/v1/videos"])
def test_an_error_in_a_200(path: str) -> None:
    """An error in a 200 is no usage, whatever was asked for."""
    reading = read(path, {"error": {"message": "No.", "code": "x"}}, request={"input": "a"})
    assert not reading.billable
    assert reading.error_type == "x"
