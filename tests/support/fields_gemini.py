"""An example of each request field of Gemini's generateContent."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.gateway.translation.neutral import Signature
from proxy.gateway.translation.signatures import marked_64
from support.media import CLOSED, PNG, SOMETHING, Json


def _gpart(role: str = "user", **part: Any) -> Json:
    asked = {"role": "user", "parts": [{"text": "hi"}]}
    return {"contents": [asked, {"role": role, "parts": [part]}, asked]}


def _answer(**answer: Any) -> Json:
    call = {"functionCall": {"id": "g1", "name": "f", "args": {"a": 1}}}
    made = {"id": "g1", "name": "f", "response": {"output": "one"}} | answer
    return {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [call]},
            {"role": "user", "parts": [{"functionResponse": made}]},
        ]
    }


def _declared(**function: Any) -> Json:
    return {"tools": [{"functionDeclarations": [{"name": "f"} | function]}]}


def _calling(**calling: Any) -> Json:
    return _declared() | {"toolConfig": {"functionCallingConfig": calling}}


def _config(**config: Any) -> Json:
    return {"generationConfig": config}


_BLOB = {"mimeType": "image/png", "data": PNG}
_URI = {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}
_SIGNED = marked_64(Signature("anthropic", "sig"))

GEMINI: Mapping[str, Json] = {
    "contents[].role": _gpart("model", text="yes"),
    "contents[].parts[].text": _gpart(text="more"),
    "contents[].parts[].thought": _gpart(
        "model", text="hm", thought=True, thoughtSignature=_SIGNED
    ),
    "contents[].parts[].thoughtSignature": _gpart(
        "model", text="hm", thought=True, thoughtSignature=_SIGNED
    ),
    "contents[].parts[].inlineData.mimeType": _gpart(inlineData=_BLOB),
    "contents[].parts[].inlineData.data": _gpart(inlineData=_BLOB),
    "contents[].parts[].fileData.mimeType": _gpart(fileData=_URI),
    "contents[].parts[].fileData.fileUri": _gpart(fileData=_URI),
    "contents[].parts[].functionCall.id": _answer(),
    "contents[].parts[].functionCall.name": _answer(),
    "contents[].parts[].functionCall.args": _answer(),
    "contents[].parts[].functionResponse.id": _answer(),
    "contents[].parts[].functionResponse.name": _answer(),
    "contents[].parts[].functionResponse.response": _answer(response={"output": "two"}),
    "contents[].parts[].functionResponse.parts[].inlineData.*": _answer(
        parts=[{"inlineData": _BLOB}]
    ),
    "systemInstruction.parts[].text": {"systemInstruction": {"parts": [{"text": "brief"}]}},
    "tools[].functionDeclarations[].name": _declared(name="g"),
    "tools[].functionDeclarations[].description": _declared(description="does"),
    "tools[].functionDeclarations[].parameters": _declared(parameters={"type": "OBJECT"}),
    "tools[].functionDeclarations[].parametersJsonSchema": _declared(parametersJsonSchema=CLOSED),
    "toolConfig.functionCallingConfig.mode": _calling(mode="ANY"),
    "toolConfig.functionCallingConfig.allowedFunctionNames": _calling(
        mode="ANY", allowedFunctionNames=["f"]
    ),
    "generationConfig.temperature": _config(temperature=0.5),
    "generationConfig.topP": _config(topP=0.5),
    "generationConfig.topK": _config(topK=5),
    "generationConfig.maxOutputTokens": _config(maxOutputTokens=5),
    "generationConfig.stopSequences": _config(stopSequences=["X"]),
    "generationConfig.seed": _config(seed=7),
    "generationConfig.presencePenalty": _config(presencePenalty=0.5),
    "generationConfig.frequencyPenalty": _config(frequencyPenalty=0.5),
    "generationConfig.responseMimeType": _config(responseMimeType="application/json"),
    "generationConfig.responseSchema": _config(
        responseSchema=CLOSED | {"type": "OBJECT"}, responseMimeType="application/json"
    ),
    "generationConfig.responseJsonSchema": _config(
        responseJsonSchema=CLOSED, responseMimeType="application/json"
    ),
    "generationConfig.thinkingConfig.thinkingBudget": _config(
        thinkingConfig={"thinkingBudget": 2000}
    ),
    "generationConfig.thinkingConfig.thinkingLevel": _config(
        thinkingConfig={"thinkingLevel": "HIGH"}
    ),
    "generationConfig.thinkingConfig.includeThoughts": _config(
        thinkingConfig={"includeThoughts": True}
    ),
    "generationConfig.candidateCount": _config(candidateCount=2),
    "generationConfig.responseLogprobs": _config(responseLogprobs=True),
    "generationConfig.responseModalities": _config(responseModalities=["IMAGE"]),
    "generationConfig.enableEnhancedCivicAnswers": _config(enableEnhancedCivicAnswers=True),
    "serviceTier": {"serviceTier": "flex"},
    "cachedContent": {"cachedContent": "cachedContents/1"},
    "labels": {"labels": {"a": "b"}},
    "store": {"store": True},
}


def gemini(name: str) -> Json:
    """An example for a row; most of those that nobody carries are alike."""
    if name in GEMINI:
        return GEMINI[name]
    above, _, last = name.removesuffix(".*").rpartition(".")
    key, many = last.removesuffix("[]"), last.endswith("[]")
    value: Any = [SOMETHING] if many else SOMETHING
    made: dict[str, Callable[[], Json]] = {
        "contents[].parts[]": lambda: _gpart("model", **{key: value}),
        "contents[].parts[].inlineData": lambda: _gpart(inlineData=_BLOB | {key: "a"}),
        "contents[].parts[].fileData": lambda: _gpart(fileData=_URI | {key: "a"}),
        "contents[].parts[].functionCall": lambda: _gpart(
            "model", functionCall={"name": "f", key: value}
        ),
        "contents[].parts[].functionResponse": lambda: _answer(**{key: value}),
        "contents[].parts[].functionResponse.parts[]": lambda: _answer(parts=[{key: value}]),
        "tools[]": lambda: {"tools": [{key: value}]},
        "tools[].functionDeclarations[]": lambda: _declared(**{key: value}),
        "toolConfig": lambda: {"toolConfig": {key: value}},
        "toolConfig.functionCallingConfig": lambda: _calling(**{key: value}),
        "generationConfig": lambda: _config(**{key: value}),
        "": lambda: {key: value},
    }
    return made[above]()
