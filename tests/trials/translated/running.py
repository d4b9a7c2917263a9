"""Runs one client with one provider, and checks what it got and what the rows say."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.standin.processes import Row, Serving
from proxy.door.callers import hashed
from trials.clients.running import ClientReady, RunError, environment, output
from trials.translated.listed import CLAUDE_CODE, CLIENTS, MODELS, OWNERS, Client

KEY = "sk-standin-translated"
TOOL = {"city": "Paris", "unit": "celsius"}  # what the stand-in calls a tool with
SHAPE = {"city": "Paris", "people": 1}  # and what it makes of the schema
KINDS = {"to": "", "limited": "@status=429,retry-after-s=1", "wrong": "@status=400"}
KINDS |= {"broken": "@error-after=9,output-tokens=30"}  # after some of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was found of one client with one provider; `wrong` is empty if all is well."""

    client: Client
    provider: str
    version: str = ""
    calls: int = 0
    wrong: Mapping[str, str] = field(default_factory=dict)  # what → how
    skipped: str = ""


def feature(client: Client, provider: str) -> str:
    """The tag of all calls of one run."""
    words = f"{client.name} {client.api} {provider}".lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def token(named: str) -> str:
    return f"tmt_{named:t<43}"


def settings() -> str:
    """A caller with a token for each run, so that its rows are known; the routes and their keys."""
    made = [
        f'[gateway.keys.{name}]\nprovider = "{OWNERS.get(name, name)}"\nvalue = "env:GATEWAY_KEY"'
        for name in MODELS
    ]
    for provider, model in MODELS.items():
        for kind, suffix in KINDS.items():
            made.append(_route(f"{kind}-{provider}", provider, model + suffix))
            if provider == "pro":
                made.append(f'[gateway.models."openai/{model + suffix}"]\nresponses_only = true')
        made.append(_route(f"lossy-{provider}", provider, model, CLAUDE_CODE))
    for client in CLIENTS:
        for provider in client.providers:
            named = feature(client, provider)
            made.append(
                f'[gateway.callers.{named}]\ntoken_hash = "{hashed(token(named))}"\n'
                f'tags = {{ feature = "{named}" }}'
            )
    return "\n".join(made) + "\n"


def _route(name: str, provider: str, model: str, drop: Sequence[str] = ()) -> str:
    """A rate limit is waited for half a second."""
    deadline_s = 0.5 if name.startswith("limited") else 30
    owner = OWNERS.get(provider, provider)
    candidate = f'{{ provider = "{owner}", model = "{model}" }}'
    lines = [f"[gateway.routes.{name}]", f"deadline_s = {deadline_s}"]
    return "\n".join([*lines, f"candidates = [{candidate}]", f"drop = {json.dumps(list(drop))}"])


def run(client: Client, provider: str, ready: ClientReady, served: Serving) -> Result:
    """The findings."""
    named = feature(client, provider)
    arguments = (f"{served.proxy_url}/gateway", token(named), provider, client.word)
    try:
        said = output(client.script, ready, arguments, environment({}, ""))
    except RunError as failure:
        said, wrong = {}, {"run": str(failure)}
    else:
        wrong = dict(_wrong(client, said if isinstance(said, dict) else {}))
    least = len(client.shown) + len(client.errors)
    rows = served.calls_when(least, 5.0, feature=named)
    if not wrong.get("run"):
        wrong |= dict(_mismeasured(provider, rows))
    return Result(
        client=client, provider=provider, version=ready.version, calls=len(rows), wrong=wrong
    )


def _wrong(client: Client, said: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    expected = {"tool": TOOL, "shape": SHAPE}
    for what in client.shown:
        found = said.get(what)
        right = found == expected[what] if what in expected else bool(found)
        if not right:
            yield what, repr(found)
    raised = said.get("errors")
    named = raised if isinstance(raised, list) else []
    known = zip(client.errors, named, strict=False)
    if len(named) < len(client.errors) or any(one not in of.split("|") for of, one in known):
        yield "errors", repr(raised)


def _mismeasured(provider: str, rows: list[Row]) -> Iterator[tuple[str, str]]:
    """Each row is the provider's, and priced exactly where it answered."""
    if not rows:
        yield "rows", "none"
    for row in rows:
        if (row["provider"], row["translated"]) != (OWNERS.get(provider, provider), True):
            yield "rows", f"{row['provider']}, translated: {row['translated']}"
        if row["outcome"] == "ok" and row["cost_status"] != "exact":
            yield "rows", f"{row['cost_status']}: {row['reasons']}"
