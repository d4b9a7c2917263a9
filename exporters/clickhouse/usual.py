"""The SQL that asks what a call usually counts, model by model, from the rows themselves."""

from collections.abc import Mapping
from datetime import datetime

from exporters.clickhouse.report_sql import microseconds
from exporters.clickhouse.spend import COLUMNS, Bound
from pricing.budget import ANY, TAG

QUANTILE = 0.99
CALLS_MIN = 100  # fewer say nothing about one in a hundred
MODELS_MAX = 1_000
_SERVED = "if(t.response_model != '', t.response_model, t.request_model)"
_AMOUNTS = {
    "usd": "t.cost_usd",
    "tokens": "t.input_tokens_total + t.output_tokens_total",
}
_RAW = {
    **{name: f"t.{column}" for name, column in COLUMNS.items()},
    "client": "replaceRegexpOne(t.client, '/[0-9][^/]*$', '')",
    "model": _SERVED,
}


def usual(scope: Mapping[str, str], unit: str, since: datetime) -> tuple[str, Bound]:
    """Rows of provider, the model that was asked for, and the amount that 99 % stay below."""
    bound: Bound = {"since": microseconds(since)}
    where = ["t.ts >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", "t.outcome = 'ok'"]
    for number, (name, value) in enumerate(scope.items()):
        if value != ANY:
            column = _RAW.get(name, f"t.tags[{{t{number}:String}}]")
            where.append(f"{column} = {{v{number}:String}}")
            bound[f"v{number}"] = value
            if name.startswith(TAG):
                bound[f"t{number}"] = name.removeprefix(TAG)
    amount = _AMOUNTS[unit]
    where.append(f"{amount} IS NOT NULL")
    return (
        "SELECT t.provider AS provider, t.request_model AS model,"
        f" toString(quantileExact({QUANTILE})(assumeNotNull({amount}))) AS amount FROM calls AS t"
        f" WHERE {' AND '.join(where)} GROUP BY provider, model HAVING count() >= {CALLS_MIN}"
        f" ORDER BY count() DESC LIMIT {MODELS_MAX}",
        bound,
    )
