"""The parts of documents that are drawn from the code, and the digest of the checked tariffs.

`python -m support.generated`, with tests/ on the path, writes them; tests fail while one is stale.
A part stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
"""

import re
from collections.abc import Callable, Mapping

from exporters.clickhouse.dimensions import DIMENSIONS, TAG
from pricing.book import CHECKED, checked_digest
from pricing.reason import Reason
from proxy.commands.questions import flag
from proxy.console.asking import ACCEPTED
from proxy.gateway.translation.fields import FIELDS, Field
from proxy.gateway.translation.requests import reached
from support.rooms import ROOT, room_list

TITLES = {
    "openai": "OpenAI chat",
    "responses": "OpenAI Responses",
    "embeddings": "OpenAI embeddings",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "gemini_embeddings": "Gemini embeddings",
    "cohere": "Cohere",
}


def reason_table() -> str:
    """Every reason with its effect and its sentence, as a Markdown table."""
    rows = (f"| `{reason}` | {reason.effect.value} | {reason.sentence} |\n" for reason in Reason)
    return "| reason | effect | meaning |\n|---|---|---|\n" + "".join(rows)


def dimension_table() -> str:
    """Every dimension with its option, as a Markdown table."""
    lines = ["| dimension | option | meaning | in the rollup |", "|---|---|---|---|"]
    for one in DIMENSIONS.values():
        name = f"`{one.name}`, `{one.column}`" if one.column else f"`{one.name}`"
        usual = f": {', '.join(f'`{value}`' for value in one.values)}" if one.values else ""
        rolled = "yes" if one.rolled_up else ""
        lines.append(f"| {name} | `{flag(one.name)}` | {one.meaning}{usual} | {rolled} |")
    lines.append(f"| `{TAG}NAME` | `--tag NAME=VALUE` | a tag of the caller's own | |")
    return "\n".join(lines) + "\n"


def address_table() -> str:
    """What each address takes, as a Markdown table."""
    lines = ["| address | parameters |", "|---|---|"]
    for (method, path), accepted in ACCEPTED.items():
        names = ", ".join(f"`{name}`" for name in (*accepted.once, *accepted.often))
        more = ", every dimension" if accepted.filters else ""
        more += f", `{accepted.prefix}NAME`" if accepted.prefix else ""
        lines.append(f"| `{method} {path}` | {names}{more} |")
    return "\n".join(lines) + "\n"


def field_table() -> str:
    """Every field of the six APIs' requests, with who else carries it, as Markdown tables."""
    lines = []
    for api, rows in FIELDS.items():
        others = reached(api)
        heads = " | ".join(f"to {TITLES[one]}" for one in others)
        lines += [f"\n## {TITLES[api]}\n", f"| field | {heads} |", "|---" * len(others) + "|---|"]
        for row in rows:
            fates = " | ".join(_fate(row, one) for one in others)
            lines.append(f"| `{row.name}` | {fates} |")
    return "\n".join(lines).lstrip("\n") + "\n"


def _fate(row: Field, dialect: str) -> str:
    if dialect in row.carried:
        return "carried"
    return "listed" if dialect in row.listed else "refused"


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {  # name → document, what to write
    "rooms": ("docs/architecture.md", room_list),
    "reasons": ("docs/reasons.md", reason_table),
    "dimensions": ("docs/queries.md", dimension_table),
    "fields": ("docs/translation.md", field_table),
    "addresses": ("docs/queries.md", address_table),
}


def drawn(name: str) -> tuple[str, str]:
    """(the document as it is, as it should be)."""
    document, make = PARTS[name]
    text = (ROOT / document).read_text(encoding="utf-8")
    return text, between(text, name, make())


def between(text: str, name: str, part: str) -> str:
    """A document with this part in its place.  Raises ValueError if it has none."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not found.search(text):
        raise ValueError(f"there is no place for {name}")
    return found.sub(lambda _: begin + part + end, text)


def stale() -> list[str]:
    """Parts that no longer say what the code says."""
    return [name for name in PARTS if len(set(drawn(name))) > 1]


def write() -> None:
    """Draw all of them anew."""
    for name, (document, _) in PARTS.items():
        (ROOT / document).write_text(drawn(name)[1], encoding="utf-8")
    CHECKED.write_text(f"{checked_digest()}\n", encoding="ascii")


if __name__ == "__main__":
    write()
