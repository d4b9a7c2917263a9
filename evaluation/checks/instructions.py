"""Instructions that code can check, in the manner of IFEval: one rule each, with its value.

https://arxiv.org/abs/2311.07911 has the idea; the rules and their wording are our own.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evaluation.checks.case import Answer, Case, Verdict, held
from evaluation.checks.check import Check
from evaluation.checks.formats import FENCE, json_in, paragraphs
from evaluation.checks.text import words

BULLET = re.compile(r"^\s*[-*•]\s+\S", re.MULTILINE)
STEP = re.compile(r"^\s*(\d+)[.)]\s+\S", re.MULTILINE)
ROW = re.compile(r"^\s*\|.*\|\s*$", re.MULTILINE)
RULE_LINE = re.compile(r"[\s|:-]+")
HIGHLIGHT = re.compile(r"(?<!\*)\*(?!\s|\*)[^*\n]+?(?<!\s)\*(?!\*)|\*\*(?!\s)[^*\n]+?\*\*")

Rule = Callable[[str, Any], bool]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _items(text: str) -> list[str]:
    """The entries of a list, or its lines if they bear no marks."""
    marked = [re.sub(r"^([-*•]|\d+[.)])\s+", "", line) for line in _lines(text)]
    return [item.casefold() for item in marked]


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalpha())


def _is_json(text: str, _: None) -> bool:
    try:
        json_in(text, fenced=False)
    except ValueError:
        return False
    return True


def _numbered(text: str, count: int) -> bool:
    return [int(number) for number in STEP.findall(text)] == list(range(1, count + 1))


def _table(text: str, columns: int) -> bool:
    rows = ROW.findall(text)
    cells = {len(row.strip().strip("|").split("|")) for row in rows}
    return len(rows) >= 3 and bool(RULE_LINE.fullmatch(rows[1])) and cells == {columns}


def _code_only(text: str, _: None) -> bool:
    return FENCE.fullmatch(text.strip()) is not None


def _sentence_words(text: str, most: int) -> bool:
    return all(len(words(part)) <= most for part in re.split(r"[.!?]+", text))


def _frequency(text: str, value: dict[str, int]) -> bool:
    said = words(text)
    return all(said.count(word.lower()) == count for word, count in value.items())


def _letter_frequency(text: str, value: dict[str, int]) -> bool:
    return all(text.lower().count(letter.lower()) >= count for letter, count in value.items())


def _first_word_of_paragraph(text: str, value: dict[str, str]) -> bool:
    parts = paragraphs(text)
    return all(
        len(parts) >= int(at) and words(parts[int(at) - 1])[:1] == [word.lower()]
        for at, word in value.items()
    )


def _two_parts(text: str, mark: str) -> bool:
    parts = text.split(mark)
    return len(parts) == 2 and all(part.strip() for part in parts)


def _alphabetical(text: str, _: None) -> bool:
    return _items(text) == sorted(_items(text))


# Name → (type of its value, whether it holds, what it demands).
RULES: Mapping[str, tuple[type, Rule, str]] = {
    "no_commas": (type(None), lambda text, _: not set(",，、") & set(text), "no comma"),
    "no_digits": (type(None), lambda text, _: not any(map(str.isdigit, text)), "no digit"),
    "no_questions": (type(None), lambda text, _: "?" not in text, "no question mark"),
    "no_exclamations": (type(None), lambda text, _: "!" not in text, "no exclamation mark"),
    "ascii_only": (type(None), lambda text, _: text.isascii(), "only ASCII characters"),
    "lowercase": (type(None), lambda text, _: text == text.lower(), "no capital letter"),
    "uppercase": (
        type(None),
        lambda text, _: bool(_letters(text)) and text == text.upper(),
        "capital letters only",
    ),
    "capital_words_max": (
        int,
        lambda text, n: sum(len(w) > 1 and w.isupper() for w in re.findall(r"\b\w+\b", text)) <= n,
        "at most so many words in capitals",
    ),
    "bullets": (int, lambda text, n: len(BULLET.findall(text)) == n, "exactly so many bullets"),
    "numbered_list": (int, _numbered, "a list numbered from 1 to so many"),
    "paragraphs": (int, lambda text, n: len(paragraphs(text)) == n, "so many paragraphs"),
    "lines": (int, lambda text, n: len(_lines(text)) == n, "so many lines"),
    "line_prefix": (
        str,
        lambda text, mark: all(line.startswith(mark) for line in _lines(text)),
        "each line begins with the text",
    ),
    "starts_with": (str, lambda text, said: text.strip().startswith(said), "begins with the text"),
    "ends_with": (str, lambda text, said: text.strip().endswith(said), "ends with the text"),
    "quoted": (
        type(None),
        lambda text, _: len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"',
        "wrapped in double quotes",
    ),
    "title": (
        type(None),
        lambda text, _: bool(re.match(r"<<[^<>\n]+>>", text.strip())),
        "a title in double angular brackets",
    ),
    "postscript": (
        str,
        lambda text, mark: bool(_lines(text)) and _lines(text)[-1].startswith(mark),
        "a postscript after the mark",
    ),
    "placeholders_min": (
        int,
        lambda text, n: len(re.findall(r"\[[^\[\]\n]+\]", text)) >= n,
        "at least so many [placeholders]",
    ),
    "highlights_min": (
        int,
        lambda text, n: len(HIGHLIGHT.findall(text)) >= n,
        "at least so many *highlighted* parts",
    ),
    "word_counts": (dict, _frequency, "each word exactly so often"),
    "letter_counts_min": (dict, _letter_frequency, "each letter at least so often"),
    "separated_by": (
        str,
        _two_parts,
        "two parts with the mark between them",
    ),
    "json_only": (type(None), _is_json, "JSON and nothing else"),
    "code_only": (type(None), _code_only, "one fenced block and nothing else"),
    "table_columns": (int, _table, "a Markdown table of so many columns"),
    "alphabetical": (type(None), _alphabetical, "items in order"),
    "one_of": (
        list,
        lambda text, options: text.strip().rstrip(".") in options,
        "one of the options and nothing else",
    ),
    "sentence_words_max": (int, _sentence_words, "no sentence with more words"),
    "paragraph_first_words": (dict, _first_word_of_paragraph, "paragraphs that begin with words"),
    "repeats_first": (
        str,
        lambda text, said: text.strip().startswith(said.strip()) and text.strip() != said.strip(),
        "repeats the text, then answers",
    ),
}  # fmt: skip


class Instruction(Check, frozen=True, tag="instruction"):
    """The answer follows one of RULES; `value` is the rule's, where it has one."""

    rule: str
    value: Any = None

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        _, holds, demand = RULES[self.rule]
        return held(bool(answer.text.strip()) and holds(answer.text, self.value), f"not {demand}")

    def mistake(self) -> str:
        if self.rule not in RULES:
            return f"rule: unknown rule {self.rule!r}"
        wanted = RULES[self.rule][0]
        if type(self.value) is wanted:
            return ""
        name = {type(None): "no value", int: "a whole number", str: "text"}
        return f"value: {self.rule} takes {name.get(wanted, f'a {wanted.__name__}')}"
