"""What calls can be grouped and filtered by: one table, for reports, the API and the documents.

A name that is in neither the table nor a tag is no dimension; nothing else of a question becomes
part of a statement.  `rolled_up` dimensions are in the hourly rollup too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporters.clickhouse import ids_sql

TAG = "tag."  # "tag.ticket" is the caller's own tag `ticket`
TAG_LENGTH_MAX = 200  # characters of its name

Bound = dict[str, object]  # values to bind in a statement, by name
Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Dimension:
    """One line of the table; `column` is the column of `calls` if it has another name."""

    name: str
    meaning: str
    kind: type[Value] = str
    column: str = ""
    rolled_up: bool = False
    values: tuple[str, ...] = ()  # the usual ones, for documents

    @property
    def stored(self) -> str:
        """The name of the column."""
        return self.column or self.name

    def expression(self, bind: Bound) -> str:
        """Its SQL over a table `t`, with one value for each call; adds to `bind` what it needs."""
        if self.name in _EXPRESSIONS:
            return _EXPRESSIONS[self.name]
        if not self.name.startswith(TAG):
            return f"t.{self.stored}"
        name = f"tag{len(bind)}"
        bind[name] = self.name.removeprefix(TAG)
        return f"t.tags[{{{name}:String}}]"

    def condition(self, values: tuple[Value, ...], bind: Bound) -> str:
        """SQL that holds for calls with one of `values`; "" is a call without a value."""
        expression, name = self.expression(bind), f"f{len(bind)}"
        bind[name] = list(values)
        if self.name == REASON:  # a call has one of several, with or without its detail
            wanted = f"has({{{name}:Array(String)}}, r) OR has({{{name}:Array(String)}}, {_NAME})"
            none = f"(empty(t.reasons) AND has({{{name}:Array(String)}}, ''))"
            return f"(arrayExists(r -> {wanted}, t.reasons) OR {none})"
        if self.name == BLOCKED_BY:
            none = f"(empty(t.blocked_by) AND has({{{name}:Array(String)}}, ''))"
            return f"(hasAny(t.blocked_by, {{{name}:Array(String)}}) OR {none})"
        wanted = f"{expression} IN {{{name}:Array({_TYPES[self.kind]})}}"
        if self.name == TRACE:  # for the index of rows that keep it, beside that of the others
            bind[f"{name}_stored"] = [*values, ""]
            return f"({wanted} AND t.trace_id IN {{{name}_stored:Array(String)}})"
        return wanted


REASON = "reason"
TRACE = "trace"
BLOCKED_BY = "blocked_by"
_NAME = "splitByChar(':', r)[1]"  # of a reason `name:detail`
_TYPES: Mapping[type[Value], str] = {str: "String", bool: "Bool", int: "Int64"}
_EXPRESSIONS = {
    "model": "if(t.response_model = '', t.request_model, t.response_model)",
    # All of them: a call that counted once for each reason would be in a sum several times.
    REASON: f"arrayStringConcat(arraySort(arrayDistinct(arrayMap(r -> {_NAME}, t.reasons))), ', ')",
    TRACE: ids_sql.TRACE,
    BLOCKED_BY: "arrayStringConcat(arraySort(t.blocked_by), ', ')",
}
_STATUS = ("exact", "estimated", "partial", "unpriced", "not_billed")

_TABLE = (
    Dimension("provider", "who bills", rolled_up=True),
    Dimension("model", "the model that answered, or the one asked for if none did", rolled_up=True),
    Dimension("request_model", "the model that was asked for", rolled_up=True),
    Dimension("response_model", "the model that answered", rolled_up=True),
    Dimension(
        "operation", "the kind of call", rolled_up=True, values=("chat", "embeddings", "rerank")
    ),
    Dimension("endpoint", "the same as the provider names it"),
    Dimension("project", "tag of the caller", rolled_up=True),
    Dimension("environment", "tag of the caller", rolled_up=True),
    Dimension("team", "tag of the caller", rolled_up=True),
    Dimension("feature", "tag of the caller", rolled_up=True),
    Dimension("user", "tag of the caller", column="user_id"),
    Dimension("session", "the conversation, as its caller names it", column="session_id"),
    Dimension("prompt_name", "tag of the caller"),
    Dimension("prompt_version", "tag of the caller"),
    Dimension("key", "fingerprint of the caller's credential", column="key_id", rolled_up=True),
    Dimension("credential_kind", "what sort of credential the caller sent"),
    Dimension("client", "the SDK or agent that made the call, `name/version`"),
    Dimension(
        "outcome",
        "how the call ended",
        values=(
            *("ok", "http_error", "stream_error", "client_gone", "upstream_cut", "unreachable"),
            *("timed_out", "interrupted"),
        ),
    ),
    Dimension("error_type", "what went wrong; empty if nothing did"),
    Dimension("http_status", "status of the response; 0 if none came", int),
    Dimension("finish_reason", "why the model stopped"),
    Dimension("cost_status", "how far to trust the cost of the call", values=_STATUS),
    Dimension("list_status", "how far to trust its list price", values=_STATUS),
    Dimension(REASON, "why its cost is not exact, or why nobody bills it; all of them together"),
    Dimension("tariff", "version of the tariff that priced it"),
    Dimension(
        "usage_origin",
        "where its usage comes from",
        values=("reported", "counted", "estimated", "none"),
    ),
    Dimension(
        "service_tier", "the tier that was served", values=("standard", "batch", "flex", "priority")
    ),
    Dimension("region", "where the provider served it, if it says so"),
    Dimension("upstream", "host and port behind the proxy"),
    Dimension("stream", "whether it was streamed", bool, values=("true", "false")),
    Dimension("attempt", "1 for a first try, more for retries by an SDK or the gateway", int),
    Dimension("socket", "call id of the socket that carried it", column="socket_id"),
    Dimension(TRACE, "id of its trace", column="trace_id"),
    Dimension("response_id", "the provider's id of its response"),
    Dimension(BLOCKED_BY, "the budgets that refused it, or would have in `shadow`; all of them"),
    Dimension("request", "the gateway's id of the client call", column="request_id"),
    Dimension("route", "the name that the gateway was asked for; empty: not through it"),
    Dimension("route_version", "the version of that route"),
    Dimension("candidate", "the `provider/model` that the gateway chose"),
    Dimension("route_reason", "why the gateway chose it"),
    Dimension(
        "sticky",
        "whether a session stayed where its prompt is cached",
        values=("new", "hit", "moved", "broken"),
    ),
    Dimension("translated", "whether the gateway translated it", bool, values=("true", "false")),
    Dimension("arm", "the `provider/model` that the route's split assigned, whoever served it"),
    Dimension("unit", "what the split assigned as one: a digest of the session, mostly"),
    Dimension("fault", "how an attempt at the gateway failed; empty if it did not"),
    Dimension("node", "the machine that metered it"),
)
DIMENSIONS: Mapping[str, Dimension] = MappingProxyType({one.name: one for one in _TABLE})
# The name of a column is understood as well.
COLUMNS: Mapping[str, Dimension] = MappingProxyType({one.stored: one for one in _TABLE})


def dimension(name: str) -> Dimension | None:
    """The dimension of that name, of that column or of that tag; None if there is none."""
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        # A name that ends with "!" would be read as a negation.
        wrong = not tag or len(tag) > TAG_LENGTH_MAX or "`" in tag or "\\" in tag or tag[-1] == "!"
        return None if wrong else Dimension(name, "a tag of the caller")
    return DIMENSIONS.get(name) or COLUMNS.get(name)


def known(name: str) -> Dimension:
    """The same.  Raises ValueError for a name that is none."""
    found = dimension(name)
    if found is None:
        raise ValueError(f"calls have no {name!r}")
    return found
