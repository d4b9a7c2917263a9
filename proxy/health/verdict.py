"""What the header of the console and `/api/health` say of it all: green, amber or red.

Red: a part failed, or a critical alert fires.  Amber: something does not answer, or a warning
fires.  A store that hangs is told by the clock, since it says nothing itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from time import monotonic

Part = Mapping[str, object]

ANSWER_S = 2.0  # for the store to answer; the page asks every two seconds, so amber takes four
SENDING_S = 3.0  # for a batch to be accepted, after which its receiver counts as hanging
DOWN_S = 30.0  # of silence, after which a part does not hang but is down


class Health(StrEnum):
    """How Taximeter is, as a colour."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


def verdict(parts: Mapping[str, Part], severities: Iterable[str]) -> tuple[bool, Health]:
    """(whether it is not red, the colour); `severities` are those of firing alerts.

    `silent_s` of a part is for how long it has not answered.
    """
    severe = set(severities)
    broken = [part for part in parts.values() if not part.get("ok")]
    hanging = [part for part in broken if 0 < _silent_s(part) < DOWN_S]
    if "critical" in severe or len(hanging) < len(broken):
        return False, Health.RED
    if hanging or severe:
        return True, Health.AMBER
    return True, Health.GREEN


def _silent_s(part: Part) -> float:
    silent_s = part.get("silent_s")
    return silent_s if isinstance(silent_s, int | float) else 0.0


def sending(part: Part) -> Part:
    """An exporter's part, as hanging if its newest batch has been under way for too long."""
    sending_s = part.get("sending_s")
    if not part.get("ok") or not isinstance(sending_s, int | float) or sending_s < SENDING_S:
        return part
    return {**part, "ok": False, "silent_s": sending_s, "error": f"no answer for {sending_s:.0f} s"}


class Asked:
    """Something that may hang: one question at a time, and what the last answer was.

    `ask` never raises.  Callers that come while a question is open wait for the same answer.
    """

    def __init__(self, ask: Callable[[], Awaitable[Part]]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[Part] | None = None
        self._began = 0.0
        self._last: Part = {}
        self._as_of = datetime.now(UTC)

    async def part(self) -> Part:
        """The answer; or after `ANSWER_S` the last one, as not ok, with how old it is."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
            self._began = monotonic()
        asking, left_s = self._asking, self._began + ANSWER_S - monotonic()
        await asyncio.wait({asking}, timeout=max(0.0, left_s))
        if asking.done():
            if self._asking is asking:
                self._asking = None
            self._last, self._as_of = asking.result(), datetime.now(UTC)
            return {**self._last, "as_of": _text(self._as_of)}
        silent_s = round(monotonic() - self._began, 1)
        told = {"ok": False, "error": f"no answer for {silent_s:.0f} s", "silent_s": silent_s}
        return {**self._last, **told, "as_of": _text(self._as_of)}


class Looking:
    """Makes the document of `/api/health`: `ok`, `health`, `as_of` and `parts`.

    `status` gives the parts of this process, `firing` the alerts' severities.
    """

    def __init__(
        self,
        store: Callable[[], Awaitable[Part]],
        status: Callable[[], Mapping[str, Part]],
        firing: Callable[[], Iterable[str]],
    ) -> None:
        self._store = Asked(store)
        self._status = status
        self._firing = firing

    async def look(self) -> dict[str, object]:
        """The document; everything in it was known at `as_of`, a time in UTC."""
        store = await self._store.part()
        own = {name: sending(part) for name, part in self._status().items()}
        parts = {"store": store, **own}
        ok, health = verdict(parts, self._firing())
        return {"ok": ok, "health": health, "as_of": store["as_of"], "parts": parts}


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
