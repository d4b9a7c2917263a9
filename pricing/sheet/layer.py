"""The tariff files of one directory, decoded at once or, if their check is on record, when needed.

A book checks all files before the first call is priced.  For the files whose digest stands in
`tariffs/checked.sha256` a test has done that, and to decode them at every start would cost more
than all else a start does: they wait until their provider is asked for.  What must be known of a
file before that is read off its text, and the same test compares it with what decoding gives.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from threading import Lock

from pricing.condition import Calendar
from pricing.sheet.checks import by_start, check_periods, check_reach, check_rules
from pricing.sheet.entry import Problem, TariffError
from pricing.sheet.reader import Sheet, decode, read, read_calendars
from pricing.tariff import Tariff

Texts = Mapping[str, str]  # text of each file by its name

_PROVIDER = re.compile(r'^provider = "([^"]*)"$', re.MULTILINE)
_SHARED = re.compile(r"^\[+(calendars|currencies)\b", re.MULTILINE)  # other files may name these
_VOLUME = re.compile(r"\bvolume\b")
_PLAN = re.compile(r"^\[\[plan\]\]", re.MULTILINE)


def digest(layers: Iterable[Texts]) -> str:
    """64 hexadecimal digits that change with any byte of any file."""
    found = sha256()
    for number, texts in enumerate(layers):
        for text in texts.values():
            found.update(f"{number}:{len(text)}:".encode() + text.encode())
    return found.hexdigest()


class Layer:
    """The sheets of a directory by provider.  `checked`: its files may wait."""

    def __init__(self, texts: Texts, *, checked: bool) -> None:
        self.problems: list[Problem] = []
        self.calendars: dict[str, Calendar] = {}  # of this layer
        self._every_calendar: Mapping[str, Calendar] = {}
        self._texts = texts
        self._decoding = Lock()
        self._waiting: dict[str, list[str]] = {}  # files by provider
        self._documents: dict[str, Mapping[str, object]] = {}
        self._sheets: dict[str, Sheet] = {}  # by file
        self._names: dict[str, _Names] = {}  # by provider
        for file, text in texts.items():
            provider = _PROVIDER.search(text) if checked else None
            if provider is None or _SHARED.search(text):
                self._decode(file)
            else:
                self._waiting.setdefault(provider[1], []).append(file)

    def read(self, calendars: Mapping[str, Calendar]) -> None:
        """Read and check what does not wait, with the calendars of all layers."""
        self._every_calendar = calendars
        self.problems += self._read(self._documents)

    @property
    def sheets(self) -> list[Sheet]:
        """Every sheet, in the order of the files."""
        for provider in list(self._waiting):
            self.of(provider)
        return [self._sheets[file] for file in self._texts]

    @property
    def decoded(self) -> list[Sheet]:
        """The sheets that do not wait; among them all that state a currency."""
        return list(self._sheets.values())

    @property
    def providers(self) -> frozenset[str]:
        """Whose prices these are."""
        stated = (sheet.provider for sheet in self._sheets.values() if sheet.tariffs)
        return frozenset((*self._waiting, *stated))

    def has(self, file: str) -> bool:
        """Whether a file of this name belongs to this layer."""
        return file in self._texts

    def with_volume(self) -> Iterator[Sheet]:
        """At least the sheets that have prices by volume."""
        return self._with(_VOLUME)

    def with_plans(self) -> Iterator[Sheet]:
        """At least the sheets that have flat plans."""
        return self._with(_PLAN)

    def _with(self, mark: re.Pattern[str]) -> Iterator[Sheet]:
        for provider, files in list(self._waiting.items()):
            if any(mark.search(self._texts[file]) for file in files):
                self.of(provider)
        return iter(self.decoded)

    def of(self, provider: str) -> list[Sheet]:
        """The sheets of a provider.  Raises TariffError if they are not what their check says."""
        with self._decoding:
            if files := self._waiting.get(provider):
                for file in files:
                    self._decode(file)
                wrong = self._read({file: self._documents[file] for file in files})
                if problems := [*self.problems, *wrong]:
                    raise TariffError(problems)
                del self._waiting[provider]
        found = (sheet for file in self._texts if (sheet := self._sheets.get(file)) is not None)
        return [sheet for sheet in found if sheet.provider == provider]

    def named(self, provider: str, model: str) -> list[Tariff]:
        """The periods of the exact name, else of the longest pattern, the first in the alphabet."""
        names = self._names.get(provider)
        if names is None:
            names = self._names[provider] = _Names(self.of(provider))
        return names.find(model)

    def _decode(self, file: str) -> None:
        text = self._texts[file]
        document, wrong = decode(file, text)
        found, more = read_calendars(file, text, document)
        self._documents[file] = document
        self.calendars |= found
        self.problems += [*wrong, *more]

    def _read(self, documents: Mapping[str, Mapping[str, object]]) -> list[Problem]:
        sheets = {
            file: read(file, self._texts[file], document, self._every_calendar)
            for file, document in documents.items()
        }
        self._sheets |= sheets
        return list(_check(list(sheets.values())))


class _Names:
    """The tariffs of one provider by name."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self._exact: dict[str, list[Tariff]] = {}
        self._patterns: dict[str, list[Tariff]] = {}
        for tariff in sorted((t for sheet in sheets for t in sheet.tariffs), key=by_start):
            for name in tariff.names:
                kind = self._patterns if set(name) & set("*?[") else self._exact
                kind.setdefault(name, []).append(tariff)

    def find(self, model: str) -> list[Tariff]:
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        fitting = [pattern for pattern in self._patterns if fnmatchcase(model, pattern)]
        return self._patterns[min(fitting, key=lambda p: (-len(p), p))] if fitting else []


def _check(sheets: Sequence[Sheet]) -> Iterator[Problem]:
    for sheet in sheets:
        yield from sheet.problems
        for tariff in sheet.tariffs:
            yield from check_rules(tariff)
        yield from check_reach(sheet.rules)
    yield from check_periods(tariff for sheet in sheets for tariff in sheet.tariffs)
