"""What the meter has done since it started."""

from dataclasses import dataclass


@dataclass(slots=True)
class Totals:
    """What the health check shows about the meter."""

    metered: int = 0
    interrupted: int = 0
    orphan_frames: int = 0  # the beginning of their call was never written, or is done
    audits_dropped: int = 0  # sampled calls not counted
    failed: int = 0  # calls that could not be turned into a record: a bug
