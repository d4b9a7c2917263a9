"""Finds errors in the shapes that providers use, and removes secrets from their messages."""

import re

from proxy.dialects.contract import Json
from proxy.dialects.values import mapping, text

MESSAGE_CHARS_MAX = 500
TYPE_CHARS_MAX = 64

# Keys by their published prefixes, credentials by the word before them, and any long run of mixed
# letters and digits: losing an identifier costs nothing, keeping a key costs trust.
_SECRETS = re.compile(
    r"""
    (?i:bearer|basic)\s+\S+
  | (?P<name>(?i:api[-_ ]?key|token|secret|password|authorization|signature)["']?(?:\ provided)?
    \s*[:=]\s*["']?)(?:(?i:bearer|basic)\s+)?[^\s"',;&]+
  | (?:sk|pk|rk|gsk|xai|hf|r8|pplx|fw|nvapi|csk|tgp|ek)[-_][\w*.-]{6,}
  | AIza[\w*-]{10,} | AKIA[A-Z0-9*]{8,} | ya29\.[\w.-]+ | eyJ[\w-]{6,}[\w.-]*
  | (?<![\w-])(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[\w-]{32,}
    """,
    re.VERBOSE,
)
_TYPE = re.compile(rf"(?=.{{1,{TYPE_CHARS_MAX}}}$)[A-Za-z0-9_](?:[\w.:/-]*\w)?")


def redacted(message: str) -> str:
    """`message` on one line, shortened; everything that looks like a credential is replaced."""
    # Shorten after replacing, since half a key is still a secret.  The factor bounds the work.
    line = " ".join(message[: 8 * MESSAGE_CHARS_MAX].split())
    return _SECRETS.sub(_mask, line)[:MESSAGE_CHARS_MAX]


def _mask(found: re.Match[str]) -> str:
    return f"{found['name'] or ''}[redacted]"


def error_type(*candidates: object) -> str:
    """The first candidate that is short enough to label a metric: a word or a code."""
    words = (str(c) for c in candidates if isinstance(c, str | int) and not isinstance(c, bool))
    return next((word for word in words if _TYPE.fullmatch(word)), "")


def find_error(document: Json) -> tuple[str, str] | None:
    """(type, message as sent) if `document` is an error or contains one, else None.

    Shapes: {"error": {"type", "code", "message"}} (OpenAI, Anthropic, and Gemini with "status",
    also wrapped in an array), {"error": "text"} (Ollama), {"type": "error", "message", "code"}
    (an OpenAI stream event), {"code", "message"} (DashScope), {"message"} and {"Message"} (AWS).
    """
    if isinstance(document, list):
        return find_error(document[0]) if document else None
    whole = mapping(document)
    error = whole.get("error")
    if isinstance(error, dict):
        kind = error_type(error.get("status"), error.get("type"), error.get("code"))
        return kind, text(error.get("message"))
    if isinstance(error, str) and error:
        said = text(whole.get("error_description")) or text(whole.get("message"))
        return error_type(whole.get("code"), error), said or error
    if whole.get("type") == "error":
        return error_type(whole.get("code")), text(whole.get("message"))
    return None


def find_error_body(document: Json) -> tuple[str, str]:
    """(type, message as sent) of the body of a 4xx or 5xx, in any shape; "" if unstated."""
    if found := find_error(document):
        return found
    if isinstance(document, str):
        return "", document
    whole = mapping(document[0] if isinstance(document, list) and document else document)
    message = next(
        (
            text(whole[key])
            for key in ("message", "Message", "detail", "msg")
            if text(whole.get(key))
        ),
        "",
    )
    return error_type(whole.get("__type"), whole.get("code"), whole.get("type")), message
