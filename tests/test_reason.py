"""Reasons: a closed list, each with its effect on a charge, and text that can be read back."""

import ast
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Charge, Status
from pricing.cause import CUT, DETAIL_CHARS_MAX, REASONS_MAX, Cause, Reasons, about, parse, texts
from pricing.charge import allowed, lowered, not_billed
from pricing.reason import Effect, Reason
from support.generated import stale
from support.rooms import ROOT, modules

SENTENCE_CHARS_MAX = 160
BEST = {  # effect → (where something of the call has a price, where nothing has)
    Effect.NONE: (Status.EXACT, Status.EXACT),
    Effect.FREE: (Status.EXACT, Status.EXACT),
    Effect.GUESS: (Status.ESTIMATED, Status.ESTIMATED),
    Effect.MISSING: (Status.PARTIAL, Status.PARTIAL),
    Effect.UNKNOWN: (Status.PARTIAL, Status.UNPRICED),
}
ORDER = (Status.EXACT, Status.ESTIMATED, Status.PARTIAL, Status.UNPRICED)
each = pytest.mark.parametrize("reason", Reason, ids=str)
ESCAPE_CHARS_MAX = len(r"\u{10ffff}")
details = st.text(st.characters())  # surrogates too: JSON may hold half a pair


@each
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    """One sentence, short enough for a line or two."""
    assert reason.sentence.endswith(".")
    assert reason.sentence[0].isupper()
    assert len(reason.sentence) <= SENTENCE_CHARS_MAX


@pytest.mark.thorough
def test_every_reason_is_given_somewhere() -> None:
    """A member that nothing gives is a promise that nothing keeps."""
    used = {
        node.attr
        for name, path in modules().items()
        if name != "pricing.reason"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Reason"
    }
    assert {reason.name for reason in Reason} - used == set()


def test_the_page_of_reasons_is_drawn_from_the_list() -> None:
    """docs/reasons.md says what the list says, and what each effect means for the status."""
    assert "reasons" not in stale()
    page = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    for effect, (_, status) in BEST.items():
        shown = Status.NOT_BILLED if effect is Effect.FREE else status
        [row] = [line for line in page.splitlines() if line.startswith(f"| {effect.value} |")]
        assert f"| `{shown}`" in row
    assert str(DETAIL_CHARS_MAX) in page


@each
@pytest.mark.parametrize("detail", [None, "a detail"])
def test_a_reason_lowers_the_status(reason: Reason, detail: str | None) -> None:
    """A charge has at most the status that the effect allows, and is never raised by a reason."""
    cause: Cause = reason if detail is None else about(reason, detail)
    priced, unpriced = BEST[reason.effect]
    assert allowed([cause], priced=True) is priced
    assert allowed([cause], priced=False) is unpriced
    for status in ORDER:
        charge = Charge(usd=None if status is Status.UNPRICED else Decimal(1), status=status)
        found = lowered(charge, [cause])
        assert found.status is max(status, priced, key=ORDER.index)
        assert found.usd == charge.usd


def test_plain_text_is_no_reason() -> None:
    """mypy refuses it where a reason is given, and so does the status."""
    Reasons("no_usage")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        allowed(["no_usage"], priced=True)  # type: ignore[list-item]


def test_the_worst_reason_decides() -> None:
    """In whatever order they come."""
    for causes in ((Reason.CUT_SHORT, Reason.BODY_NOT_JSON), (Reason.BODY_NOT_JSON, Reason.POLL)):
        assert allowed(causes, priced=True) is Status.PARTIAL
        assert allowed(reversed(causes), priced=True) is Status.PARTIAL
    assert allowed((), priced=True) is Status.EXACT


@each
def test_what_may_stand_in_a_charge_that_is_not_billed(reason: Reason) -> None:
    """Only some reasons make a call free; the others may stand beside one of them."""
    if reason.effect is not Effect.FREE:
        with pytest.raises(ValueError, match="no reason says why"):
            not_billed(reason)
    charge = not_billed(reason, Reason.POLL)
    assert lowered(charge, [reason]) == charge


@given(st.sampled_from([reason for reason in Reason if reason is not Reason.UNRECOGNIZED]), details)
def test_a_detail_can_be_read_back(reason: Reason, detail: str) -> None:
    """Whatever it holds: its text is one bounded, printable line, and gives the same cause."""
    cause = about(reason, detail)
    assert len(cause.stored) <= DETAIL_CHARS_MAX
    assert str(cause).isprintable()
    assert parse(str(cause)) == cause
    assert detail.startswith(cause.detail.removesuffix(CUT))
    if len(detail) * ESCAPE_CHARS_MAX <= DETAIL_CHARS_MAX:
        assert cause.detail == detail


@pytest.mark.parametrize("detail", ["x" * 10_000, "\n" * 10_000, "x" * DETAIL_CHARS_MAX + "y"])
def test_a_long_detail_is_cut(detail: str) -> None:
    """The text says that something is left out, and no escape is cut in two."""
    cause = about(Reason.UNKNOWN_MODEL, detail)
    assert DETAIL_CHARS_MAX - 5 <= len(cause.stored) <= DETAIL_CHARS_MAX
    assert cause.stored.endswith(CUT)
    assert detail.startswith(cause.detail.removesuffix(CUT))
    assert about(Reason.UNKNOWN_MODEL, "x" * DETAIL_CHARS_MAX).stored == "x" * DETAIL_CHARS_MAX


@each
def test_a_reason_is_its_own_text(reason: Reason) -> None:
    """Rows hold the name in lower case."""
    assert str(reason) == reason.name.lower()
    if reason is not Reason.UNRECOGNIZED:
        assert parse(str(reason)) is reason


@given(st.one_of(st.text(), st.sampled_from(["guess:x", "No_usage", "unrecognized", ":", ""])))
def test_an_unknown_name_is_never_exact(text: str) -> None:
    """What another version stored keeps its text, and leaves no charge exact."""
    cause = parse(text)
    assert str(cause) == text
    if text.partition(":")[0] not in texts(Reason):
        assert cause.reason is Reason.UNRECOGNIZED
        assert allowed([cause], priced=True) is Status.PARTIAL


def test_names_are_kept_when_details_are_too_many() -> None:
    """However many details a call brings, no reason is lost, and their number is bounded."""
    found = Reasons(*(about(Reason.USAGE_NEGATIVE, str(number)) for number in range(1_000)))
    found.add(about(Reason.MISSING_RATE, "input"))
    assert len(found) == REASONS_MAX + 2
    assert list(found)[-2:] == [Reason.USAGE_NEGATIVE, Reason.MISSING_RATE]
    assert allowed(found, priced=True) is Status.PARTIAL
