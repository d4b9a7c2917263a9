"""The gateway's door for embeddings: callers of OpenAI and Gemini, at each other's and Cohere's."""

import json
from pathlib import Path
from typing import Any

from support.gateway_bench import KEYS, Script, answer, asking, door, options

EMBEDDINGS = "/gateway/v1/embeddings"
BATCH = "/gateway/v1beta/models/r:batchEmbedContents"
SINGLE = "/gateway/v1beta/models/r:embedContent"


async def test_embeddings_at_gemini(tmp_path: Path) -> None:
    """One batch for all texts; a vector too few is no answer, and may have been billed."""
    vectors = {"embeddings": [{"values": [0.5, 1]}, {"values": [2, 0.25]}]}
    few = {"embeddings": [{"values": [0.5, 1]}]}
    script = Script({"e": [answer(200, vectors), answer(200, few)]})
    body = {"model": "r", "input": ["time", "people"]}
    async with door(tmp_path, script, options(tmp_path, "gemini/e")) as b:
        found = await b.send(asking(body, path=EMBEDDINGS))
        none = await b.send(asking(body, path=EMBEDDINGS))
    assert script.seen[0].line == b"POST /v1beta/models/e:batchEmbedContents HTTP/1.1"
    data = json.loads(found.body)["data"]
    assert [one["embedding"] for one in data] == [[0.5, 1], [2, 0.25]]
    assert found.header(b"x-taximeter-losses") == [b"usage"]
    assert none.line == b"HTTP/1.1 504 Gateway Timeout"


async def test_embeddings_at_cohere(tmp_path: Path) -> None:
    """It must know what a vector is for; without that, the caller is told its name."""
    vectors = {
        "embeddings": {"float": [[0.5, 1]]},
        "meta": {"billed_units": {"input_tokens": 3}},
    }
    script = Script({"e": [answer(200, vectors)]})
    body = {"model": "r", "input": "time", "input_type": "search_query"}
    async with door(tmp_path, script, options(tmp_path, "cohere/e")) as b:
        found = await b.send(asking(body, path=EMBEDDINGS))
        none = await b.send(asking({"model": "r", "input": "time"}, path=EMBEDDINGS))
        (begun,) = b.journal.begun
    (seen,) = script.seen
    assert seen.line == b"POST /v2/embed HTTP/1.1"
    assert seen.header(b"authorization") == [b"Bearer " + KEYS["one"].encode()]
    assert begun.gateway is not None
    assert begun.gateway.translated
    document = json.loads(found.body)
    assert document["data"][0]["embedding"] == [0.5, 1]
    assert document["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert none.line.split()[1] == b"400"
    assert b"it cannot carry input_type (Cohere must be told" in none.body


async def test_geminis_callers_at_openai(tmp_path: Path) -> None:
    """A batch and a single one, each answered in its own form."""
    data = [{"index": 1, "embedding": [2, 0.25]}, {"index": 0, "embedding": [0.5, 1]}]
    both = {"data": data, "usage": {"prompt_tokens": 3}}
    script = Script({"e": [answer(200, both), answer(200, both | {"data": data[1:]})]})
    contents: Any = [{"content": {"parts": [{"text": one}]}} for one in ("time", "people")]
    async with door(tmp_path, script, options(tmp_path, "e")) as b:
        batch = await b.send(asking({"requests": contents}, path=BATCH))
        single = await b.send(asking(contents[0], path=SINGLE))
    assert [one.line for one in script.seen] == [b"POST /v1/embeddings HTTP/1.1"] * 2
    assert json.loads(script.seen[0].body) == {"model": "e", "input": ["time", "people"]}
    assert json.loads(batch.body) == {
        "embeddings": [{"values": [0.5, 1]}, {"values": [2, 0.25]}],
        "usageMetadata": {"promptTokenCount": 3},
    }
    assert json.loads(single.body)["embedding"] == {"values": [0.5, 1]}


async def test_geminis_callers_at_gemini(tmp_path: Path) -> None:
    """Their bytes, but for the model, which each request of a batch names again."""
    script = Script({"e": [answer(200, {"embeddings": []})]})
    one = {"model": "models/r", "content": {"parts": [{"text": "time"}]}, "title": "own"}
    async with door(tmp_path, script, options(tmp_path, "gemini/e")) as b:
        await b.send(asking({"requests": [one]}, path=BATCH))
    assert script.seen[0].line == b"POST /v1beta/models/e:batchEmbedContents HTTP/1.1"
    assert json.loads(script.seen[0].body) == {"requests": [one | {"model": "models/e"}]}


async def test_errors_are_geminis(tmp_path: Path) -> None:
    """A provider's, and ours."""
    wrong = answer(422, {"message": "invalid texts"})
    script = Script({"e": [wrong]})
    body = {"content": {"parts": [{"text": "time"}]}, "taskType": "RETRIEVAL_QUERY"}
    async with door(tmp_path, script, options(tmp_path, "cohere/e")) as b:
        theirs = await b.send(asking(body, path=SINGLE))
    async with door(tmp_path, script, options(tmp_path, "e")) as b:
        ours = await b.send(asking(body, path=SINGLE))
    async with door(tmp_path, script, options(tmp_path, "dead/e")) as b:
        unreached = await b.send(asking({"content": body["content"]}, path=SINGLE))
    assert json.loads(theirs.body)["error"]["message"] == "invalid texts"
    assert b"taskType" in ours.body
    for one in (theirs, ours, unreached):
        assert json.loads(one.body)["error"]["status"]
