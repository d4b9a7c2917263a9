"""Suites: read strictly, versioned by content, half of it hidden; the starter suite is sound."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation import sandbox
from evaluation.checks.case import Case, Spoken, Status, answered
from evaluation.checks.code import Code, Security
from evaluation.runs.judging import verdicts
from evaluation.suites import reader
from evaluation.suites.reader import SuiteError
from evaluation.suites.suite import Suite

CASE: dict[str, Any] = {
    "id": "capital",
    "task": "facts",
    "prompt": "What is the capital of France?",
    "checks": [{"kind": "contains", "value": "Paris"}],
}
FOLDER = Path(reader.__file__).parent / reader.STARTER
STARTER = reader.read(reader.STARTER)


def written(path: Path, *cases: dict[str, Any], head: str = 'name = "mine"') -> Suite:
    """The suite in one file."""
    lines = ["+++", head, "+++", *map(json.dumps, cases)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return reader.read(str(path))


def test_a_file_and_a_folder_are_the_same_suite(tmp_path: Path) -> None:
    """The order of files, lines and keys does not matter; the version is that of the content."""
    other = CASE | {"id": "other"}
    one = written(tmp_path / "suite.jsonl", CASE, other)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "suite.toml").write_text('name = "mine"\n')
    (folder / "a.jsonl").write_text(json.dumps(dict(reversed(other.items()))) + "\n")
    (folder / "b.jsonl").write_text(json.dumps(CASE) + "\n\n")
    two = reader.read(str(folder))
    assert [case.id for case in one.cases] == ["capital", "other"]
    assert (one.name, one.version) == (two.name, two.version)


def test_a_changed_case_is_a_new_case(tmp_path: Path) -> None:
    """So is one under another system prompt; a note of its source changes nothing."""
    before = written(tmp_path / "a.jsonl", CASE)
    noted = written(tmp_path / "b.jsonl", CASE | {"source": "an atlas"})
    changed = written(tmp_path / "c.jsonl", CASE | {"weight": 2.0})
    briefed = written(tmp_path / "d.jsonl", CASE, head='name = "mine"\nsystem = "Be brief."')
    assert before.version == noted.version
    assert len({before.version, changed.version, briefed.version}) == 3
    assert briefed.cases[0].messages[0].content == "Be brief."


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Each with its file and line, and what was probably meant."""
    wrong: list[dict[str, Any]] = [
        {"id": "a", "task": "t", "promt": "x", "checks": [{"kind": "contians", "value": "y"}]},
        {"id": "b", "task": "t", "prompt": "x", "checks": []},
        {"id": "b2", "task": "t", "prompt": "x", "checks": [{"kind": "length", "unit": "word"}]},
        CASE | {"id": "c", "checks": [{"kind": "instruction", "rule": "no_comas"}]},
        CASE | {"id": "d", "checks": [{"kind": "regex", "value": "("}]},
        CASE | {"id": "e", "checks": [{"kind": "contains", "valeu": "y"}]},
        CASE | {"id": "f", "messages": [{"role": "robot", "content": "x"}]},
        CASE | {"id": "g", "weight": 0, "checks": [{"kind": "ambiguity"}] * 2},
        CASE,
        CASE,
    ]
    with pytest.raises(SuiteError) as caught:
        written(tmp_path / "s.jsonl", *wrong, head="nam = 1\nmax_tokens = 0")
    said = "\n".join(caught.value.mistakes)
    for line, what in (
        (1, "unknown key 'nam'; did you mean name?"),
        (1, "max_tokens: must be 1 or more"),
        (5, "unknown key 'promt'; did you mean prompt?"),
        (5, "check 1: unknown kind 'contians'; did you mean contains?"),
        (6, "checks: a list of at least one check"),
        (7, "check 1 (length): Invalid enum value 'word'"),
        (8, "check 1 (instruction): unknown rule 'no_comas'; did you mean no_commas?"),
        (9, "check 1 (regex): value: not a pattern of RE2"),
        (10, "check 1 (contains): unknown key 'valeu'; did you mean value?"),
        (11, "give either prompt or messages"),
        (11, "message 1: unknown role 'robot'"),
        (12, "weight: must be above 0"),
        (12, "checks: at most one that a judge decides"),
        (14, f"the id 'capital' is taken by {tmp_path / 's.jsonl'}:13"),
    ):
        assert f"{tmp_path / 's.jsonl'}:{line}: {what}" in said


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("+++\nname = 1", "has no second"),
        ("+++\nname = \n+++\n", "not TOML"),
        ("not json", "not JSON"),
        ("[]", "a case is a JSON object"),
        ("", "has no cases"),
    ],
)
def test_what_is_no_suite_is_refused(tmp_path: Path, text: str, mistake: str) -> None:
    """With what is wrong."""
    path = tmp_path / "s.jsonl"
    path.write_text(text)
    with pytest.raises(SuiteError, match=mistake):
        reader.read(str(path))
    with pytest.raises(SuiteError, match="the shipped suite is: starter"):
        reader.read(str(tmp_path / "nowhere"))


