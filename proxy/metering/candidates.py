"""Measures the gateway's candidates from new rows, and tells the relays every few seconds."""

import asyncio
import logging
from time import time

import msgspec

from exporters.record import Record
from proxy.gateway.measured import Measured, Sample
from proxy.journal.disk import write_atomically
from proxy.metering.attempts import OURS, what_of
from proxy.settings.places import Places

log = logging.getLogger(__name__)

PUBLISH_S = 5.0


class Candidates:
    """One for a meter."""

    def __init__(self, places: Places) -> None:
        self._path = places.gateway_live
        self._measured = Measured()
        self._told = False  # whether the file says anything
        self._complaint = ""

    def observe(self, record: Record) -> None:
        """Take a new record.  Those of calls that ended long ago are not of now."""
        if not record.candidate or record.outcome in OURS:
            return
        ended_at = (record.ts_us + record.duration_us) / 1e6
        first_us = record.first_token_us if record.stream else None
        sample = Sample(
            at=min(ended_at, time()),
            end=what_of(record),
            first_token_s=None if first_us is None else first_us / 1e6,
            total_s=record.duration_us / 1e6,
        )
        self._measured.add(record.candidate, record.input_tokens_total, sample)

    async def run(self) -> None:
        """Publish what is measured, while there is any."""
        while True:
            await asyncio.sleep(PUBLISH_S)
            found = self._measured.published(time())
            if not found.figures and not self._told:
                continue
            try:
                await asyncio.to_thread(write_atomically, self._path, msgspec.json.encode(found))
            except OSError as error:
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    log.error("Cannot tell the relays how candidates do: %s.", error)
            else:
                self._told = bool(found.figures)
