"""litellm and any-llm as oracles: what they ask providers, and what they make of the answers.

`make oracles` has them look, in an environment of their own: any-llm wants an Anthropic SDK from
before ours, and litellm takes 200 MB and seconds to import.  Every difference has its reason in
`EXPLAINED`, and every reason its difference, so a release of theirs that finds another one shows.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from proxy.gateway.answers import decoded
from proxy.gateway.translation import answers, requests
from proxy.gateway.translation.answers import Between, Stream
from proxy.gateway.translation.framing import Events
from proxy.gateway.translation.losses import Refused
from support.documents import ROOT
from support.recorded import ANSWERS, MODELS, REQUESTS
from support.recorded_streams import STREAMS
from support.translation import target

pytestmark = pytest.mark.slow
PYTHON = ROOT / ".venv-oracles" / "bin" / "python"
LIBRARIES = {"litellm": ("anthropic", "gemini", "responses"), "any-llm": ("anthropic", "gemini")}
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
NAMES = re.compile(r"_([a-z])")
# Library, API and difference, each with `*` for any text → why ours is right as it is.
EXPLAINED: Mapping[tuple[str, str, str], str] = {
    ("*", "*", "*.title: ours"): "names of files and schemas are kept where they can be",
    ("litellm", "anthropic", "tools.type: theirs"): "`custom` is what a tool is without a type",
    ("litellm", "anthropic", "output_config.format.*: ours"): "the form of answers, by its name",
    ("litellm", "anthropic", "output_format.*: theirs"): "and by the name that it had as a beta",
    ("*", "anthropic", "thinking.*: theirs"): (
        "effort is Claude's own setting, of all that it writes; thinking is not turned on by it, "
        "since nobody asked for it, and temperature and forced tools could not be had with it"
    ),
    ("litellm", "anthropic", "reasoning: differs"): (
        "Claude does not say how many tokens were thoughts; litellm counts the text itself"
    ),
    ("*", "gemini", "contents.parts.functionResponse.response.*"): (
        "a result's text is an object's value, whose key is free: Google's documents say `output`"
    ),
    ("litellm", "gemini", "contents.parts.thoughtSignature: differs"): (
        "litellm encodes the word for `no signature` once more; Google's documents do not"
    ),
    ("*", "gemini", "generationConfig.thinkingConfig.includeThoughts: theirs"): (
        "thoughts are shown to those who ask for them"
    ),
    ("any-llm", "gemini", "generationConfig.thinkingConfig.thinkingLevel: differs"): (
        "Gemini reads LOW and low"
    ),
    ("*", "gemini", "tools.functionDeclarations.parameters.*: theirs"): (
        "Gemini's own kind of schema, which lacks additionalProperties and has other words"
    ),
    ("*", "gemini", "tools.functionDeclarations.parametersJsonSchema.*: ours"): (
        "the same schema as JSON schema, whole"
    ),
    ("any-llm", "gemini", "systemInstruction.role: theirs"): "its role means nothing",
    ("litellm", "gemini", "parallel_tool_calls: refused"): (
        "Gemini cannot be kept from calling two tools at once; litellm leaves the wish out"
    ),
    ("*", "gemini", "ids: differs"): "Gemini gave its calls no ids, so each makes up its own",
    ("litellm", "gemini", "cached: differs"): "litellm forgets parts of the usage of a refusal",
    ("litellm", "gemini", "completion: differs"): "likewise, which were billed",
    ("litellm", "gemini", "reasoning: differs"): "likewise",
    ("any-llm", "*", "refusal: differs"): "its own words, which no model said",
    ("litellm", "responses", "store: ours"): "chat completions store nothing, Responses would",
    ("litellm", "responses", "include: ours"): "thoughts come back, for the next turn",
    ("litellm", "responses", "input.content.detail: theirs"): "`auto` is what it is unsaid",
    ("litellm", "responses", "tools.strict: differs"): (
        "null there leaves it to OpenAI, which then makes what schemas it can strict; chat does not"
    ),
    ("litellm", "responses", "cooler: refused by them"): (
        "litellm lists which models take a temperature; here the provider says so itself"
    ),
}


@pytest.fixture(scope="module")
def found() -> Mapping[tuple[str, str, str, str], Any]:
    """What the oracles did: by library, API, kind of case and its name."""
    if not PYTHON.exists():
        pytest.skip("litellm and any-llm have an environment of their own; run: make oracles")
    cases = {key: case for key, case in _cases()}
    script = ROOT / "tests" / "trials" / "oracles" / "asking.py"
    ran = subprocess.run(
        [PYTHON, script],
        check=False,
        input=json.dumps([*cases.values()]),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return dict(zip(cases, json.loads(ran.stdout), strict=True))


def _cases() -> Iterator[tuple[tuple[str, str, str, str], dict[str, Any]]]:
    plain = REQUESTS["plain"]
    for library, apis in LIBRARIES.items():
        for api in apis:
            asked = {"library": library, "api": api, "model": MODELS[api]}
            whole = json.dumps(ANSWERS[api]["text"])
            for name, body in REQUESTS.items():
                yield (library, api, "asked", name), asked | {"body": body, "answer": whole}
            for name, document in ANSWERS[api].items():
                case = {"body": plain, "answer": json.dumps(document)}
                yield (library, api, "answered", name), asked | case
            case = {"body": plain | STREAMED, "answer": STREAMS[api]}
            yield (library, api, "streamed", "stream"), asked | case


# -- what was asked, in one spelling ------------------------------------------------------------


def camel(value: Any) -> Any:
    """Gemini reads both spellings of a name."""
    if isinstance(value, dict):
        return {NAMES.sub(lambda m: m[1].upper(), key): camel(one) for key, one in value.items()}
    return [camel(one) for one in value] if isinstance(value, list) else value


def listed(said: Any, kind: str) -> Any:
    """A text alone means a list of one."""
    return [{"type": kind, "text": said}] if isinstance(said, str) else said


def spelled(api: str, body: Any) -> Any:
    """A request in one of several ways to write the same."""
    if api == "gemini":
        return camel(body)
    if api == "anthropic":
        system = {"system": listed(body["system"], "text")} if "system" in body else {}
        turns = [one | {"content": listed(one["content"], "text")} for one in body["messages"]]
        return body | system | {"messages": turns}
    items = []
    for one in body["input"]:
        key = "output" if "output" in one else "content"
        more = {key: listed(one[key], "input_text")} if key in one else {}
        items.append({"type": "message"} | one | more)
    return body | {"input": items}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value, by its place."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, f"{path}[]")
    else:
        yield path, value


def differences(ours: Any, theirs: Any) -> Iterator[str]:
    """By their places: what only one side has, or has otherwise."""
    sides: list[dict[str, list[Any]]] = []
    for side in (ours, theirs):
        grouped: dict[str, list[Any]] = {}
        for path, value in leaves(side):
            grouped.setdefault(path, []).append(value)
        sides.append(grouped)
    for path in sorted(sides[0].keys() | sides[1].keys()):
        mine, other = (side.get(path) for side in sides)
        if mine != other:
            kind = "ours" if other is None else "theirs" if mine is None else "differs"
            yield f"{path.replace('[]', '')}: {kind}"


def asked(api: str, name: str, result: Any) -> Iterator[str]:
    """What differs in a request; or that one of both refuses it."""
    body = {"model": "r", **REQUESTS[name]}
    try:
        made = requests.translate("openai", body, target(api, MODELS[api]), stream=False)
    except Refused as refused:
        if result["sent"] is not None:
            yield f"{refused}: refused"
        return
    if result["sent"] is None:
        yield f"{name}: refused by them"
        return
    yield from differences(spelled(api, json.loads(made.body)), spelled(api, result["sent"]))


# -- what was answered --------------------------------------------------------------------------


def summary(message: Any, finish: str, usage: Any) -> Any:
    """What an answer says, by names that all three have."""
    of_prompt = usage.get("prompt_tokens_details") or {}
    of_answer = usage.get("completion_tokens_details") or {}
    calls = message.get("tool_calls") or []
    return {
        "content": message.get("content") or "",
        "refusal": message.get("refusal") or "",
        "thoughts": message.get("reasoning_content") or message.get("reasoning") or "",
        "names": [one["function"]["name"] for one in calls],
        "arguments": [json.loads(one["function"]["arguments"]) for one in calls],
        "ids": [one["id"] for one in calls],
        "finish": finish,
        "prompt": usage.get("prompt_tokens"),
        "completion": usage.get("completion_tokens"),
        "total": usage.get("total_tokens"),
        "cached": of_prompt.get("cached_tokens") or 0,
        "cache_written": of_prompt.get("cache_write_tokens") or 0,
        "reasoning": of_answer.get("reasoning_tokens") or 0,
    }


def whole(document: Any) -> Any:
    choice = document["choices"][0]
    return summary(choice["message"], choice["finish_reason"], document["usage"])


def gathered(chunks: list[Any]) -> Any:
    """As a client would."""
    message: dict[str, Any] = {"tool_calls": []}
    usage: dict[str, Any] = {}
    finish = ""
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice.get("finish_reason") or finish
            for key in ("content", "reasoning_content", "reasoning"):
                if said := choice["delta"].get(key):
                    said = said.get("content") if isinstance(said, dict) else said
                    message[key] = message.get(key, "") + said
            for call in choice["delta"].get("tool_calls") or []:
                _add_call(message["tool_calls"], call)
    return summary(message, finish, usage)


def _add_call(calls: list[Any], piece: Any) -> None:
    if piece.get("id") and piece["id"] not in [one["id"] for one in calls]:
        function = {"name": piece["function"]["name"], "arguments": ""}
        calls.append({"id": piece["id"], "function": function})
    calls[-1]["function"]["arguments"] += piece["function"].get("arguments") or ""


def answered(api: str, name: str, result: Any) -> Iterator[str]:
    """What differs in an answer; or that they gave none."""
    between = Between(caller="openai", provider=api)
    if result["said"] is None:
        yield f"{name}: no answer of theirs"
    elif name == "stream":
        stream = Stream(between)
        body = stream.feed(STREAMS[api].encode()) + stream.close()
        chunks = [one for data in Events().feed(body) if (one := decoded(data))]
        yield from differences(gathered([*chunks]), gathered(result["said"]))
    else:
        made, _ = answers.whole(json.dumps(ANSWERS[api][name]).encode(), between)
        yield from differences(whole(json.loads(made)), whole(result["said"]))


def test_every_difference_has_its_reason(found: Mapping[tuple[str, ...], Any]) -> None:
    """And every reason is one of a difference."""
    answers_of_theirs = [one for one in found.values() if one["said"] is not None]
    assert len(answers_of_theirs) > 0.9 * len(found)
    seen: set[tuple[str, str, str]] = set()
    unexplained = []
    for (library, api, kind, name), result in found.items():
        compare = asked if kind == "asked" else answered
        for difference in compare(api, name, result):
            where = library, api, difference
            reasons = [key for key in EXPLAINED if all(map(fnmatchcase, where, key))]
            seen |= set(reasons)
            if not reasons:
                unexplained.append((*where, kind, name, result["error"][:99]))
    assert unexplained == []
    assert seen == EXPLAINED.keys()
