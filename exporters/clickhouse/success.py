"""Whether calls succeeded: what somebody said about them, else what can be seen from outside.

The closest word counts: feedback about the call, then about its request, trace or session, then the
caller's tag `success`.  A session that succeeded does not mend a call of it that failed: only calls
that ended well succeeded with it.  Without a word, a call that ended well counts as a success.
"""

from exporters.clickhouse.feedback import OF_CALLS
from exporters.clickhouse.ids_sql import OWN_TRACE
from exporters.feedback import CALL, TRACE
from exporters.finishes import BROKEN, CUT, REFUSED

DEFINITION = (
    "outcome ok, and the model neither refused nor stopped at a token limit or by a fault; feedback"
    " about a call and its tag success count instead"
)
TAG = "success"
FOUND = "SELECT 1 FROM feedback_verdicts LIMIT 1"


# A call with several choices has a reason for each, with commas.  An expression over one column of
# few values is computed once for each value, not for each row.
def _stopped_by(reasons: tuple[str, ...]) -> str:
    return f"match(lower(t.finish_reason), '(^|,)({'|'.join(reasons)})(,|$)')"


ENDED_WELL = f"(t.outcome = 'ok' AND NOT {_stopped_by((*CUT, *REFUSED, *BROKEN))})"
# A refusal that is in a field of its own, beside a usual reason for stopping.
_NOT_REFUSED = " AND ".join(
    f"t.attributes['response.{name}'] = ''"
    for name in ("refusal", "content_filter", "block_reason")
)
_SUCCEEDED = f"({ENDED_WELL} AND {_NOT_REFUSED})"
REFUSES = f"(t.outcome = 'ok' AND ({_stopped_by(REFUSED)} OR NOT ({_NOT_REFUSED})))"
_YES, _NO, _WELL, _NOTHING = 1, 0, 2, 3  # of a verdict; _WELL: if the call ended well


def columns(*, feedback: bool) -> dict[str, str]:
    """SQL of `successes` and of `judged_calls`, those somebody said something about.

    Over rows of `calls` as `t`; without `feedback` the table is not read.
    """
    one = of_a_call(feedback=feedback)
    return {
        "successes": f"countIf({one['success']})",
        "judged_calls": f"countIf({one['judged']})",
    }


def of_a_call(*, feedback: bool) -> dict[str, str]:
    """The same of a single row: whether it succeeded, and whether somebody said so or not."""
    verdict = _verdict(feedback=feedback)
    return {
        "success": f"({verdict} = {_YES} OR ({verdict} >= {_WELL} AND {_SUCCEEDED}))",
        "judged": f"({verdict} != {_NOTHING})",
    }


def _verdict(*, feedback: bool) -> str:
    branches = []
    for about, column in OF_CALLS.items() if feedback else ():
        yes = _YES if about == CALL else _WELL
        branches += [f"{_said(about, column, 1)}, {yes}", f"{_said(about, column, 0)}, {_NO}"]
    tag = f"lower(t.tags['{TAG}'])"
    branches += [f"{tag} IN ('true', '1'), {_YES}", f"{tag} IN ('false', '0'), {_NO}"]
    return f"multiIf({', '.join(branches)}, {_NOTHING})"


def _said(about: str, column: str, success: int) -> str:
    """Whether the newest word about what a call is part of is this one; GLOBAL is for clusters."""
    target = "toUUIDOrZero(v.target)" if about == CALL else "v.target"
    named = (
        f"GLOBAL IN (SELECT {target} FROM feedback_verdicts AS v"
        f" WHERE v.about = '{about}' AND v.success = {success})"
    )
    if about != TRACE:
        return f"t.{column} {named}"
    # Most rows leave their trace out, and it takes as long to make as three columns to read.
    any_trace = f"(SELECT count() FROM feedback_verdicts AS v WHERE v.about = '{about}') > 0"
    own = f"{any_trace} AND empty(t.trace_id) AND {OWN_TRACE} {named}"
    return f"(t.{column} {named} OR ({own}))"
