"""Images, documents, audio and video: how each API names what it is given.  Nothing is fetched."""

import re
from base64 import b64decode, b64encode
from binascii import Error

from proxy.gateway.translation.neutral import Media

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)
AUDIO = {"wav": "audio/wav", "mp3": "audio/mp3"}  # OpenAI's formats
_PREFIXES = {"image/": "image", "audio/": "audio", "video/": "video"}


# What Gemini alone can read: files that were uploaded to it, Google's storage, videos of YouTube.
_GEMINIS = re.compile(
    r"gs://|https://generativelanguage\.googleapis\.com/|https://(www\.)?youtube\.com/|https://youtu\.be/"
)


def is_geminis(url: str) -> bool:
    """Whether a URL is one that Gemini reads by itself."""
    return _GEMINIS.match(url) is not None


def is_public(url: str) -> bool:
    """Whether anybody could read it."""
    return url.startswith(("https://", "http://")) and not is_geminis(url)


def kind_of(mime: str) -> str:
    """image, audio, video or document."""
    found = (kind for prefix, kind in _PREFIXES.items() if mime.startswith(prefix))
    return next(found, "document")


def data_url(text: str) -> tuple[str, str] | None:
    """(type, base64) of a data URL; None for any other, and for one that is not in base64."""
    found = _DATA.fullmatch(text)
    if found is None or ";base64" not in found[2]:
        return None
    return found[1], found[3]


def as_url(media: Media) -> str:
    """Its URL, or a data URL of it."""
    return media.url or f"data:{media.mime};base64,{media.data}"


def audio_format(mime: str) -> str:
    """OpenAI's name of a type of audio; "" if it takes none such."""
    named = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
    return named.get(mime, "")


def as_base64(text: str) -> str:
    """A plain text as data."""
    return b64encode(text.encode("utf-8", "surrogatepass")).decode()


def as_text(data: str) -> str | None:
    """Data as plain text; None if it is none."""
    try:
        return b64decode(data, validate=True).decode()
    except (Error, UnicodeDecodeError):
        return None
