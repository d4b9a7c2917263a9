"""What the record of a gateway's attempt says of it: its class, and whether its call ended with it.

The relay decides after an attempt has ended, so no frame of the attempt says whether another one
follows.  Where its end alone does not rule that out, the relay notes that it gave the call up.
"""

from exporters.record import Record
from pricing.reason import Reason
from proxy.exchange import Outcome
from proxy.gateway.chain import closes
from proxy.gateway.failures import DEADLINE, FAILED_OVER, Fault, What, what

# Ends that are the caller's or ours, and no word about the candidate.
OURS = (Outcome.CLIENT_GONE, Outcome.INTERRUPTED, Outcome.REFUSED)


def what_of(record: Record) -> What:
    """The class of an attempt, as the relay saw it."""
    if record.outcome == Outcome.OK:
        return What.ANSWERED
    if record.outcome in (Outcome.HTTP_ERROR, Outcome.STREAM_ERROR):
        fault = Fault(
            status=record.http_status,
            code=record.error_type,
            message=record.error_message,
            has_usage=Reason.ERROR_WITH_USAGE.text in record.reasons,
        )
        return what(fault)
    return what(Fault(sent=record.outcome != Outcome.UNREACHABLE))


def fault_of(record: Record) -> str:
    """The class of an attempt's failure; "" if it has none, or none that it is known by: it ended
    for the caller's sake, or for ours."""
    if record.outcome in OURS:
        return ""
    found = what_of(record)
    return "" if found is What.ANSWERED else found.value


def ends_call(record: Record, *, retry_ambiguous: bool) -> bool:
    """Whether its client call ended with this: the attempt that is certainly the last, or what the
    relay notes when it gives a call up after limits or outages, as others could have followed.
    """
    if record.error_type == FAILED_OVER:
        return False
    if record.outcome in OURS or record.error_type == DEADLINE:
        return True
    return closes(what_of(record), record.attempt, retry_ambiguous=retry_ambiguous)
