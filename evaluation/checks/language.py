"""In which language an answer is written: by its script, and for Latin letters by common words."""

import unicodedata
from collections import Counter
from collections.abc import Mapping

from evaluation.checks.case import Answer, Case, Verdict, held, not_run
from evaluation.checks.check import Check
from evaluation.checks.text import words

LETTERS_MIN = 12  # fewer do not show a language
SHARE_MIN = 0.7  # of the letters, in the script
HITS_MIN = 2  # common words of the language, and more than of any other

SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "zh": ("CJK",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "uk": ("CYRILLIC",),
    "ar": ("ARABIC",),
    "he": ("HEBREW",),
    "el": ("GREEK",),
    "hi": ("DEVANAGARI",),
    "th": ("THAI",),
}
COMMON: Mapping[str, frozenset[str]] = {
    name: frozenset(said.split())
    for name, said in {
        "en": "the of and to in is that it for was on are as with his they at be this have from or"
        " had by but not what all were we when your can said there use an each which she do how"
        " their if will up other about out many then them these so some her would make like",
        "de": "der die das und ist nicht ein eine einen dem den des zu mit sich auf für im von dass"
        " auch es an werden aus er hat wird bei sind noch wie einem über so zum war haben nur oder"
        " aber vor zur bis mehr durch man kann ich sie wir",
        "fr": "le la les de des du et est un une que qui dans pour pas sur au avec il elle sont ce"
        " cette par plus ne se nous vous mais ou leur aux été comme être ont son sa ses fait",
        "es": "el la los las de del y es un una que en por con para no se su al lo como más pero"
        " sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay son",
        "it": "il lo la i gli le di del della e è un una che in per con non si su al come più ma"
        " sono da anche nel alla dei ha questo questa essere quando molto senza ogni",
        "pt": "o a os as de do da dos das e é um uma que em por com para não se no na ao como mais"
        " mas foi ele ela seu sua ou quando muito nos já também só pelo pela até isso",
        "nl": "de het een en van is dat in op te zijn met voor niet aan er om ook als bij maar dan"
        " nog naar uit door over ze hij wordt werd kan meer geen deze worden",
        "sv": "och att det som en på är av för med den till inte har de ett om så men var jag sig"
        " från vi när kan man hade nu där eller vad ska efter också utan",
        "pl": "i w na z się nie do to że jest o jak za od po przez ale dla co są czy tak już być ma"
        " go tylko które który może oraz także tej ten",
        "tr": "bir ve bu da de için ile çok daha olarak ne gibi kadar sonra en var olan ama o ki"
        " değil her ise veya bunu şey mi",
    }.items()
}  # fmt: skip
LANGUAGES = frozenset(SCRIPTS) | frozenset(COMMON)
ONLY = {"ru": frozenset("ыэёъ"), "uk": frozenset("іїєґ")}  # letters that the other does not have


def languages(text: str) -> list[str]:
    """The languages that the text may be in; none if too little of it shows one."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) < LETTERS_MIN and not any(_script(c) not in ("LATIN",) for c in letters):
        return []
    scripts = Counter(map(_script, letters))
    found = [name for name, of in SCRIPTS.items() if _share(scripts, of) >= SHARE_MIN]
    if {"zh", "ja"} <= set(found):  # Japanese has kana, Chinese has none
        found.remove("zh" if scripts["HIRAGANA"] + scripts["KATAKANA"] else "ja")
    for name, own in ONLY.items():
        if name in found and any(set(text.lower()) & only for n, only in ONLY.items() if n != name):
            found = [each for each in found if each != name or set(text.lower()) & own]
    if found or _share(scripts, ("LATIN",)) < SHARE_MIN:
        return found
    said = words(text)
    hits = {name: sum(word in common for word in said) for name, common in COMMON.items()}
    most = max(hits.values())
    return [name for name, count in hits.items() if count == most >= HITS_MIN]


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0].split("-")[0]


def _share(scripts: Counter[str], of: tuple[str, ...]) -> float:
    return sum(scripts[name] for name in of) / (scripts.total() or 1)


class Language(Check, frozen=True, tag="language"):
    """The answer is in the language, by its ISO 639 code."""

    value: str

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        found = languages(answer.text)
        if not found:
            return not_run("too little text to tell its language")
        return held(found == [self.value], f"looks like {' or '.join(found)}, not {self.value}")

    def mistake(self) -> str:
        if self.value in LANGUAGES:
            return ""
        return f"value: unknown language {self.value!r}; known: {', '.join(sorted(LANGUAGES))}"
