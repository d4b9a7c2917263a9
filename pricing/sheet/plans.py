"""Reads the `[[plan]]` tables of a tariff file."""

from datetime import date

from pricing.plan import CredentialKind, HeaderCondition, Plan
from pricing.sheet import values
from pricing.sheet.entry import TariffEntry

PLAN_KEYS = frozenset(
    {
        *("name", "source", "checked", "note"),
        *("credentials", "hosts", "paths", "billed_when", "plan_when"),
    }
)


def read_plan(entry: TariffEntry, provider: str) -> list[Plan]:
    """The plan of a table, or nothing if it is wrong."""
    before = entry.problem_count
    entry.only(PLAN_KEYS)
    plan = Plan(
        name=entry.need("name", values.text, ""),
        provider=provider,
        source=entry.need("source", values.text, ""),
        checked=entry.need("checked", values.day, date.min),
        credentials=frozenset(entry.get("credentials", _credentials, ())),
        hosts=frozenset(entry.get("hosts", _hosts, ())),
        paths=entry.get("paths", _paths, ()),
        billed_when=entry.get("billed_when", _conditions, ()),
        plan_when=entry.get("plan_when", _conditions, ()),
    )
    if not (plan.credentials or plan.hosts or plan.paths):
        entry.problem("", "a plan needs credentials, hosts or paths: else every call is of it")
    return [plan] if entry.problem_count == before else []


def _credentials(value: object) -> tuple[str, ...]:
    kinds = values.texts(value)
    for kind in kinds:
        if kind not in list(CredentialKind):
            raise ValueError(f"unknown kind {kind!r}; expected one of: {', '.join(CredentialKind)}")
    return kinds


def _hosts(value: object) -> tuple[str, ...]:
    hosts = values.texts(value)
    for host in hosts:
        if host != host.lower() or set(host) & set("/:*"):
            raise ValueError(f"{host!r}: expected a host in lower case, without port")
    return hosts


def _paths(value: object) -> tuple[str, ...]:
    paths = values.texts(value)
    for path in paths:
        if not path.startswith("/") or path == "/" or "*" in path:
            raise ValueError(f"{path!r}: expected the beginning of a path, such as /api/coding/")
    return paths


def _conditions(value: object) -> tuple[HeaderCondition, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("expected a list of tables: { header = [values] }")
    return tuple(map(_condition, value))


def _condition(value: object) -> HeaderCondition:
    table = values.table(value)
    if not table:
        raise ValueError("an empty condition would always hold")
    found = {}
    for name, listed in table.items():
        if name != name.lower():
            raise ValueError(f"{name}: expected the header's name in lower case")
        found[name] = frozenset(map(_value, listed if isinstance(listed, list) else [listed]))
        if not found[name]:
            raise ValueError(f"{name}: expected at least one value")
    return found


def _value(value: object) -> str:
    if not isinstance(value, str) or value != value.lower():
        raise ValueError(f"{value!r}: expected a header's value in lower case")
    return value
