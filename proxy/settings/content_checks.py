"""Checks the settings of content capture.  No I/O."""

from collections.abc import Iterator

from proxy.secrecy.kinds import KINDS
from proxy.secrecy.redaction import PATTERN_NAME, compiled
from proxy.settings.config import ContentOptions
from proxy.settings.typed import nearest

CONTENT_BYTES = (1024, 4 * 1024 * 1024)  # range of content.bytes_max; one insert has several rows


def content_mistakes(content: ContentOptions) -> Iterator[str]:
    """All mistakes; compiles the patterns now rather than when there is something to redact."""
    least, most = CONTENT_BYTES
    if not least <= content.bytes_max <= most:
        yield f"content.bytes_max: expected {least:,} to {most:,}, got {content.bytes_max:,}"
    if content.sample > 1:
        yield f"content.sample: expected a share of at most 1, got {content.sample}"
    known = KINDS.keys()
    for kind in content.redact:
        if kind not in known:
            yield f"content.redact: unknown kind {kind!r}{nearest(kind, known)}"
    for name, pattern in content.patterns.items():
        if name in known:
            yield f"content.patterns.{name}: this kind is built in; choose another name"
        elif not PATTERN_NAME.fullmatch(name):
            yield f"content.patterns.{name}: invalid name; use up to 32 of a-z, 0-9, - and _"
        try:
            compiled(pattern)
        except ValueError as error:
            yield f"content.patterns.{name}: invalid RE2 pattern: {error}"
