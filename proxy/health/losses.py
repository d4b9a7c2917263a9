"""Our own losses: counters that should not grow, each with what to do if it does.  Pure."""

from dataclasses import dataclass

from exporters.notify.alert import Severity

_DISK = (
    "Check the disk of the data directory: it may be full, read-only or over quota.  Rows and "
    "small calls are held in memory meanwhile, up to 8 MiB per process."
)
FULL = {
    "calls": "frames are dropped",
    "records": "calls wait to be metered",
    "contents": "content is dropped and rows are kept",
}
ROOM = (
    "Give the journal room: free disk space, raise journal.total_bytes_max, or fix the exporter "
    "that accepts no rows (see /api/health)."
)
CONTENT_ROOM = "Raise content.journal_bytes_max, or fix the store (see its error in /api/health)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A counter that should not grow.  Its alert fires while it does.

    `key` is its path in the status of the meter, or of each exporter.  `lasting` counters survive a
    restart, the others start at 0.
    """

    name: str
    severity: Severity
    key: tuple[str, ...]
    summary: str  # {count}: growth since the alert started, {part}: the component's name
    action: str
    journal: str = ""  # label that distinguishes two losses of one name
    of_exporters: bool = False
    lasting: bool = True


LOSSES = (
    Loss(
        name="frames_dropped",
        severity="critical",
        key=("journal", "frames_dropped"),
        summary="{count:,} journal frames were dropped; usage and price of their calls are lost.",
        action=ROOM,
    ),
    Loss(
        name="calls_lost",
        severity="critical",
        key=("journal", "calls_lost"),
        summary="{count:,} calls will have no row: the journal could not record them.",
        action=ROOM,
    ),
    Loss(
        name="rows_set_aside",
        severity="critical",
        key=("set_aside",),
        summary="{part} permanently rejected {count:,} rows.",
        action="Find them with their reasons in state/{part}.aside.jsonl in the data directory.",
        of_exporters=True,
    ),
    Loss(
        name="content_dropped",
        severity="critical",
        key=("dropped",),
        summary="Content of {count:,} calls was dropped (journal full); their rows were kept.",
        action=CONTENT_ROOM,
        of_exporters=True,
        lasting=False,
    ),
    Loss(
        name="frames_unreadable",
        severity="critical",
        key=("failed",),
        summary="{count:,} journal frames could not be read; their calls are incomplete.",
        action="This is a bug in Taximeter.  Please report the log lines about these frames.",
        lasting=False,
    ),
    Loss(
        name="journal_damaged",
        severity="critical",
        key=("damaged_bytes",),
        summary="{count:,} bytes at the ends of journal files were damaged and skipped.",
        action="Check whether a process was killed, the power failed or the disk is failing.",
        lasting=False,
    ),
    Loss(
        name="journal_write_errors",
        severity="warning",
        key=("journal", "write_errors"),
        summary="{count:,} journal writes of calls failed.",
        action=_DISK,
        journal="calls",
    ),
    Loss(
        name="journal_write_errors",
        severity="warning",
        key=("write_errors",),
        summary="{count:,} journal writes of records failed; calls are waiting to be metered.",
        action=_DISK,
        journal="records",
        lasting=False,
    ),
    Loss(
        name="budgets_unreadable",
        severity="critical",
        key=("unreadable",),
        summary="{count:,} calls were made or refused unchecked: their budgets could not be read.",
        action="See budgets in /api/health.  Until then each budget does as its `fail` says.",
        of_exporters=True,
    ),
)
