"""The money of a run: no call is sent that could take it above its limit."""

from decimal import Decimal

from evaluation.runs.ledger import Ledger


class Purse:
    """Reserves the most that a call can cost before it is sent, and settles what it did cost."""

    def __init__(self, ledger: Ledger, max_usd: Decimal | None) -> None:
        self._ledger, self._max_usd = ledger, max_usd

    @property
    def committed_usd(self) -> Decimal:
        """Spent, and reserved for calls under way."""
        return self._ledger.committed_usd

    def reserve(self, most_usd: Decimal | None) -> str | None:
        """The number of a call that may be sent; None if it could exceed the limit.

        Without a limit everything may be sent; with one, nothing whose price is unknown.
        """
        if self._max_usd is not None and (
            most_usd is None or self.committed_usd + most_usd > self._max_usd
        ):
            return None
        return self._ledger.begin(most_usd or Decimal(0))

    def settle(self, number: str, usd: Decimal | None) -> None:
        """The call has ended; None if nobody knows what it cost."""
        self._ledger.end(number, usd)
