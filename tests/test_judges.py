"""A judge under test: gold sets are read strictly, and what is found of a judge is what it is."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evaluation.checks.case import Answer, Status
from evaluation.judges import gold
from evaluation.judges.gold import GoldSet
from evaluation.judges.measured import Measured
from evaluation.reports.rows import Result, Run, Stored
from evaluation.statistics import Refused
from evaluation.suites.reader import SuiteError


def line(number: int, label: object, **more: object) -> dict[str, Any]:
    """One labelled answer; two of each request."""
    return {
        "id": f"g-{number}", "prompt": f"Say hello to guest {number // 2}.", "rubric": "polite",
        "answer": f"answer {number}", "label": label,
    } | more  # fmt: skip


def write(path: Path, *lines: object) -> Path:
    """A file of lines."""
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


def labelled(tmp_path: Path, count: int) -> GoldSet:
    """So many requests, each with a good and a bad answer."""
    lines = [line(n, ("good", "bad")[n % 2]) for n in range(2 * count)]
    return gold.read(write(tmp_path / "gold.jsonl", *lines))


def test_each_label_is_a_question_and_each_pair_two(tmp_path: Path) -> None:
    """A verdict that is the label passes; of a pair the good one, whichever comes first."""
    found = labelled(tmp_path, 2)
    cases = {case.id: case for case in found.suite().cases}
    assert list(cases) == [
        "g-0",
        "g-0+g-1/1",
        "g-0+g-1/2",
        "g-1",
        "g-2",
        "g-2+g-3/1",
        "g-2+g-3/2",
        "g-3",
    ]
    assert not found.suite().hidden

    def verdict(case_id: str, **reply: str) -> Status:
        case = cases[case_id]
        return case.checks[0].verdict(case, Answer(text=json.dumps(reply))).status  # type: ignore[no-any-return]

    assert verdict("g-0", verdict="good") == verdict("g-1", verdict="bad") == "pass"
    assert verdict("g-0", verdict="bad") == verdict("g-1", verdict="good") == "fail"
    assert verdict("g-0", verdict="fine") == verdict("g-0+g-1/1", verdict="good") == "not_run"
    assert verdict("g-0+g-1/1", better="A") == verdict("g-0+g-1/2", better="B") == "pass"
    assert verdict("g-0+g-1/1", better="tie") == "fail"
    first = cases["g-0+g-1/2"].messages[0].content
    assert first.index("answer 1") < first.index("answer 0")


MISTAKES = [
    ({"labl": "good"}, "unknown key 'labl'; did you mean label?"),
    ({"label": "fine"}, 'label: "good" or "bad"'),
    ({"label": 1.5}, 'label: "good" or "bad"'),
    ({"rubric": ""}, "rubric: required"),
    ({"answer": None}, "answer: not text"),
    ({"prompt": ""}, "give either prompt or messages"),
    ({"messages": [{"role": "user", "content": "x"}]}, "give either prompt or messages"),
    ({"id": "ö"}, "id: 1 to 50 ASCII characters"),
    ({"prompt": "", "messages": [{"rôle": "user"}]}, "Object"),
]


@pytest.mark.parametrize(("wrong", "said"), MISTAKES)
def test_all_mistakes_of_a_gold_set_are_named_at_once(
    tmp_path: Path, wrong: Mapping[str, object], said: str
) -> None:
    """With file and line, and what was probably meant."""
    path = write(tmp_path / "gold.jsonl", "{", line(1, "good") | dict(wrong), line(2, "bad"))
    with pytest.raises(SuiteError) as caught:
        gold.read(path)
    assert caught.value.mistakes[0].startswith(f"{path}:1: ")
    assert any(one.startswith(f"{path}:2: ") and said in one for one in caught.value.mistakes)


def test_an_id_is_taken_once_and_a_file_has_answers(tmp_path: Path) -> None:
    """Two answers under one id would count as one."""
    with pytest.raises(SuiteError, match="'g-1' is taken"):
        gold.read(write(tmp_path / "a", line(1, True), line(1, False)))
    with pytest.raises(SuiteError, match="no labelled answer"):
        gold.read(write(tmp_path / "b", ""))


def judged(
    found: GoldSet, right: Callable[[str], bool], choose: Callable[[str, str], str] | None = None
) -> Measured:
    """A judge that is right about an answer if `right` says so of its label."""
    statuses = {i.id: "pass" if right(i.label) else "fail" for i in found.items}
    reasons = {}
    for pair in found.pairs():
        for case_id, good_at in zip(pair.ids, "AB", strict=True):
            said = choose(case_id, good_at) if choose else good_at
            statuses[case_id] = "pass" if said == good_at else "fail"
            reasons[case_id] = f"better_is: {gold.TIE if said == 'tie' else gold.OTHER}"
    return Measured(found, statuses, reasons)


def judge(rng: random.Random, q1: float, q0: float) -> Callable[[str], bool]:
    return lambda label: rng.random() < (q1 if label == "good" else q0)


def test_the_intervals_hold_what_the_judge_is(tmp_path: Path) -> None:
    """Sensitivity and specificity, over many judges; the corrected share is that of the labels."""
    found, rng = labelled(tmp_path, 150), random.Random(5)
    held = [0, 0, 0]
    for _ in range(60):
        measured = judged(found, judge(rng, 0.9, 0.7))
        held[0] += 0.9 in measured.rate(good=True).interval
        held[1] += 0.7 in measured.rate(good=False).interval
        corrected = measured.corrected().found
        assert not isinstance(corrected, Refused)
        held[2] += 0.5 in corrected
        assert measured.corrected().judged.value != pytest.approx(0.5, abs=0.02)
    assert min(held) >= 53


@pytest.mark.parametrize("quality", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3), (0.55, 0.55)])
def test_a_judge_that_is_nearly_a_coin_is_refused(
    tmp_path: Path, quality: tuple[float, float]
) -> None:
    """Sensitivity and specificity of 1.1 together: nothing can be corrected by it."""
    found = labelled(tmp_path, 100)
    right = {
        item.id: n // 2 < round(100 * quality[item.label == "bad"])
        for n, item in enumerate(found.items)
    }
    measured = Measured(found, {i: "pass" if ok else "fail" for i, ok in right.items()}, {})
    assert "is at most 1.1" in measured.why_unusable()
    assert isinstance(measured.corrected().found, Refused)
    assert measured.corrected().document()["corrected"] is None


def test_without_both_labels_a_judge_is_refused(tmp_path: Path) -> None:
    """A gold set of good answers alone says nothing about bad ones."""
    found = gold.read(write(tmp_path / "g", *[line(n, True) for n in range(9)]))
    measured = judged(found, lambda _: True)
    assert measured.rate(good=False).document() == {
        "value": None, "low": None, "high": None, "answers": 0, "right": 0,
    }  # fmt: skip
    assert "both good and bad" in measured.why_unusable()
    assert measured.bias() is None


@pytest.mark.parametrize(
    ("choose", "changed", "first"),
    [
        (lambda _, good_at: good_at, 0.0, 0.5),
        (lambda *_: "A", 1.0, 1.0),
        (lambda *_: "B", 1.0, 0.0),
        (lambda *_: "tie", 0.0, 0.5),
    ],
)
def test_a_position_that_sways_a_judge_is_seen(
    tmp_path: Path, choose: Callable[[str, str], str], changed: float, first: float
) -> None:
    """A judge that always prefers the first text is right in half of the pairs, by position."""
    bias = judged(labelled(tmp_path, 30), lambda _: True, choose).bias()
    assert bias is not None
    assert (bias.pairs, bias.changed.value, bias.first.value) == (30, changed, first)


def test_drift_is_seen_where_there_is_some(tmp_path: Path) -> None:
    """The same judge again has not moved; one that turned lenient has lost specificity."""
    found, rng = labelled(tmp_path, 100), random.Random(3)
    then = judged(found, judge(rng, 0.95, 0.9))
    assert (same := then.drift(then, "r0", "2026-11-01")) is not None
    assert (same.moved, same.changed, same.agreement.value) == (False, 0, 1.0)
    lenient = judged(found, judge(rng, 0.97, 0.55)).drift(then, "r0", "2026-11-01")
    assert lenient is not None
    assert lenient.moved
    assert lenient.specificity.high is not None
    assert lenient.specificity.high < 0
    moved = [
        drift.moved
        for _ in range(60)
        if (drift := judged(found, judge(rng, 0.95, 0.9)).drift(then, "", "")) is not None
    ]
    assert sum(moved) <= 8  # 5 % for both, and `then` is the same in all


def test_the_judged_share_of_a_run_is_corrected(tmp_path: Path) -> None:
    """By model: what the judge said of its answers, and what that means."""
    measured = judged(labelled(tmp_path, 200), lambda label: label == "good")
    assert measured.why_unusable()  # it calls everything good
    right = judged(labelled(tmp_path, 200), lambda _: True)
    run = Run(
        run_id="r", ts="", state="finished", suite="s", suite_version="v", models=["a/x", "a/y"],
        samples=1, judge="b/z", cases=40, hidden_cases=0,
    )  # fmt: skip
    results = [
        Result(
            model="a/x", case_id=f"c{n}", sample=1, case_version="", cluster="", task="t",
            hidden=False, weight=1.0, status="pass", reason="", contaminated=False, attempts=1,
            checks=json.dumps([{"kind": "judge", "status": "pass" if n % 4 else "fail"}]),
            error_type="", cost_usd=None, judge_usd=None, duration_us=None,
        )
        for n in range(40)
    ]  # fmt: skip
    found = right.of_run(Stored(run=run, results=results, calls=[]))
    assert found["a/x"].judged.value == 0.75
    assert not isinstance(found["a/x"].found, Refused)
    assert 0.75 in found["a/x"].found
    assert found["a/y"].document()["why_not"] == "no answer of it was judged"
