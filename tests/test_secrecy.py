"""What is taken out of targets, tags and errors before anything is written."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.secrecy.mask import Mask, masked
from proxy.secrecy.scrubbing import scrubbed_tags, scrubbed_target


@given(
    st.binary(min_size=8, max_size=12),
    st.lists(st.binary(max_size=9), max_size=4),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_mask(secret: bytes, around: list[bytes], cuts: list[int]) -> None:
    """However a stream is cut, its secret is gone and its length is kept."""
    stream = secret.join(around)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    mask = Mask(secret)
    pieces = [mask.feed(stream[a:b]) for a, b in pairwise(edges)]
    out = b"".join(pieces) + mask.close()
    assert out == masked(stream, secret)
    assert len(out) == len(stream)


def test_short_words_are_no_secrets() -> None:
    """What is too short for a key may be any word of an error, and stays."""
    mask = Mask(b"invalid")
    assert mask.feed(b"invalid mod") + mask.feed(b"el") + mask.close() == b"invalid model"
    assert Mask(b"").feed(b"anything") == b"anything"


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("/v1/x;token=abc/y", "/v1/x;token=***/y"),
        ("/v1/x;a=1;sig=abc?b=2", "/v1/x;a=1;sig=***?b=2"),
        ("/v1/key=abc/y", "/v1/key=***/y"),
        ("/v1/x?a=1;api_key=abc;b=2", "/v1/x?a=1;api_key=***;b=2"),
        ("/v1/x?a=1#access_token=abc", "/v1/x?a=1#access_token=***"),
        ("/v1/x?next=/y?key=abc&b=2", "/v1/x?next=/y?key=***&b=2"),
        ("/v1/x?next=%2Fy%3Fkey%3Dabc&b=2", "/v1/x?***&b=2"),
        ("/v1/%73k-0123456789abcdefghij/x", "/v1/***/x"),
        ("/v1/x?sk-0123456789abcdefghij", "/v1/x?***"),
        ("/v1/models/gpt-4o%3Amini;v=2?max_tokens=5", "/v1/models/gpt-4o%3Amini;v=2?max_tokens=5"),
    ],
)
def test_secrets_in_targets(target: str, written: str) -> None:
    """A credential is seen in every part of a target, encoded too; what is none stays."""
    assert scrubbed_target(target) == written


def test_secrets_in_tags() -> None:
    """A tag is what its caller made it, unless its name or its value says that it is a secret."""
    key = "sk-0123456789abcdefghij"
    tags = {"user": key, "api-key": "abc", "team": "search", "note": f"uses {key}"}
    assert scrubbed_tags(tags) == {
        "user": "***",
        "api-key": "***",
        "team": "search",
        "note": "uses ***",
    }
