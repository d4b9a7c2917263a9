"""What is wrong with the settings of content capture.  No I/O."""

from collections.abc import Iterator

from proxy.secrecy.kinds import KINDS
from proxy.secrecy.redaction import PATTERN_NAME, compiled
from proxy.settings.config import ContentOptions
from proxy.settings.typed import nearest

CONTENT_BYTES = (1024, 4 * 1024 * 1024)  # of content.bytes_max; an insert takes several rows


def content_mistakes(content: ContentOptions) -> Iterator[str]:
    """A pattern that cannot be run is found now, not when there is something to hide."""
    least, most = CONTENT_BYTES
    if not least <= content.bytes_max <= most:
        yield f"content.bytes_max: is {content.bytes_max}, expected {least:,} to {most:,}"
    if content.sample > 1:
        yield f"content.sample: is {content.sample}, expected a share of at most 1"
    known = KINDS.keys()
    for kind in content.redact:
        if kind not in known:
            yield f"content.redact: there is no {kind!r}{nearest(kind, known)}"
    for name, pattern in content.patterns.items():
        if name in known or not PATTERN_NAME.fullmatch(name):
            yield f"content.patterns.{name}: choose another name: up to 32 of a-z, 0-9, - and _"
        try:
            compiled(pattern)
        except ValueError as error:
            yield f"content.patterns.{name}: RE2 does not take it: {error}"
