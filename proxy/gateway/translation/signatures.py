"""Signatures of thoughts, in an API that is not their signer's.

Only its signer can check a signature, so a caller of another API gets it marked with the signer's
name, sends it back with the thought, and it is carried to no other.
"""

from base64 import b64decode, b64encode
from binascii import Error

from proxy.gateway.translation.neutral import Signature

MARK = "taximeter:"
HIDDEN = (
    "+hidden"  # follows the signer's name where a signature stands for a thought, in Gemini's API
)
# What OpenRouter calls them: https://openrouter.ai/docs/use-cases/reasoning-tokens
FORMATS = {
    "anthropic-claude-v1": "anthropic",
    "google-gemini-v1": "gemini",
    "openai-responses-v1": "responses",
}
NAMES = {signer: name for name, signer in FORMATS.items()}
# The beginning of `MARK` in base64, whatever follows.
MARK_64 = b64encode(MARK.encode())[:12].decode()


def marked(signature: Signature, dialect: str) -> str:
    """As text for a body of `dialect`."""
    if signature.signer == dialect:
        return signature.value
    return f"{MARK}{signature.signer}:{signature.value}"


def unmarked(text: str, dialect: str, field: str = "") -> Signature | None:
    """As a body of `dialect` has it; None for an empty one."""
    if not text:
        return None
    if not text.startswith(MARK):
        return Signature(dialect, text, field)
    signer, _, value = text.removeprefix(MARK).partition(":")
    return Signature(signer, value, field)


def marked_64(signature: Signature) -> str:
    """As Gemini's API has it: bytes in base64."""
    if signature.signer == "gemini":
        return signature.value
    return b64encode(marked(signature, "gemini").encode()).decode()


def unmarked_64(text: str, field: str = "") -> Signature | None:
    """Likewise back; SDKs write either alphabet of base64."""
    if not text.startswith(MARK_64):
        return unmarked(text, "gemini", field)
    try:
        padded = text + "=" * (-len(text) % 4)
        plain = b64decode(padded.replace("-", "+").replace("_", "/")).decode()
    except (Error, UnicodeDecodeError):
        return Signature("gemini", text, field)
    return unmarked(plain, "gemini", field)
