"""The parts of documents that are drawn from the code, and the digest of the checked tariffs.

`python -m support.generated`, with tests/ on the path, writes them; tests fail while one is stale.
A part stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
"""

import re
from collections.abc import Callable, Mapping

from pricing.book import CHECKED, checked_digest
from pricing.reason import Reason
from support.rooms import ROOT, room_list


def reason_table() -> str:
    """Every reason with its effect and its sentence, as a Markdown table."""
    rows = (f"| `{reason}` | {reason.effect.value} | {reason.sentence} |\n" for reason in Reason)
    return "| reason | effect | meaning |\n|---|---|---|\n" + "".join(rows)


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {  # name → document, what to write
    "rooms": ("docs/architecture.md", room_list),
    "reasons": ("docs/reasons.md", reason_table),
}


def drawn(name: str) -> tuple[str, str]:
    """(the document as it is, as it should be)."""
    document, make = PARTS[name]
    text = (ROOT / document).read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not found.search(text):
        raise ValueError(f"{document} has no place for {name}")
    return text, found.sub(lambda _: begin + make() + end, text)


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
