"""How a caller steers the stand-in: with `x-standin-*` headers, or a suffix of the model.

`x-standin-status: 429` and the model `gpt-5.4@status=429` mean the same; the suffix is for clients
that cannot set headers, and is removed before the model is echoed.
"""

from collections.abc import Mapping

import msgspec

PREFIX = "x-standin-"


class Steering(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """What to do with one call.  None: derived from the seed of the request."""

    status: int = 200  # 400 and above: answer with the dialect's error
    times: int = 0  # how many requests with this body fail before one succeeds; 0: all fail
    retry_after_s: float | None = None
    error_after: int | None = None  # output tokens before an error event inside the stream
    cut_after: int | None = None  # output tokens before the connection is cut
    reset: bool = False  # cut by a TCP reset, which may lose bytes in transit, not by a close
    head_s: float = 0.0  # before the status line
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0  # 0: as fast as the socket accepts them
    slow_share: float = 0.0  # probability that all times are multiplied by slow_factor
    slow_factor: float = 10.0
    crowd: int | None = None  # calls in flight, above which all times are multiplied
    crowd_factor: float = 7.0
    input_tokens: int | None = None  # total, including cached tokens
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # for five minutes, in dialects that distinguish
    cache_write_1h_tokens: int = 0
    output_tokens: int | None = None  # total, including reasoning
    reasoning_tokens: int | None = None
    service_tier: str = ""  # the tier served; "": the requested one
    encoding: str = ""  # gzip | br | zstd | deflate | accept (the best of Accept-Encoding)
    chunk_bytes: int = 0  # write in pieces of this size; 0: one write per event


def parse(text: str) -> dict[str, str]:
    """The pairs of `name=value,name=value`."""
    return {key: value for key, _, value in (pair.partition("=") for pair in text.split(","))}


def read(headers: Mapping[str, str], model: str) -> tuple[str, Steering]:
    """The model without its suffix, and the steering by headers (lower-case names) and suffix.

    Raises ValueError for an unknown name or an invalid value.
    """
    given = {n[len(PREFIX) :]: value for n, value in headers.items() if n.startswith(PREFIX)}
    name, at, suffix = model.partition("@")
    if at and "=" in suffix:  # Vertex dates its models with an @
        model = name
        given |= parse(suffix)
    return model, msgspec.convert(given, Steering, strict=False) if given else DEFAULT


DEFAULT = Steering()
