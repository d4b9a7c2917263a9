"""What calls that were cut may have cost beyond their rows, until their window ends.

A call that broke off is charged for what was seen of it; its provider may have made, and billed, as
much as the call had held back.  The difference is uncertain: blocking budgets count it.
"""

import logging
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from exporters.record import EXACT, Record
from pricing.budget import Budget, Key
from pricing.reason import Reason
from pricing.window import Window
from proxy.budgets.sums import NOTHING
from proxy.journal.disk import write_atomically

log = logging.getLogger(__name__)

CUT = (
    *(Reason.CUT_SHORT.text, Reason.NO_RESPONSE.text, Reason.USAGE_NOT_FINAL.text),
    Reason.ERROR_WITH_USAGE.text,
)
ACCOUNTS_MAX = 10_000


class _Amount(msgspec.Struct):
    budget: str
    key: Key
    until: datetime | None  # None: the window never ends
    amount: Decimal


class Uncertain:
    """Kept in a file, so that a restart forgets nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._amounts: dict[tuple[str, Key], _Amount] = {}
        self._saved = True
        try:
            read = msgspec.json.decode(path.read_bytes(), type=list[_Amount])
            self._amounts = {(one.budget, one.key): one for one in read}
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.warning("Cannot read %s (%s); what cut calls may have cost is lost.", path, error)

    def of(self, budget: Budget, key: Key, window: Window) -> Decimal:
        """What is uncertain in this window."""
        found = self._amounts.get((budget.name, key))
        return found.amount if found is not None and _counts(found, budget, window) else NOTHING

    def add(self, budget: Budget, key: Key, window: Window, amount: Decimal) -> None:
        """A call may have cost `amount` more than its row says."""
        if amount <= 0:
            return
        name = budget.name, key
        held = self._amounts.get(name)
        if held is None or not _counts(held, budget, window):
            if held is None and len(self._amounts) >= ACCOUNTS_MAX:
                del self._amounts[next(iter(self._amounts))]
            held = self._amounts[name] = _Amount(budget.name, key, window.end, NOTHING)
        length = budget.windows.rolling
        held.until = window.end if length is None or window.end is None else window.end + length
        held.amount = EXACT.add(held.amount, amount)
        self._saved = False

    def save(self) -> None:
        """Write the file, if anything changed; a failing disk is tried again."""
        if not self._saved:
            with suppress(OSError):
                write_atomically(self._path, msgspec.json.encode([*self._amounts.values()]))
                self._saved = True


def is_cut(record: Record) -> bool:
    """Whether more may have been billed for a call than its row says."""
    return any(reason.partition(":")[0] in CUT for reason in record.reasons)


def _counts(one: _Amount, budget: Budget, window: Window) -> bool:
    if one.until is None or window.end is None:
        return one.until is None and window.end is None
    if budget.windows.rolling is not None:
        return one.until > window.end
    return one.until == window.end
