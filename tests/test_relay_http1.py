"""Message heads and framing as bytes."""

import pytest

from proxy.relay.fields import fields
from proxy.relay.http1 import AnswerHead, BadHead, answer_head, framed, head


def answer(
    *pairs: tuple[bytes, bytes],
    code: int = 200,
    to_head: bool = False,
    caller_11: bool = True,
    keep_alive: bool = True,
) -> AnswerHead:
    return answer_head(
        code, "OK", pairs, to_head=to_head, caller_11=caller_11, keep_alive=keep_alive
    )


LENGTH = (b"Content-Length", b"3")
CHUNKED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    ("made", "chunked", "keep_alive", "delimited", "is_framed"),
    [
        (answer(LENGTH), False, True, True, True),
        (answer(CHUNKED), True, True, True, True),
        (answer(), True, True, False, True),
        (answer(caller_11=False), False, False, False, False),
        (answer(CHUNKED, caller_11=False), False, False, True, False),
        (answer(LENGTH, caller_11=False), False, True, True, True),
        (answer(code=204), False, True, True, True),
        (answer(LENGTH, code=304), False, True, True, True),
        (answer(CHUNKED, to_head=True), False, True, True, True),
        (answer(LENGTH, keep_alive=False), False, False, True, True),
    ],
)
def test_framers(
    made: AnswerHead, chunked: bool, keep_alive: bool, delimited: bool, is_framed: bool
) -> None:
    """Who marks the end of a body on each side, and whether the connection stays open."""
    got = (made.chunked, made.keep_alive, made.delimited, made.framed)
    assert got == (chunked, keep_alive, delimited, is_framed)
    assert (b"Connection: close" in made.data) is not keep_alive
    assert (b"Transfer-Encoding: chunked" in made.data) is chunked


def test_chunks() -> None:
    """A chunk begins with its length, and the last one has a terminator; no chunk is empty."""
    assert framed(b"x" * 26, chunked=True, last=False) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert framed(b"x", chunked=True, last=True) == b"1\r\nx\r\n0\r\n\r\n"
    assert framed(b"", chunked=True, last=True) == b"0\r\n\r\n"
    assert framed(b"", chunked=True, last=False) == b""
    assert framed(b"x", chunked=False, last=True) == b"x"


@pytest.mark.parametrize("bad", [b"a\rb", b"a\nb", b"a\r\nb", b"a\0b"])
def test_no_header_within_a_header(bad: bytes) -> None:
    """A value, name or target with a line break is refused, and so is a line of our own."""
    for line, pairs in (
        (b"GET / HTTP/1.1", [(b"x", bad)]),
        (b"GET / HTTP/1.1", [(bad, b"x")]),
        (b"GET /" + bad + b" HTTP/1.1", []),
    ):
        with pytest.raises(BadHead):
            head(line, fields(pairs))
    with pytest.raises(BadHead):
        head(b"GET / HTTP/1.1", (), [b"X-Taximeter: " + bad])


def test_fields_of_the_same_head() -> None:
    """A head that is asked for again has the same fields; a list that changed has others."""
    head_of_two = (LENGTH, CHUNKED)
    assert fields(head_of_two) is fields(head_of_two)
    pairs = [LENGTH]
    assert [field.pair for field in fields(pairs)] == pairs
    pairs.append(CHUNKED)
    assert [field.pair for field in fields(pairs)] == pairs


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"chunked, chunked"])
def test_other_transfer_codings(coding: bytes) -> None:
    """Any transfer coding other than chunked is refused."""
    with pytest.raises(BadHead):
        answer((b"Transfer-Encoding", coding))
