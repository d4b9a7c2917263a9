"""Which session of its program a call belongs to: from its headers and its request.  No I/O.

Seen on the wire or read in the source in November 2026: docs/clients.md.
"""

import re
from collections.abc import Mapping

from proxy.dialects.contract import Json
from proxy.dialects.values import mapping, text
from proxy.reading import heads

# Where requests name a session: Qwen Code and others; Gemini's Code Assist; OpenRouter.
_SESSIONS = (("metadata", "sessionId"), ("metadata", "session_id"), ("request", "session_id"))
# Claude Code's `metadata.user_id` names a user, an account and a session.
_CLAUDE_SESSION = re.compile(
    r"[\"_]session(?:_id)?[\"_: ]+([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)


def session(headers: Mapping[str, str], request: Json) -> str:
    """The session that the caller names in a header or in its request; "" if it names none."""
    if named := heads.first(headers, heads.SESSIONS):
        return named
    body = mapping(request)
    for holder, name in _SESSIONS:
        if said := text(mapping(body.get(holder)).get(name)):
            return said[: heads.VALUE_CHARS_MAX]
    if said := text(body.get("session_id")):
        return said[: heads.VALUE_CHARS_MAX]
    user = text(mapping(body, "metadata").get("user_id"))
    found = _CLAUDE_SESSION.search(user) if user else None
    return found[1] if found else ""
