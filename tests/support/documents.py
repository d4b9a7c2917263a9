"""The documents as tests read them: code spans, blocks, command lines, tables, headings.

A document is a Markdown file of ours, or a file that people read for its comments and texts.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMENTED = (
    ROOT / "proxy" / "settings" / "defaults.toml",
    ROOT / "docker-compose.yml",
    ROOT / "Dockerfile",
    ROOT / "grafana" / "clickhouse_reader.sql",
    ROOT / "grafana" / "prometheus_rules.yaml",
    ROOT / "grafana" / "provisioning" / "alerting" / "rules.yaml",
)
DOCUMENTS = (*MARKDOWN, *COMMENTED)

_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROGRAM = re.compile(r"(taximeter|python|make) ")
_REDIRECTION = re.compile(r" [12]?>>? ?[\w.-]+(?= |$)")
_VARIABLE = re.compile(r"[A-Z_]+=")


def name_of(path: Path) -> str:
    """The path as messages and test ids show it."""
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    """The text of a file of ours."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in one language, without their indentation."""
    found = [each for each in _BLOCK.finditer(text) if each[2] == language]
    return [re.sub(f"^{each[1]}", "", each[3], flags=re.MULTILINE) for each in found]


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
    """The cells of every row of the tables whose first column is headed `first`."""
    rows: list[list[str]] = []
    inside = False
    for line in prose(text).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            rows.append(cells)
    return rows


def shell_lines(block: str) -> list[str]:
    """The commands of a shell block, each on the lines it takes: quotes, pipes, backslashes."""
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
            held += "\n"
            continue
        if words:
            found.append(held.strip())
        held = ""
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command that a document shows, in `sh` blocks and in code spans.

    A pipeline is as many as it has parts.  Comments, variables in front and redirections are left
    out.
    """
    lines = [line for block in blocks(text, "sh") for line in shell_lines(block)]
    lines += [span for span in spans(text) if _PROGRAM.match(span)]
    for line in lines:
        part: list[str] = []
        for word in [*shlex.split(_REDIRECTION.sub("", line), comments=True), "|"]:
            if word in ("|", "&&", ";"):
                if part:
                    yield part
                part = []
            elif part or not _VARIABLE.match(word):
                part.append(word)
