"""A document becomes bounded JSON that shows what was left out, whatever is in it."""

import json
from decimal import Decimal
from time import process_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.content.walker import DEPTH_MAX, ROOM_MIN, Walker
from proxy.secrecy.kinds import KINDS
from proxy.secrecy.redaction import Redactor

REDACTOR = Redactor(KINDS)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(("sk-abcdefghijklmnop1234", "a@mail.example.com", '{"a": [1]}', "x" * 2000))
)
KEYS = st.text() | st.sampled_from(("role", "content", "password", "a@mail.example.com"))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=40
)


def walked(value: object, bytes_max: int = 65_536) -> tuple[str, bool, dict[str, int]]:
    counts: dict[str, int] = {}
    walker = Walker(REDACTOR, counts)
    return walker.document(value, bytes_max), walker.cut, counts


@pytest.mark.thorough
@given(VALUES, st.integers(ROOM_MIN, 400))
def test_valid_and_bounded(value: object, bytes_max: int) -> None:
    """The result is JSON of at most so many bytes, and the same each time."""
    text, _, _ = walked(value, bytes_max)
    assert len(text.encode()) <= bytes_max
    json.loads(text)
    assert walked(value, bytes_max)[0] == text


@pytest.mark.thorough
@given(VALUES)
def test_again_changes_nothing(value: object) -> None:
    """What was kept once is kept as it is: it has nothing to hide or to cut any more."""
    text, cut, _ = walked(value)
    again = walked(msgspec.json.decode(text))
    assert not cut
    assert json.loads(again[0]) == json.loads(text)
    assert again[1:] == (False, {})


def test_values_stay_what_they_are() -> None:
    """Numbers keep their digits, keys their order, text its letters."""
    value = {"t": Decimal("0.10"), "n": 2**70, "ü": ["a\n", None, True], "o": {}, "l": []}
    assert (
        walked(value)[0]
        == '{"t":0.10,"n":1180591620717411303424,"ü":["a\\n",null,true],"o":{},"l":[]}'
    )


def test_names_that_name_credentials() -> None:
    """Whatever stands under such a name is hidden, of any type; a switch is not."""
    value = {"api_key": "a", "Password": 5, "x": {"auth_token": ["b"]}, "use_key": True, "n": None}
    text, _, counts = walked(value)
    assert json.loads(text) == {
        "api_key": "***",
        "Password": "***",
        "x": {"auth_token": "***"},
        "use_key": True,
        "n": None,
    }
    assert counts == {"credential": 3}


def test_json_in_text() -> None:
    """The arguments of a tool are looked at value by value, however they are spelled."""
    inner = '{"a": "\\u0073k-abcdefghijklmnop1234", "pass": "x", "deep": "{\\"key\\": \\"y\\"}"}'
    found = json.loads(json.loads(walked({"arguments": inner})[0])["arguments"])
    assert found["a"] == "[redacted:credential]"
    assert found["pass"] == "***"
    assert json.loads(found["deep"]) == {"key": "***"}


def test_keys_are_redacted_and_stay_apart() -> None:
    """Two mail addresses as keys are two members still."""
    text, _, _ = walked({"a@mail.example.com": 1, "b@mail.example.com": 2})
    assert sorted(json.loads(text).values()) == [1, 2]
    assert "@" not in text


def test_media_become_a_note() -> None:
    """An image is as long as it is, and says no more."""
    data = "iVBORw0KGgo" * 1000
    value = {"url": f"data:image/png;base64,{data}", "data": data, "text": f"see ({data}) there"}
    assert json.loads(walked(value)[0]) == {
        "url": f"[{len(data) + 22} characters of data]",
        "data": f"[{len(data)} characters of data]",
        "text": f"see ([{len(data)} characters of data]) there",
    }


def test_the_newest_messages_stay() -> None:
    """Of a long chat the last messages are whole, and how many are not is said."""
    messages = [{"role": "user", "content": f"message {n} " + "word " * 40} for n in range(100)]
    text, cut, _ = walked({"model": "m", "messages": messages, "stream": True}, 4_096)
    found = json.loads(text)
    assert cut
    assert (found["model"], found["stream"]) == ("m", True)
    left_out, *kept = found["messages"]
    assert kept[-5:] == messages[-5:]
    assert left_out == f"[{100 - len(kept)} earlier left out]"


def test_large_parts_share_the_room() -> None:
    """No part of a request crowds out the others; what a small one leaves a large one takes."""
    tools = [{"name": f"t{n}", "description": "word " * 50} for n in range(100)]
    messages = [{"role": "user", "content": "word " * 50}] * 100
    text, cut, _ = walked({"tools": tools, "system": "short", "messages": messages}, 16_384)
    sizes = {name: len(json.dumps(part)) for name, part in json.loads(text).items()}
    assert cut
    assert len(text) > 15_000
    assert min(sizes["tools"], sizes["messages"]) > 6_000
    assert json.loads(text)["system"] == "short"


def test_depth() -> None:
    """What is nested beyond all sense is cut there."""
    value: object = "x"
    for _ in range(DEPTH_MAX + 400):
        value = [value]
    assert walked(value)[:2] == ("[" * DEPTH_MAX + '"[cut]"' + "]" * DEPTH_MAX, True)


@pytest.mark.parametrize(
    "value",
    [
        {"m": [{"role": "user", "content": "hi"}] * 300_000},
        {f"k{n}": ["a"] * 300 for n in range(10_000)},
        {"x": "word " * 6_000_000},
        {"x": "A" * 30_000_000},
        {"x": '{"a":' * 5_000_000},
        [["a"] * 1000] * 1000,
    ],
    ids=["messages", "keys", "text", "data", "broken", "lists"],
)
def test_the_work_is_bounded(value: object) -> None:
    """A document of tens of megabytes takes little longer than what is kept of it."""
    began = process_time()
    text, _, _ = walked(value)
    assert process_time() - began < 1.0
    assert len(text) <= 65_536
