"""An example for each row of `proxy.gateway.translation.fields`: a request that has the field."""

from collections.abc import Mapping

from proxy.gateway.translation.fields import FIELDS
from support.fields_anthropic import anthropic
from support.fields_gemini import gemini
from support.fields_openai import OPENAI
from support.media import Json

FIELD_NAMES = frozenset(row.name for rows in FIELDS.values() for row in rows)
BASES: Mapping[str, Json] = {
    "openai": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "anthropic": {
        "model": "m",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def example(dialect: str, name: str) -> Json:
    """A whole request that has this field."""
    examples = {"openai": OPENAI.__getitem__, "anthropic": anthropic, "gemini": gemini}
    return BASES[dialect] | examples[dialect](name)
