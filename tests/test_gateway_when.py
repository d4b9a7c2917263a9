"""The language of `when`: typed, total, and refused with what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.facts import Facts
from proxy.gateway.when import DEPTH_MAX, LENGTH_MAX, NAMES, Invalid, parse

FACTS = Facts(
    input_tokens=1500,
    max_tokens=100,
    tools=True,
    modalities=frozenset({"text", "image"}),
    effort="high",
    tags={"team": "search"},
    hour=22,
    caller="ci",
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("input_tokens < 2_000", True),
        ("input_tokens < 2000 and not tools", False),
        ("effort == 'high' or input_tokens > 20000", True),
        ("not tools or effort == 'high' and hour >= 22", True),
        ("not (tools or schema)", False),
        ("'image' in modalities and 'audio' not in modalities", True),
        ('tags.team == "search" and tags.absent == ""', True),
        ("effort in ['low', 'medium']", False),
        ("hour in [22, 23, 0]", True),
        ("tools == true and stream != true", True),
        ("caller != 'ci'", False),
        ("operation == 'chat'", True),
        ("max_tokens <= 100.0", True),
    ],
)
def test_it_says_what_it_reads_like(text: str, holds: bool) -> None:
    """`not` binds closer than `and`, and that closer than `or`."""
    assert parse(text).holds(FACTS) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends too early"),
        ("input_token < 3", "unknown name 'input_token'"),
        ("input_tokens", "expected a condition, which is true or false, got a number"),
        ("input_tokens < 'many'", "cannot compare a number with a text"),
        ("effort < 'high'", "expected a number, got a text"),
        ("tools and 3", "expected a yes/no, got a number"),
        ("'image' in effort", "a text cannot be in a text"),
        ("1 in modalities", "a number cannot be in a list of texts"),
        ("hour in [1, 'two']", "a list holds at least one item, and all are of one type"),
        ("hour in []", "a list holds at least one item, and all are of one type"),
        ("(tools", "expected ')'"),
        ("tools)", "unexpected ')'"),
        ("tools tools", "unexpected 'tools'"),
        ("__import__('os')", "unexpected '__import__'"),
        ("tags. == ''", "unknown name 'tags.'"),
        ("tools & schema", "cannot read '& schema'"),
        ("not " * (DEPTH_MAX + 2) + "tools", f"nested deeper than {DEPTH_MAX}"),
        ("(" * (DEPTH_MAX + 2) + "tools", f"nested deeper than {DEPTH_MAX}"),
        ("tools or " * LENGTH_MAX + "tools", f"longer than {LENGTH_MAX} characters"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """The message says what is wrong; nothing is evaluated."""
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert str(caught.value) == message


def test_it_names_what_it_uses() -> None:
    """So that tokens are only counted where somebody asks."""
    assert parse("input_tokens < 3 or tags.a == 'b'").names == {"input_tokens", "tags.a"}


WORDS = st.sampled_from(
    [
        *NAMES,
        "tags.x",
        "and",
        "or",
        "not",
        "in",
        "==",
        "<",
        ">=",
        "(",
        ")",
        "[",
        "]",
        ",",
        "1",
        "'a'",
    ]
)


@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join)))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """What parses gives true or false; nothing else is ever raised."""
    try:
        parsed = parse(text)
    except Invalid:
        return
    assert isinstance(parsed.holds(FACTS), bool)
    assert isinstance(parsed.holds(Facts()), bool)


LEAVES = st.sampled_from(
    [
        ("tools", FACTS.tools),
        ("schema", FACTS.schema),
        ("true", True),
        ("input_tokens >= 1500", True),
        ("'audio' in modalities", False),
    ]
)


def _grown(inner: Any) -> Any:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda one: (f"not ({one[0]})", not one[1])),
        pairs.map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", two[0][1] and two[1][1])),
        pairs.map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", two[0][1] or two[1][1])),
    )


@given(st.recursive(LEAVES, _grown, max_leaves=8))
def test_it_agrees_with_python(case: tuple[str, bool]) -> None:
    """For every combination of `and`, `or` and `not`."""
    text, expected = case
    if len(text) <= LENGTH_MAX:
        assert parse(text).holds(FACTS) is expected
