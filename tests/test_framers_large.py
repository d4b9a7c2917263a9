"""Bodies too large to keep, and forms with files, are still read for the little they say."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.reading.multipart import FIELD_BYTES_MAX, Multipart, boundary_of
from proxy.reading.pruner import STRING_BYTES_MAX, Pruner, PruningError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


def pruned(data: bytes, *, step: int = 1 << 30, bytes_max: int = 1 << 20) -> object:
    pruner = Pruner(bytes_max)
    for start in range(0, len(data), step):
        pruner.feed(data[start : start + step])
    return json.loads(pruner.out)


def expected(value: object) -> object:
    """What is left of `value`: no long strings, and of arrays no numbers, nulls and booleans."""
    if isinstance(value, dict):
        return {key: expected(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [expected(inner) for inner in value if isinstance(inner, str | list | dict)]
    if isinstance(value, str):
        return value if len(json.dumps(value)) - 2 <= STRING_BYTES_MAX else ""
    return value


def test_an_image_and_an_embedding() -> None:
    """Long strings are emptied, numbers in arrays dropped; the rest stays."""
    body = {
        "model": "m",
        "image": "A" * 10_000,
        "data": [{"embedding": [0.5, -1e-9, 3], "index": 0}, "text", 5, {"x": None}],
        "usage": {"total_tokens": 12, "cost": 0.5},
    }
    assert pruned(json.dumps(body).encode()) == expected(body)


@settings(max_examples=100)
@given(values.filter(lambda value: isinstance(value, dict | list)), st.integers(1, 9))
def test_any_document(value: object, step: int) -> None:
    """Any document, in any layout and cut anywhere, is pruned to what the rule says."""
    for layout in ({"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}):
        assert pruned(json.dumps(value, **layout).encode(), step=step) == expected(value)


def test_escapes_at_the_limit() -> None:
    """A string is kept or emptied as a whole, so no escape and no character is cut in two."""
    for length in range(STRING_BYTES_MAX - 8, STRING_BYTES_MAX + 8):
        value = {"a": "x" * length + '\\"\n😀', "b": 1}
        got = pruned(json.dumps(value).encode(), step=1)
        assert got in (value, {"a": "", "b": 1})


@pytest.mark.parametrize("data", [b'{"a": 5},' * 4000, b"[" * 1000, b"]"])
def test_refused(data: bytes) -> None:
    """What is too large even without its bulk, too deep or not JSON is refused."""
    pruner = Pruner(2000)
    with pytest.raises(PruningError):
        pruner.feed(data)


FORM = (
    b"preamble\r\n--XyZ\r\n"
    b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b"--XyZ\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n" + b"\r\n--Xy\r\n\0\xff" * 1000 + b"\r\n--XyZ\r\n"
    b"content-disposition: form-data; name=response_format\r\n\r\n\r\n--XyZ\r\n"
    b'Content-Disposition: form-data; name="prompt"\r\n\r\n\xc3\xa9\r\nline\r\n--XyZ--\r\n'
)
FIELDS = {
    "model": "whisper-1",
    "file": {"bytes": 10_000},
    "response_format": "",
    "prompt": "é\r\nline",
}


def form(*pieces: bytes) -> dict[str, object]:
    parser = Multipart(b"XyZ")
    for piece in pieces:
        parser.feed(piece)
    return parser.close()


def test_form() -> None:
    """The fields of a form are read, its files only measured; byte by byte alike."""
    assert form(FORM) == FIELDS
    assert form(*(bytes([byte]) for byte in FORM)) == FIELDS


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(FORM)), max_size=9))
def test_form_cut_anywhere(cuts: list[int]) -> None:
    """However a form is cut, its fields are the same."""
    edges = [0, *sorted(cuts), len(FORM)]
    assert form(*(FORM[a:b] for a, b in pairwise(edges))) == FIELDS


def test_form_field_too_long() -> None:
    """A field that is longer than we keep is cut."""
    data = (
        b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        + b"b" * 200_000
        + b"\r\n--XyZ--"
    )
    assert form(data) == {"a": "b" * FIELD_BYTES_MAX}
    assert form(data[:100_000], data[100_000:]) == {"a": "b" * FIELD_BYTES_MAX}


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=XyZ", b"XyZ"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="X y"', b"X y"),
        ("multipart/form-data", b""),
        ("application/json; boundary=XyZ", b""),
    ],
)
def test_boundary(header: str, boundary: bytes) -> None:
    """Only a form with a boundary is read as one."""
    assert boundary_of(header) == boundary
