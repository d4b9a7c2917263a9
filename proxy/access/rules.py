"""Which role each route of the console needs: one table.  A route that is not in it is refused.

`is_open` routes also serve a console that requires no token; a write then still needs the token of
the page.  The others need a token of that role, or a command of the same user.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.access.roles import Caller, Role, Way

READERS = frozenset(Role)
AUDITORS = frozenset({Role.AUDITOR, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
STATIC = "/static/"  # every file of the page
READING = ("GET", "HEAD")
_NO_TOKEN = "this requires a token: set console.token, or use taximeter access add"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use a route."""

    roles: frozenset[Role]
    is_open: bool = False
    commands_only: bool = False  # it opens paths of this machine, or speaks for its user

    def refusal(self, caller: Caller) -> str:
        """Why `caller` may not use the route; "" if it may."""
        if self.commands_only and caller.way is not Way.COMMAND:
            return "only commands of the user who runs Taximeter may do this"
        if caller.way is Way.OPEN:
            return "" if self.is_open else _NO_TOKEN
        if caller.role in self.roles:
            return ""
        needed = " or ".join(role for role in Role if role in self.roles)
        return f"this requires the role {needed}; this token has the role {caller.role}"


_READ = Rule(READERS, is_open=True)
_WRITE = Rule(ADMINS, is_open=True)
_MONEY = Rule(frozenset({Role.FINANCE, Role.ADMIN}), is_open=True)
_COMMAND = Rule(ADMINS, commands_only=True)

# (method, path as it was registered) → rule; HEAD is as GET.
RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", "/"): _READ,
    ("GET", "/dashboards"): _READ,
    ("GET", "/dashboards/{uid}"): _READ,
    ("GET", "/budgets"): _READ,
    ("GET", "/calls"): _READ,
    ("GET", "/evaluations"): _READ,
    ("GET", STATIC): _READ,
    ("GET", "/livez"): _READ,  # asked without a token as well: proxy.probes
    ("GET", "/readyz"): _READ,
    ("GET", "/metrics"): _READ,
    ("GET", "/api/alerts"): _READ,
    ("GET", "/api/budgets"): _READ,
    ("POST", "/api/budgets"): _MONEY,
    ("PUT", "/api/budgets/{name}"): _MONEY,
    ("DELETE", "/api/budgets/{name}"): _MONEY,
    ("GET", "/api/budgets/{name}/test"): _READ,
    ("GET", "/api/budgets/{name}/history"): _READ,
    ("GET", "/api/calls"): _READ,
    ("GET", "/api/calls/{call_id}"): _READ,
    ("GET", "/api/dashboards"): _READ,
    ("GET", "/api/dashboards/{uid}"): _READ,
    ("GET", "/api/dashboards/{uid}/panels/{id}"): _READ,
    ("GET", "/api/dashboards/{uid}/variables/{name}"): _READ,
    ("GET", "/api/health"): _READ,
    ("GET", "/api/routes"): _READ,
    ("GET", "/routes"): _READ,
    ("GET", "/tariffs"): _READ,
    ("GET", "/api/prices"): _READ,
    ("PUT", "/api/prices/{name}"): _MONEY,
    ("GET", "/api/tariffs"): _READ,
    ("GET", "/api/tariffs/{provider}/{model}"): _READ,
    ("GET", "/api/refusals"): _READ,
    ("GET", "/api/counted"): _READ,
    ("GET", "/api/unpriced"): _READ,
    ("GET", "/api/session"): _READ,
    ("GET", "/api/report"): _READ,
    ("GET", "/api/spend"): _READ,
    ("GET", "/api/timeline"): _READ,
    ("GET", "/api/store/check"): _READ,
    ("POST", "/api/store/check"): _WRITE,
    ("GET", "/api/calls/{call_id}/content"): Rule(AUDITORS),
    ("POST", "/api/content/delete"): Rule(ADMINS),
    ("GET", "/api/audit"): Rule(AUDITORS),
    ("POST", "/api/audit"): _COMMAND,
    ("GET", "/api/audit/evidence"): _COMMAND,
    ("POST", "/api/audit/head"): Rule(AUDITORS),
    ("GET", "/api/audit/proof/{call_id}"): Rule(AUDITORS),
    ("GET", "/api/audit/consistency"): Rule(AUDITORS),
    ("GET", "/api/evaluations"): _READ,
    ("GET", "/api/observed"): _READ,
    ("GET", "/api/compare"): _READ,
    ("GET", "/compare"): _READ,
    ("GET", "/api/recommend"): _READ,
    ("GET", "/api/simulate"): _READ,
    ("GET", "/api/simulate/{name}"): _READ,
    ("GET", "/simulate"): _READ,
    ("GET", "/api/loadtest"): _READ,
    ("GET", "/api/loadtest/{name}"): _READ,
    ("GET", "/loadtest"): _READ,
    ("GET", "/recommend"): _READ,
    ("GET", "/api/evaluations/{run_id}"): _READ,
    ("POST", "/api/evaluations"): _COMMAND,
    ("GET", "/api/amortised"): _READ,
    ("GET", "/bill"): _READ,
    ("POST", "/api/reconcile"): _MONEY,
    ("GET", "/api/metered"): _READ,
    ("GET", "/api/export/focus"): _READ,
    ("GET", "/api/export/conversations"): Rule(AUDITORS),
    ("POST", "/api/feedback"): _MONEY,  # it moves the cost per success
    ("POST", "/api/notices"): _COMMAND,
    ("GET", "/api/access"): Rule(ADMINS),
    ("POST", "/api/access"): Rule(ADMINS),
    ("DELETE", "/api/access/{name}"): Rule(ADMINS),
    ("POST", "/api/reprice"): _COMMAND,
    ("POST", "/api/backup"): _COMMAND,
}


def rule_of(method: str, path: str) -> Rule | None:
    """The rule of a route; None for one that is not in the table."""
    method = "GET" if method == "HEAD" else method
    return RULES.get((method, STATIC if path.startswith(STATIC) else path))
