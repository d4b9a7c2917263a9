"""constraints.txt: the tested versions, which pyproject.toml must allow."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def test_every_line_names_a_package_and_one_version() -> None:
    """No address and no path, and nothing twice: it means the same wherever it is installed."""
    assert [line for line in LINES if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    names = [canonicalize_name(line.partition("==")[0]) for line in LINES]
    assert len(set(names)) == len(names)


def test_what_we_ask_for_is_there_in_a_version_we_allow() -> None:
    """Runtime, embedded engine and tests."""
    tested = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in LINES)}
    asked = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        asked += extra
    needs = [Requirement(text) for text in asked]
    assert {canonicalize_name(need.name) for need in needs} - set(tested) == set()
    assert [
        str(need) for need in needs if tested[canonicalize_name(need.name)] not in need.specifier
    ] == []
