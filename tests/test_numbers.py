"""Numbers on the command line mean what people write, and nonsense is a usage error."""

import argparse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands import numbers
from proxy.commands.cli import main


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("10k", 10_000),
        ("1.5M", 1_500_000),
        ("1,000", 1000),
        (".5k", 500),
        ("2g", 2 * 10**9),
    ],
)
def test_counts_as_people_write_them(text: str, number: int) -> None:
    """Thousands, millions, and separators."""
    assert numbers.count(text) == number


@given(st.integers(0, numbers.COUNT_MAX))
def test_every_whole_number_is_itself(number: int) -> None:
    """Plain, and with separators in the right places."""
    assert numbers.count(str(number)) == numbers.count(f"{number:,}") == number


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (numbers.count, "-1"),
        (numbers.count, "1.5"),
        (numbers.count, "10kk"),
        (numbers.count, "1,00"),
        (numbers.count, "1e3"),
        (numbers.count, "9999999g"),
        (numbers.count, ""),
        (numbers.positive_count, "0"),
        (numbers.port, "70000"),
        (numbers.port, "-1"),
        (numbers.positive, "0"),
        (numbers.positive, "-3"),
        (numbers.positive, "inf"),
        (numbers.positive, "nan"),
        (numbers.positive, "fast"),
    ],
)
def test_nonsense_is_refused(read: Callable[[str], float], text: str) -> None:
    """With the text that was given, so that it can be found."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"'.*'$"):
        read(text)


@pytest.mark.parametrize(
    "words",
    [
        "demo --rate 0",
        "demo --seconds -1",
        "demo --port 70000",
        "serve --port -1",
        "serve --relays 0",
        "serve --console-port x",
        "quote gpt-5.4 --calls 0",
        "quote gpt-5.4 --input -5",
        "quote gpt-5.4 --cached 120%",
        "store check --quiet -1",
    ],
)
def test_every_command_refuses_numbers_that_make_no_sense(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the option's name, before anything is started."""
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    option = next(word for word in words.split() if word.startswith("--"))
    assert f"argument {option}" in capsys.readouterr().err
