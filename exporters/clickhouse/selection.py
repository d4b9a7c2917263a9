"""Which rows or contents to delete, as a condition of SQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exporters.clickhouse.migrations import quoted
from exporters.clickhouse.query import microseconds

# Return only when the text is gone from every part on every server: the caller reports it deleted.
SYNCHRONOUS = {"mutations_sync": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whose: every criterion given must match, and one besides `not_in` is required."""

    call_id: str = ""
    user_id: str = ""
    before: datetime | None = None  # calls that started earlier
    project: str | None = None  # "" is the calls without one
    not_in: tuple[str, ...] = ()  # projects to leave out

    def __post_init__(self) -> None:
        if self.call_id:
            UUID(self.call_id)
        if not (self.call_id or self.user_id or self.before or self.project is not None):
            raise ValueError("specify which content: call_id, user_id or before")

    def condition(self) -> str:
        """As SQL, values quoted here: not every server accepts bound ones in a mutation."""
        return " AND ".join(self._conditions())

    def _conditions(self) -> Iterator[str]:
        if self.call_id:
            yield f"call_id = toUUID({quoted(str(UUID(self.call_id)))})"
        if self.user_id:
            yield f"user_id = {quoted(self.user_id)}"
        if self.before is not None:
            yield f"ts < fromUnixTimestamp64Micro({microseconds(self.before)}, 'UTC')"
        if self.project is not None:
            yield f"project = {quoted(self.project)}"
        if self.not_in:
            yield f"project NOT IN ({', '.join(map(quoted, self.not_in))})"
