"""What the record of a gateway's attempt says of it: its class, and whether its call ended with it.

The relay decides after an attempt has ended, so no frame of the attempt says whether another one
follows.  Where its end alone rules that out, this does.
"""

from exporters.record import Record
from proxy.exchange import Outcome
from proxy.gateway.chain import ATTEMPTS_MAX
from proxy.gateway.failures import DEADLINE, FAILED_OVER, Again, Fault, What, what

# Ends that are the caller's or ours, and no word about the candidate.
OURS = (Outcome.CLIENT_GONE, Outcome.INTERRUPTED, Outcome.REFUSED)
_LEFT = (Outcome.CLIENT_GONE, Outcome.INTERRUPTED)  # nobody is there to be answered


def what_of(record: Record) -> What:
    """The class of an attempt, as the relay saw it."""
    if record.outcome == Outcome.OK:
        return What.ANSWERED
    if record.outcome in (Outcome.HTTP_ERROR, Outcome.STREAM_ERROR):
        fault = Fault(
            status=record.http_status,
            code=record.error_type,
            message=record.error_message,
            has_usage=bool(record.usage) and record.outcome == Outcome.HTTP_ERROR,
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
    """Whether this attempt is certainly the last of its client call.

    False for the last one of a chain that was given up after limits or outages, as others could
    have followed.
    """
    if record.error_type == FAILED_OVER:
        return False
    if record.outcome in _LEFT or record.error_type == DEADLINE or record.attempt >= ATTEMPTS_MAX:
        return True
    again = what_of(record).again
    return again is Again.NEVER or (again is Again.AMBIGUOUS and not retry_ambiguous)
