"""Image sizes from header bytes, and the tokens that providers count for a size."""

import base64
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import CountRequest
from proxy.tokens.images import (
    Image,
    claude_tokens,
    from_base64,
    gemini_tokens,
    openai_tokens,
    other_tokens,
    size,
)
from proxy.tokens.tokens import count


def png(width: int, height: int) -> bytes:
    """A whole, valid PNG of one colour."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * (width + 1) * height)),
        (b"IEND", b""),
    )
    framed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def jpeg(width: int, height: int) -> bytes:
    """An APP0 segment, a Huffman table (whose marker lies among the frame markers), the frame."""
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0".ljust(14, b"\0")
    table = b"\xff\xc4" + struct.pack(">H", 6) + b"\xc0\xff\xc0\xff"
    frame = b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + b"\3" + b"\0" * 9
    return b"\xff\xd8" + app0 + table + frame


def webp(kind: bytes, body: bytes) -> bytes:
    data = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


def webp_lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 8)


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", bits) + b"\0" * 8)


def webp_extended(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", b"\0" * 4 + sides)


FORMATS = (png, gif, jpeg, webp_lossy, webp_lossless, webp_extended)


@pytest.mark.parametrize("make", FORMATS, ids=lambda make: make.__name__)
def test_size(make: Callable[[int, int], bytes]) -> None:
    """Width and height come from the header of each format, from bare base64 and data URLs."""
    data = make(640, 281)
    assert size(data) == (640, 281)
    text = base64.b64encode(data).decode()
    for form in (text, f"data:image/x;base64,{text}", text.rstrip("=")):
        assert (from_base64(form).width, from_base64(form).height) == (640, 281)


@given(st.sampled_from(FORMATS), st.integers(0, 60), st.binary(max_size=8))
def test_broken_images(make: Callable[[int, int], bytes], end: int, tail: bytes) -> None:
    """A header cut anywhere, or followed by noise, gives a size or none, never an error."""
    width, height = size(make(64, 32)[:end] + tail)
    assert width >= 0
    assert height >= 0


def test_impossible_size() -> None:
    """A side that no provider takes is no size: it must not become a bill."""
    header = png(1, 1)[:16] + struct.pack(">II", 2**31, 8) + b"\0" * 8
    assert from_base64(base64.b64encode(header).decode()) == Image()


def test_not_base64() -> None:
    """Text that is no base64 is an image of unknown size."""
    assert from_base64("data:image/png;base64,!?") == Image()


@pytest.mark.parametrize(
    ("formula", "model", "width", "height", "detail", "expected"),
    [
        # Recorded bills, and the worked examples of the providers' guides.
        (openai_tokens, "gpt-4o", 3008, 2000, "auto", 1_105),
        (openai_tokens, "gpt-4o", 1024, 1024, "high", 765),
        (openai_tokens, "gpt-4o", 4096, 8192, "low", 85),
        (openai_tokens, "gpt-4.1-nano", 540, 360, "auto", 502),
        (openai_tokens, "gpt-6", 1920, 1080, "auto", 2_448),
        (claude_tokens, "claude-haiku-4-5", 1001, 1001, "auto", 1_296),
        (claude_tokens, "claude-haiku-4-5", 540, 360, "auto", 260),
        (claude_tokens, "claude-opus-5-5", 1920, 1080, "auto", 2_691),
        (gemini_tokens, "gemini-2.0-flash", 540, 360, "auto", 7 * 258),
        (gemini_tokens, "gemini-2.0-flash", 3008, 2000, "auto", 13 * 258),
        (gemini_tokens, "gemini-2.0-flash", 8, 8, "auto", 258),
        (gemini_tokens, "gemini-2.5-flash", 597, 566, "auto", 258),
    ],
)
def test_formulas(  # noqa: PLR0917  a table of cases
    formula: Callable[[Image, str], int],
    model: str,
    width: int,
    height: int,
    detail: str,
    expected: int,
) -> None:
    """Each provider's formula gives the number that it billed."""
    image = Image(width=width, height=height, detail=detail)
    assert formula(image, model) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from(("auto", "low", "high")))
def test_any_size(width: int, height: int, detail: str) -> None:
    """Any size costs something and no size costs without bound."""
    image = Image(width=width, height=height, detail=detail)
    for model in ("gpt-4o", "gpt-4.1-nano", "gpt-5", "gpt-6", "o4-mini"):
        assert 0 < openai_tokens(image, model) < 100_000
    for model in ("claude-haiku-4-5", "claude-opus-5"):
        assert 0 < claude_tokens(image, model) < 6_000
    assert 0 < gemini_tokens(image, "gemini-2.0-flash") < 3_000_000
    assert 0 < other_tokens(image, "") <= 16_384


def test_images_in_every_format() -> None:
    """The same picture costs the same, whichever format carries it."""
    text = base64.b64encode(png(1024, 1024)).decode()
    url = f"data:image/png;base64,{text}"
    parts: list[dict[str, object]] = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": url},
        {"type": "input_image", "image_url": url},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}},
        {"inlineData": {"mimeType": "image/png", "data": text}},
        {"image": url},
        {"image": {"format": "png", "source": {"bytes": text}}},
    ]
    found = []
    for part in parts:
        request = {"messages": [{"role": "user", "content": [part]}]}
        found.append(count("", "gpt-4o", CountRequest(request=request), 10_000).usage.input_tokens)
    assert found == [3 + 3 + 1 + 765] * len(parts)
