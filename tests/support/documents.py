"""The documents as tests read them: code spans, blocks, command lines, tables, headings.

A document is a Markdown file of ours, or the comments of a file that people read for its comments.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Files that are read for their comments and texts as well.
COMMENTED = (
    ROOT / "proxy" / "settings" / "defaults.toml",
    ROOT / "docker-compose.yml",
    ROOT / "Dockerfile",
    ROOT / "grafana" / "prometheus_rules.yaml",
    ROOT / "grafana" / "provisioning" / "alerting" / "rules.yaml",
    ROOT / "grafana" / "clickhouse_reader.sql",
)

_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    language: str
    text: str


def name_of(path: Path) -> str:
    """The path as messages and test ids show it."""
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str = "") -> list[Block]:
    """The fenced blocks of a document, or those in one language."""
    found = [Block(each[2], each[3]) for each in _BLOCK.finditer(text)]
    return [block for block in found if language in ("", block.language)]


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return _BLOCK.sub("", text)


def spans(text: str) -> list[str]:
    """The code spans of a document, without those in fenced blocks."""
    return _SPAN.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What a link may have behind `#`: headings as GitHub spells them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(text)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def table(text: str, first: str) -> list[list[str]]:
    """The cells of the rows of every table whose first column is headed `first`."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            rows.append(cells)
    return rows


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command line: of `sh` blocks, and of spans that are one.

    A line that goes on after `\\` or a pipe, or inside quotes, is one; a pipeline is as many as it
    has parts.  Comments and variables in front are left out.
    """
    lines = [line for block in blocks(text, "sh") for line in shell_lines(block.text)]
    lines += [span for span in spans(text) if re.match(r"(taximeter|python|make) ", span)]
    for line in lines:
        words = shlex.split(line.replace("…", ""), comments=True)
        part: list[str] = []
        for word in [*words, "|"]:
            if word in ("|", "&&", "&", ";"):
                if part:
                    yield part
                part = []
            elif part or not re.match(r"[A-Z_]+=", word):
                part.append(word)


def shell_lines(block: str) -> list[str]:
    """The lines of a shell block, each whole."""
    found: list[str] = []
    held = ""
    for line in block.splitlines():
        held += line
        try:
            words = shlex.split(held, comments=True)
        except ValueError:  # inside quotes
            held += "\n"
            continue
        if held.endswith("\\") or (words and words[-1] == "|"):
            held = held.removesuffix("\\") + " "
            continue
        if words:
            found.append(held.strip())
        held = ""
    return found
