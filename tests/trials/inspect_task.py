"""A task for Inspect: `inspect eval inspect_task.py -T cases=FILE`, run by `trials.inspected`."""

# mypy: disable-error-code="import-not-found,untyped-decorator"

import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def capitals(cases: str) -> Task:
    """The cases of a suite, scored by Inspect itself."""
    lines = Path(cases).read_text(encoding="utf-8").partition("+++\n")[2].partition("+++\n")[2]
    samples = [
        Sample(id=case["id"], input=case["prompt"], target=case["checks"][0]["value"])
        for case in map(json.loads, lines.splitlines())
    ]
    return Task(dataset=samples, solver=generate(), scorer=includes())
