"""Reports in JUnit's XML, as every test runner writes them: a test case is a case."""

from collections import Counter
from datetime import UTC, datetime
from xml.etree import ElementTree

from evaluation.imports.imported import Imported, NotReadable, Outcome
from proxy.instants import iso_instant

STATUSES = {"failure": "fail", "error": "error", "skipped": "not_run"}


def read(content: bytes, model: str) -> Imported:
    """The run of a report, whose answers came from `model`.  Raises NotReadable."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise NotReadable(f"not XML: {error}") from error
    if root.tag not in ("testsuites", "testsuite"):
        raise NotReadable("not a JUnit report")
    suites = [root] if root.tag == "testsuite" else list(root.iter("testsuite"))
    try:
        at = iso_instant((suites[0].get("timestamp") or "") if suites else "")
    except ValueError:
        at = datetime.now(UTC)
    seen: Counter[str] = Counter()
    outcomes = []
    for case in root.iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        seen[name] += 1
        outcomes.append(_outcome(case, name, seen[name], model))
    name = root.get("name") or (suites[0].get("name") if suites else "") or "junit"
    return Imported(origin="junit", suite=name, at=at, outcomes=outcomes)


def _outcome(case: ElementTree.Element, name: str, sample: int, model: str) -> Outcome:
    kinds = [STATUSES[child.tag] for child in case if child.tag in STATUSES]
    status = kinds[0] if kinds else "pass"
    try:
        seconds = float(case.get("time") or "")
    except ValueError:
        seconds = None
    return Outcome(
        model=model,
        case_id=name,
        sample=sample,
        status=status,
        reason="skipped" if status == "not_run" else "",
        error_type="junit_error" if status == "error" else "",
        task=case.get("classname") or "",
        duration_s=seconds,
    )