def test_a_conversation_is_answered_where_the_user_waits(tmp_path: Path) -> None:
    """A user message that no answer follows is one to answer."""
    said = [("system", "s"), ("user", "1"), ("assistant", "a"), ("user", "2"), ("user", "3")]
    messages = [{"role": role, "content": text} for role, text in said]
    case = {name: value for name, value in CASE.items() if name != "prompt"}
    suite = written(tmp_path / "s.jsonl", case | {"messages": messages})
    assert suite.cases[0].script == (3, 4)


def test_half_is_hidden_by_cluster(tmp_path: Path) -> None:
    """Two cases of a cluster are in one half, an added case moves no other, few are not split."""
    cases = [CASE | {"id": f"c{n}", "cluster": f"k{n // 2}"} for n in range(60)]
    suite = written(tmp_path / "s.jsonl", *cases)
    assert 15 < len(suite.hidden) < 45
    for n in range(0, 60, 2):
        assert (f"c{n}" in suite.hidden) is (f"c{n + 1}" in suite.hidden)
    fewer = written(tmp_path / "t.jsonl", *cases[:40])
    assert fewer.hidden == {name for name in suite.hidden if int(name[1:]) < 40}
    assert written(tmp_path / "u.jsonl", *cases[:19]).hidden == frozenset()


# -- the starter suite ----------------------------------------------------------------------------

TASKS = {
    *("ambiguity", "code", "consistency", "extraction", "facts", "format", "injection"),
    *("instructions", "languages", "over_refusal", "persona", "reasoning", "refusal"),
    *("repetition", "security", "style", "tools"),
}


def runs_code(case: Case) -> bool:
    """Whether it needs the sandbox."""
    return any(isinstance(check, Code | Security) for check in case.checks)


def statuses(case: Case, spoken: Spoken) -> set[Status]:
    """What the hard checks of a case find."""
    return {found.status for found in verdicts(case.checks, case, answered(spoken))}


def test_the_starter_suite_covers_every_task() -> None:
    """200 cases and more, a licence, a canary that no case gives away, halves of similar size."""
    assert len(STARTER.cases) >= 200
    assert STARTER.tasks.keys() == TASKS
    assert STARTER.licence == "Apache-2.0"
    assert STARTER.canary
    assert not any(STARTER.canary in file.read_text() for file in FOLDER.glob("*.jsonl"))
    assert 0.35 < len(STARTER.hidden) / len(STARTER.cases) < 0.65
    medical = [case for case in STARTER.cases if "-medical-" in case.id]
    assert len(medical) >= 10
    refused = {c.cluster for c in STARTER.cases if c.task == "refusal"}
    assert refused <= {c.cluster for c in STARTER.cases if c.task == "over_refusal"}


@pytest.mark.parametrize(
    "case", [c for c in STARTER.cases if not runs_code(c)], ids=lambda case: case.id
)
def test_a_starter_case_is_sound(case: Case) -> None:
    """Its reference passes every hard check, its wrong answer does not; scripts are 10 turns."""
    assert case.reference
    assert statuses(case, case.reference) <= {Status.PASS}
    if case.wrong:
        assert Status.FAIL in statuses(case, case.wrong)
    if case.task == "persona":
        assert 10 <= len(case.script) <= 30


@pytest.mark.slow  # compiles and runs 34 programs twice
@pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())
@pytest.mark.parametrize(
    "case", [c for c in STARTER.cases if runs_code(c)], ids=lambda case: case.id
)
def test_a_starter_case_with_code_is_sound(case: Case) -> None:
    """The same, where the tool of the language is there."""
    good = statuses(case, case.reference)
    assert Status.FAIL not in good
    if Status.NOT_RUN not in good:
        assert Status.FAIL in statuses(case, case.wrong)
