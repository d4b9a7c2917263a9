"""Which of our models a line of a bill means.  Pure.

Equal names are equal.  Bills of clouds name a model in words of their own, such as `Gemini 2.5
Flash Text Input`: it is the one model of ours all of whose telling words are there.  Where several
fit as well, none is taken: a wrong pair would explain what nobody knows.
"""

import re
from collections.abc import Iterable, Mapping

_WORD = re.compile(r"[a-z]+|\d+")
_DATE = re.compile(r"\d{8}|\d{4}-\d{2}-\d{2}|@\d+")
# Words of our names that bills leave out.
_SILENT = frozenset(("anthropic", "openai", "meta", "amazon", "google", "models", "v", "preview"))
_VERSION = re.compile(r"-v\d+(:\d+)?$")


def matched(theirs: Iterable[str], ours: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Their name → ours; `given` says it for names, or beginnings of names, of theirs."""
    ours = sorted(set(ours))
    words = {one: _words(_VERSION.sub("", _DATE.sub("", one))) - _SILENT for one in ours}
    found = {}
    for name in set(theirs):
        if name in ours or not name:
            found[name] = name
        elif fixed := max((one for one in given if name.startswith(one)), key=len, default=""):
            found[name] = given[fixed]
        elif fitting := _fitting(_words(name), words):
            found[name] = fitting
    return found


def _fitting(theirs: frozenset[str], words: Mapping[str, frozenset[str]]) -> str:
    """The one model with the most words, all of which are there; "" if there is not one."""
    fits = {one: len(said) for one, said in words.items() if said and said <= theirs}
    most = max(fits.values(), default=0)
    best = [one for one, count in fits.items() if count == most]
    return best[0] if len(best) == 1 else ""


def _words(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.lower()))
