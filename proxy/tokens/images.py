"""The size of an image from its first bytes, and the tokens that providers count for it.

Only headers are read: PNG (RFC 2083, 3.2-4.1.1), GIF89a, JPEG (ITU-T T.81, B.2), WebP (RFC 9649).
The formulas are the providers' published ones, checked against recorded bills: docs/tokens.md.
"""

import base64
import re
from dataclasses import dataclass
from math import ceil, sqrt

SIDE_MAX = 65_535  # pixels; no provider accepts more, so a larger side is a broken header
HEADER_CHARS = 1_048_576  # of base64 examined: the size of a JPEG may follow a large profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in a request; 0 by 0 if the request does not show its size (URL, other format)."""

    width: int = 0
    height: int = 0
    detail: str = "auto"  # OpenAI: low | high | auto | original


def from_base64(text: str, detail: str = "auto") -> Image:
    """The image in `text`, which is base64 or a data URL.  Never raises."""
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        head = base64.b64decode(body[:HEADER_CHARS] + "===")
    except ValueError:  # URL-safe, broken or not ASCII: no size
        head = b""
    width, height = size(head)
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        width = height = 0
    return Image(width=width, height=height, detail=detail)


def size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a PNG, GIF, JPEG or WebP; (0, 0) for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return _big(data[16:20]), _big(data[20:24])
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return _little(data[6:8]), _little(data[8:10])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    return 0, 0


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _webp(data: bytes) -> tuple[int, int]:
    """RFC 9649, 2.5-2.7: lossy, lossless and extended files differ in where the size is."""
    match data[12:16]:
        case b"VP8 ":
            return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
        case b"VP8L":
            bits = _little(data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return _little(data[24:27]) + 1, _little(data[27:30]) + 1
    return 0, 0


def _jpeg(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header (SOF0-SOF15 without DHT, JPG and DAC)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + _big(data[at + 2 : at + 4])  # 0xFF: a fill byte
    return 0, 0


def openai_tokens(image: Image, model: str) -> int:
    """Tiles of 512 pixels up to gpt-4o, patches of 32 since gpt-4.1-mini and o4-mini.

    https://developers.openai.com/api/docs/guides/images-vision, "Calculating costs".
    """
    for pattern, factor, patches_max in _OPENAI_PATCHES:
        if pattern.search(model):
            patches = _patches(image.width, image.height, 32, patches_max[image.detail == "high"])
            return ceil(patches * factor)
    base, tile = next(cost for pattern, cost in _OPENAI_TILES if pattern.search(model))
    if image.detail == "low":
        return base
    width, height = _shrink(image.width, image.height, long_max=2048, short_max=768)
    return base + tile * ceil(width / 512) * ceil(height / 512)


# (model, tokens per patch, most patches at detail auto and high).  2.46 and 1.2 are recorded or
# measured by a third party; 1.62 and 1.72 are the published factors, unmeasured.
_OPENAI_PATCHES = (
    (re.compile(r"gpt-4\.1-nano|gpt-5-nano"), 2.46, (1_536, 1_536)),
    (re.compile(r"gpt-4\.1-mini|gpt-5-mini"), 1.62, (1_536, 1_536)),
    (re.compile(r"o4-mini"), 1.72, (1_536, 1_536)),
    (re.compile(r"gpt-5\.[4-9]|gpt-[6-9]"), 1.2, (12_000, 2_500)),
)
# (model, (tokens of the low-detail view, tokens per tile)).
_OPENAI_TILES = (
    (re.compile(r"gpt-4o-mini"), (2_833, 5_667)),
    (re.compile(r"gpt-5|chatgpt-5"), (70, 140)),
    (re.compile(r"^o[13]"), (75, 150)),
    (re.compile(r"computer-use"), (65, 129)),
    (re.compile(""), (85, 170)),
)


def claude_tokens(image: Image, model: str) -> int:
    """Patches of 28 pixels; larger images are fitted into 1,568 pixels, since Claude 5 into 2,016.

    Recorded: 1001 x 1001 pixels are 1,296 tokens; the documented w x h / 750 gives 1,336.
    """
    if re.search(r"claude-\D*[5-9](?!\d)", model):
        width, height = _shrink(image.width, image.height, long_max=2_016, short_max=2_016)
        return _patches(max(1, int(width)), max(1, int(height)), 28, 5_184)
    width, height = _shrink(image.width, image.height, long_max=1_568, short_max=1_568)
    return _patches(max(1, int(width)), max(1, int(height)), 28, 1_600)


def gemini_tokens(image: Image, model: str) -> int:
    """258 per tile and overview up to 2.0, 258 in all for 2.5, about 1,100 for any size in 3."""
    if re.search(r"gemini-[3-9]", model):
        return 1_100
    if "gemini-2.5" in model or max(image.width, image.height) <= 384:
        return 258
    unit = min(max(min(image.width, image.height) * 2 // 3, 256), 768)
    return 258 * (ceil(image.width / unit) * ceil(image.height / unit) + 1)


def other_tokens(image: Image, model: str) -> int:
    """28-pixel patches, as in Qwen-VL, the most common open models."""
    return _patches(image.width, image.height, 28, 16_384)


def _shrink(width: int, height: int, long_max: int, short_max: int) -> tuple[float, float]:
    """Scale down, never up, until the long and the short side fit."""
    scale = min(1.0, long_max / max(width, height), short_max / min(width, height))
    return width * scale, height * scale


def _patches(width: int, height: int, side: int, patches_max: int) -> int:
    """Squares of `side` that cover the image, scaled down to at most `patches_max` squares."""
    count = ceil(width / side) * ceil(height / side)
    if count <= patches_max:
        return count
    scale = sqrt(patches_max * side * side / (width * height))
    columns, rows = width * scale / side, height * scale / side
    scale *= min(int(columns) / columns, int(rows) / rows)
    return max(1, round(width * scale / side)) * max(1, round(height * scale / side))
