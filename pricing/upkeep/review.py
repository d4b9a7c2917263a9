"""Differences between our prices and the public price sets that a person has judged.

`review.toml` beside this file holds one a line; `taximeter tariffs check` prints them.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One price of ours that differs in a set, and why ours stands.  "" means not stated."""

    provider: str
    model: str
    meter: str
    when: str = ""
    ours: str
    genai: str = ""
    litellm: str = ""
    why: str  # a key of `[why]`
    source: str  # the page that ours was read at

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is a difference of."""
        return self.provider, self.model, self.meter, self.when

    def said(self, name: str) -> str:
        """The figure of a set."""
        return {"genai": self.genai, "litellm": self.litellm}[name]

    def row(self) -> dict[str, str]:
        """The cells of a table, or the keys of a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


def reviewed(file: Path = FILE) -> list[Reviewed]:
    """All judged differences, each with the sentence that its `why` stands for.

    Raises ValueError for a file that is not as it should be.
    """
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    sentences = document["why"]
    found = []
    for entry in document["differences"]:
        if entry.get("why") not in sentences:
            raise ValueError(f"{file.name}: {entry.get('model')}: no sentence for its `why`")
        found.append(Reviewed(**{**entry, "why": sentences[entry["why"]]}))
    return found
