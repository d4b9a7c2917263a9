"""Which of our models a line of a bill means.  Pure.

Equal names are equal.  Bills of clouds name a model in words of their own, such as `Gemini 2.5
Flash Text Input`: it is the one model of ours all of whose telling words are there.  Where several
fit as well, none is taken: a wrong pair would explain what nobody knows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

_WORD = re.compile(r"[a-z]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DATE = re.compile(r"\d{8}|\d{4}-\d{2}-\d{2}|@\d+")
_VERSION = re.compile(r"-v\d+(:\d+)?$")
DATE_DIGITS = 4  # of a number that is no version
# Words of our names that bills leave out: makers, and regions of profiles.
_SILENT = frozenset(
    (
        *("anthropic", "openai", "meta", "amazon", "google", "models", "v", "preview", "latest"),
        *("us", "eu", "apac", "jp", "au", "global"),
    )
)
# Words that make another model: a name with one of them is no name without it.
_VARIANTS = frozenset(
    (
        *("mini", "nano", "micro", "lite", "pro", "premier", "turbo", "flash", "small", "medium"),
        *("large", "max", "plus", "opus", "sonnet", "haiku", "codex", "realtime", "embedding"),
        *("instruct", "vision", "thinking", "scout", "maverick", "fast"),
    )
)


def matched(theirs: Iterable[str], ours: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Their name → ours; `given` says it for names, or beginnings of names, of theirs."""
    ours = sorted(set(ours))
    words = {one: frozenset(_words(_VERSION.sub("", _DATE.sub("", one)))) - _SILENT for one in ours}
    found = {}
    for name in set(theirs):
        if name in ours or not name:
            found[name] = name
        elif fixed := max((one for one in given if name.startswith(one)), key=len, default=""):
            found[name] = given[fixed]
        elif fitting := _fitting(_words(name), words):
            found[name] = fitting
    return found


def _fitting(theirs: Sequence[str], words: Mapping[str, frozenset[str]]) -> str:
    """The one model with the most words, all of which are there; "" if there is not one."""
    fits = {one: len(said) for one, said in words.items() if said and _means(theirs, said)}
    most = max(fits.values(), default=0)
    best = [one for one, count in fits.items() if count == most]
    return best[0] if len(best) == 1 else ""


def _means(theirs: Sequence[str], ours: frozenset[str]) -> bool:
    """Whether all our words are there, and no other version or variant is."""
    if not ours <= set(theirs) or (_VARIANTS & set(theirs)) - ours:
        return False
    of_name = False
    for word in theirs:
        if word.isdecimal():
            if of_name and word not in ours:
                return False
        else:
            of_name = word in ours
    return True


def _words(name: str) -> list[str]:
    """The words and versions of a name in order, without dates."""
    found = _WORD.findall(_CAMEL.sub(" ", name).lower())
    return [one for one in found if not (one.isdecimal() and len(one) >= DATE_DIGITS)]
