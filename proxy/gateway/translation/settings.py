"""Settings that mean the same in several APIs, by their neutral names; and values they may have."""

from collections.abc import Mapping

from proxy.gateway.translation.losses import Malformed, Taker
from proxy.gateway.translation.neutral import Choice, Setting, Thinking

# neutral name → name in each API.  What is missing there is refused by name.
OPENAI: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
ANTHROPIC: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
}
GEMINI: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "max_tokens": "maxOutputTokens",
}
TIERS = ("flex", "priority")  # OpenAI's and Gemini's; the usual one is no setting


def read(names: Mapping[str, str], taker: Taker, into: dict[str, Setting]) -> None:
    """Take the settings that need no reading of their own."""
    for neutral, there in names.items():
        put(into, neutral, taker, there)


def put(into: dict[str, Setting], neutral: str, taker: Taker, *keys: str) -> None:
    """Take one as it is."""
    value = taker.take(*keys)
    if value is not None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed(f"{taker.name(keys[0])}: expected a number")
        into[neutral] = Setting(value, taker.name(keys[0]))


def texts(value: object, at: str) -> list[str]:
    """Stop sequences: a text, or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise Malformed(f"{at}: expected texts")
    return listed


def forced(choice: object) -> bool:
    """Whether a tool must be called."""
    return isinstance(choice, Choice) and choice.kind in ("any", "one")


def thinks(thinking: object) -> bool:
    """Whether thinking is turned on."""
    return isinstance(thinking, Thinking) and thinking.kind != "off"
