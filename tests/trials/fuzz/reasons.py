"""Why nginx and we differ: every difference between the two that `trials.fuzz.nginx` may find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trials.fuzz.streams import Exchange, Read, joined


@dataclass(frozen=True, slots=True)
class Passed:
    """What a proxy made of an exchange; None: nothing, or nothing that has a head."""

    sent: Read | None  # to the provider
    got: Read | None  # by the caller

    @property
    def code(self) -> int:
        return int(self.got.line.split()[1]) if self.got else 0

    @property
    def own(self) -> bool:
        """The proxy itself answered: the provider never sends a page, nor a field of ours."""
        fields = dict(self.got.fields) if self.got else {}
        return fields.get(b"content-type") == b"text/html" or b"x-taximeter-error" in fields


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that may be; `when` is given nginx's, ours, and the exchange."""

    name: str
    why: str
    when: Callable[[Passed, Passed, Exchange], bool]


def _has(one: Exchange, *begins: str) -> bool:
    return any(odd.startswith(begins) for odd in one.odd)


def _fields_of(message: Read | None) -> set[bytes]:
    return {name for name, _ in message.fields} if message else set()


STRICT = (  # of requests that nginx passes, llhttp and the relay refuse those with
    *("request bare LF", "request field 'X-Ctl", "target /v1/../x", "target /v1/\xc3\xbc"),
    *("request field 'X-Fold", "request length", "request coding", "request bad chunk"),
)
ONE_CONNECTION = {b"te", b"upgrade", b"proxy-connection"}
EXPLAINED: tuple[Difference, ...] = (
    Difference(
        "admitted: we are stricter",
        "a bare LF, a control character, a dot segment, raw UTF-8 in a target and codings other "
        "than chunked are read differently by different servers, which is how requests are "
        "smuggled (RFC 9112, 2.2, 3.2 and 6.1; RFC 9110, 5.5)",
        lambda theirs, ours, one: ours.own and _has(one, *STRICT),
    ),
    Difference(
        "admitted: Content-Type twice",
        "aiohttp refuses a second line of a field that may occur once (RFC 9110, 5.3)",
        lambda theirs, ours, one: ours.own and _lines(one.request, b"content-type") > 1,
    ),
    Difference(
        "admitted: Authorization twice",
        "nginx refuses it; what a provider makes of it is not ours to decide",
        lambda theirs, ours, one: theirs.own and _lines(one.request, b"authorization") > 1,
    ),
    Difference(
        "admitted: chunked in HTTP/1.0",
        "nginx refuses it; RFC 9112, 6.1 asks to close the connection after it, as we do",
        lambda theirs, ours, one: theirs.own and "request 1.0" in one.odd,
    ),
    Difference(
        "admitted: the body breaks off",
        "nginx reads a body's first chunks before it asks the provider, we pass on what there is",
        lambda theirs, ours, one: (
            theirs.own and _has(one, "request short", "request bad chunk", "request field")
        ),
    ),
    Difference(
        "admitted: a connection that was closing",
        "the provider closes after each answer: nginx may send on a connection of its pool that is "
        "just being closed, and gets no answer; we look before we use one",
        lambda theirs, ours, one: theirs.own and theirs.code == 502 and theirs.sent is None,
    ),
    Difference(
        "sent line: a fragment or an absolute target",
        "nginx drops what follows #, and the host; we drop the host alone",
        lambda theirs, ours, one: _has(one, "target http://") or b"#" in one.request[0],
    ),
    Difference(
        "sent fields: an underscore",
        "nginx drops names with an underscore unless told not to",
        lambda theirs, ours, one: "request field 'X_Under: 1'" in one.odd,
    ),
    Difference(
        "sent fields: of one connection",
        "nginx passes TE and Upgrade on, and fields that Connection names (RFC 9110, 7.6.1)",
        lambda theirs, ours, one: (
            _has(one, "request field 'Connection") or bool(_fields_of(theirs.sent) & ONE_CONNECTION)
        ),
    ),
    Difference(
        "sent body: it breaks off",
        "what arrived before a broken end is passed on in other pieces",
        lambda theirs, ours, one: _has(one, "request short", "request bad chunk"),
    ),
    Difference(
        "code: interim answers",
        "nginx 1.22 takes 103 for the final answer; we pass it on (RFC 9110, 15.2)",
        lambda theirs, ours, one: "interim" in one.odd,
    ),
    Difference(
        "code: framing that is not what it says",
        "two lengths, a length that is no number or a coding other than chunked: the end of the "
        "answer would be a guess (RFC 9112, 6.3)",
        lambda theirs, ours, one: ours.own and _has(one, "response length", "response coding"),
    ),
    Difference(
        "code: a chunk of the request with a size that is none",
        "nginx takes `5 ` for 5, as others may not; to us the request is broken (RFC 9112, 7.1)",
        lambda theirs, ours, one: ours.own and "request bad chunk" in one.odd,
    ),
    Difference(
        "code: a long head",
        "nginx takes 4 kB of a head unless told otherwise; our limits are in upstream.*",
        lambda theirs, ours, one: theirs.own and joined(one.response).find(b"\r\n\r\n") > 4000,
    ),
    Difference(
        "code: the body breaks off at once",
        "what is known before the head was sent on becomes an error rather than a broken end",
        lambda theirs, ours, one: ours.own and "response bad chunk" in one.odd,
    ),
    Difference(
        "got fields: interim answers",
        "nginx 1.22 takes 103 for the final answer, and what follows for its body",
        lambda theirs, ours, one: "interim" in one.odd,
    ),
    Difference(
        "got body: interim answers",
        "nginx 1.22 takes 103 for the final answer, and what follows for its body",
        lambda theirs, ours, one: "interim" in one.odd,
    ),
    Difference(
        "code: nginx says nothing of a body that breaks off at once",
        "to a caller of HTTP/1.0 it closes before the head; we send what came, and a broken end",
        lambda theirs, ours, one: (
            theirs.got is None and not ours.own and "response bad chunk" in one.odd
        ),
    ),
    Difference(
        "code: a folded line",
        "nginx refuses it; we send it on one line (RFC 9112, 5.2)",
        lambda theirs, ours, one: theirs.own and _has(one, "response field 'X-Fold"),
    ),
    Difference(
        "code: a line that is no field",
        "nginx drops or cuts it; we refuse what would be read differently by others",
        lambda theirs, ours, one: ours.own and _has(one, "response field", "response bare LF"),
    ),
    Difference(
        "got fields: of one connection",
        "nginx passes TE and Upgrade on, and fields that Connection names (RFC 9110, 7.6.1)",
        lambda theirs, ours, one: (
            _has(one, "response field 'Connection") or bool(_fields_of(theirs.got) & ONE_CONNECTION)
        ),
    ),
    Difference(
        "got fields: Content-Type twice",
        "nginx sends one of them; we send what came",
        lambda theirs, ours, one: _lines(one.response, b"content-type") > 1,
    ),
    Difference(
        "got fields: a line that is no field",
        "nginx drops what it cannot read; llhttp reads more of what servers send",
        lambda theirs, ours, one: _has(one, "response field"),
    ),
    Difference(
        "got end: it breaks off",
        "a caller that cannot be told by framing gets a reset from us: a cut answer must not look "
        "whole",
        lambda theirs, ours, one: (
            _has(one, "response short", "response bad chunk")
            and (theirs.got is None or theirs.got.whole)
        ),
    ),
    Difference(
        "got body: it breaks off",
        "what arrived before a broken end is passed on in other pieces",
        lambda theirs, ours, one: _has(one, "response short", "response bad chunk"),
    ),
)


def _lines(pieces: Sequence[bytes], name: bytes) -> int:
    """How many lines of a head are of this field."""
    head = joined(pieces).partition(b"\r\n\r\n")[0].lower()
    return head.count(b"\n" + name + b":")


def explained(found: str, theirs: Passed, ours: Passed, one: Exchange) -> str:
    """The name of the first entry that explains a difference; "" if none does."""
    for entry in EXPLAINED:
        if entry.name.partition(":")[0] == found and entry.when(theirs, ours, one):
            return entry.name
    return ""
