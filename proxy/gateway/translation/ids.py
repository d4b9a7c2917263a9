"""Ids of calls: each API has its own idea of them, and a conversation may have met several.

An id that another provider made up may not fit; it becomes one that does, always the same, so the
call and its result still meet.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b

# Dialects, and providers that differ: Anthropic's API says so in its 400s, OpenAI's too; Mistral's
# are nine letters and digits (https://docs.mistral.ai/capabilities/function_calling, 2026-11).
_FORMS: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "openai": re.compile(r"[ -~]{1,40}"),
    "mistral": re.compile(r"[a-zA-Z0-9]{9}"),
}


def fitting(called: str, dialect: str, provider: str = "") -> str:
    """The id for this provider."""
    form = _FORMS.get(provider) or _FORMS.get(dialect)
    if form is None or form.fullmatch(called):
        return called
    digest = blake2b(called.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return digest[:9] if provider == "mistral" else f"call_{digest}"
