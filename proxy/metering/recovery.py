"""What an earlier meter finished after it last saved its progress."""

from pathlib import Path

import msgspec

from proxy.journal.follower import Follower
from proxy.metering.progress import Progress


class _Source(msgspec.Struct):
    source: str = ""


def recover(records: Path, progress: Progress) -> set[str]:
    """Note in `progress` the calls whose record the journal `records` holds.

    Returns the sources of all records that were written since then, or that may be made again.
    """
    written = set(progress.parts)
    here = (progress.records_writer, progress.records_segment)
    follower = Follower(records)
    for writer in follower.scan():
        before = None
        while before != writer.position:
            before = writer.position
            for frame in follower.poll(writer):
                if (writer.writer, writer.segment) < here:
                    continue
                source = msgspec.json.decode(frame.payload, type=_Source).source
                name, number, *item = source.split(":", 2)
                written.add(source)
                calls = progress.writer(name)
                if item:
                    progress.parts.add(source)
                else:  # the record of the call itself, which is its last
                    calls.done(int(number))
    follower.close()
    return written
