"""What people are told of a canary, as a notice.  Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from exporters.notify.notice import Fact, Notice, one_line
from proxy.gateway.canary import ROLLED_BACK, UNEVEN, WORSE, Finding, Standing

_DID = {
    ROLLED_BACK: "It was rolled back: new calls of its sessions go to the other candidates.",
    WORSE: "It still gets its share of the sessions.",
    UNEVEN: "Nothing is concluded from such a split.",
}
_DO = {
    ROLLED_BACK: "Fix or remove the candidate; a new `version` of the route begins a new canary.",
    WORSE: "Take it out of the route's split, or set rollback = true to have that done.",
    UNEVEN: "Look for what loses the calls of one arm; then set a new `version` of the route.",
}


def notice(standing: Standing, node: str, *, ended_at: datetime | None = None) -> Notice:
    """That a canary is worse, was rolled back, or has an uneven split; `ended_at`: it is gone."""
    state, name = standing.state, one_line(f"{standing.candidate} in route {standing.route}")
    began = datetime.fromtimestamp(standing.began_at, UTC)
    found = standing.ended_at or standing.began_at
    id = f"canary/{node}:{standing.route}:{began:%Y-%m-%dT%H:%M:%S.%fZ}"
    return Notice(
        id=f"{id}:{state}",
        also=(f"{id}:{WORSE}",) if state == ROLLED_BACK else (),
        kind="canary",
        name=f"canary_{state}",
        title=f"Canary {name}: {state.replace('_', ' ')}",
        text=f"Canary {name} {words(standing)}. {_DID[state]}",
        action=_DO[state],
        severity="warning",
        started_at=datetime.fromtimestamp(found, UTC),
        ended_at=ended_at,
        labels={"route": standing.route, "candidate": standing.candidate},
        facts=_facts(standing, node),
    )


def words(standing: Standing) -> str:
    """How it fares, as the end of a sentence about it."""
    if standing.state == UNEVEN:
        both = standing.canary.units + standing.others.units
        return (
            f"got {standing.canary.units:,} of {both:,} sessions instead of its share of "
            f"{standing.share:.3g}"
        )
    worse = [one for one in standing.verdict.findings if one.worse]
    if worse:
        return f"is worse than the others: {'; '.join(map(_compared, worse))}"
    return "is not known to be worse than the others"


def _compared(one: Finding) -> str:
    if one.canary is None or one.others is None:
        return one.of
    if one.of == "cost":
        return f"a success costs {one.canary:.4g} USD against {one.others:.4g} USD"
    what = {"errors": "an error", "slow": "a slow answer", "refusals": "a refusal"}[one.of]
    return f"{one.canary:.2%} of sessions had {what}, against {one.others:.2%}"


def _facts(standing: Standing, node: str) -> Mapping[str, Fact]:
    facts: dict[str, Fact] = {"node": node} if node else {}
    facts |= {
        "route": standing.route,
        "route_version": standing.version,
        "candidate": standing.candidate,
        "share": standing.share,
        "sessions": standing.canary.units,
        "sessions_of_others": standing.others.units,
        "worse": tuple(standing.verdict.worse),
    }
    for one in standing.verdict.findings:
        facts[one.of] = one.canary
        facts[f"{one.of}_of_others"] = one.others
    return facts
